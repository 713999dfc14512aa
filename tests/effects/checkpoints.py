"""Small checkpoints in the layout of published ones, with random weights; made here, for tests reach no model hub."""

import torch


def animegan(path):
    """AnimeGANv2's generator, narrower: the names of a published state dict."""
    from effects.networks.animegan import Generator

    torch.manual_seed(1)
    torch.save(Generator(width=4, blocks=2).state_dict(), path)
    return path


def compact(path, scale=2):
    """Real-ESRGAN's compact network, as its authors publish it: under `params`. Mostly plain enlargement."""
    from spandrel.architectures.Compact.__arch.SRVGG import SRVGGNetCompact

    torch.manual_seed(2)
    network = SRVGGNetCompact(num_feat=8, num_conv=2, upscale=scale)
    network.body[-1].weight.data *= 0.01
    torch.save({"params": network.state_dict()}, path)
    return path


def esrgan(path):
    """ESRGAN's network in its own names, enlarging by four."""
    from spandrel.architectures.ESRGAN.__arch.RRDB import RRDBNet

    torch.manual_seed(3)
    torch.save(RRDBNet(in_nc=3, out_nc=3, num_filters=4, num_blocks=1, scale=4).state_dict(), path)
    return path
