"""Small checkpoints in the layout of published ones, with random weights; made here, for tests reach no model hub."""

import torch


def animegan(path):
    """AnimeGANv2's generator, narrower: the names of a published state dict."""
    from mayfly.effects.models.animegan import Generator

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


def inpainting(folder):
    """A tiny Stable Diffusion inpainting pipeline in the layout of a published one; it paints noise."""
    import json

    from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionInpaintPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    torch.manual_seed(4)
    unet = UNet2DConditionModel(
        sample_size=32,
        in_channels=9,
        out_channels=4,
        layers_per_block=1,
        block_out_channels=(16, 32),
        norm_num_groups=8,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=16,
        attention_head_dim=4,
    )
    vae = AutoencoderKL(
        block_out_channels=(8, 16),
        norm_num_groups=8,
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=4,
        sample_size=64,
    )
    words = {"<|startoftext|>": 0, "<|endoftext|>": 1}
    words |= {f"{letter}{end}": 2 + number for number, (letter, end) in enumerate(_letters())}
    (folder.parent / "words").mkdir(parents=True)
    (folder.parent / "words" / "vocab.json").write_text(json.dumps(words))
    (folder.parent / "words" / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = CLIPTokenizer.from_pretrained(folder.parent / "words", model_max_length=16)
    text = CLIPTextConfig(
        vocab_size=len(words),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=16,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )
    pipe = StableDiffusionInpaintPipeline(
        vae=vae,
        text_encoder=CLIPTextModel(text),
        tokenizer=tokenizer,
        unet=unet,
        scheduler=DDIMScheduler(clip_sample=False, steps_offset=1),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipe.save_pretrained(folder, safe_serialization=True)
    return folder


def _letters():
    return [(chr(code), end) for code in range(33, 127) for end in ("", "</w>")]
