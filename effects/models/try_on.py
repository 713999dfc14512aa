"""Prompt-driven inpainting by a pipeline of diffusers that the operator installed: new clothes where a mask says so."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from mayfly.effects.errors import UnknownModel, WeightsError
from mayfly.effects.models import pipelines, weights
from mayfly.effects.models.cache import cache
from mayfly.effects.shared import blur
from mayfly.effects.vision.stderr_filter import filtered_stderr

DRESS = "dress"
# Where a mask is fainter, what is painted does not show.
_LEAST = 0.02


class TryOn:
    """One pipeline, ready to run; without a safety checker, which is for the caller to have."""

    purpose, network, scale = DRESS, "inpaint", 1

    def __init__(self, state: Mapping[str, Tensor], texts: Mapping[str, str], device: torch.device) -> None:
        """Build it from what `pipelines.read` or a model's file gives. Raises WeightsError."""
        # Whatever these libraries would like to ask of their hub, they are not to.
        os.environ["HF_HUB_OFFLINE"] = "1"
        try:
            with filtered_stderr():
                import diffusers
                import transformers
        except ImportError:
            raise WeightsError("prompts need diffusers; install mayfly[diffusion] on the workers") from None
        # Their warnings quote prompts, and their progress is nobody's.
        for library in (diffusers, transformers):
            library.utils.logging.set_verbosity_error()
            library.utils.logging.disable_progress_bar()
        kinds = {
            "unet": diffusers.UNet2DConditionModel,
            "vae": diffusers.AutoencoderKL,
            "text_encoder": transformers.CLIPTextModel,
        }
        dtype = torch.float16 if device.type == "cuda" else torch.float32
        with tempfile.TemporaryDirectory() as name:
            pipelines.write(Path(name), state, texts)
            try:
                with filtered_stderr(), warnings.catch_warnings():
                    # Published configurations are old; what they need is mended as they are read.
                    warnings.simplefilter("ignore")
                    given: dict[str, Any] = {"local_files_only": True, "use_safetensors": True, "torch_dtype": dtype}
                    parts = {part: _whole(kind, Path(name) / part, given) for part, kind in kinds.items()}
                    made = diffusers.StableDiffusionInpaintPipeline.from_pretrained(
                        name, safety_checker=None, **given, **parts
                    )
            except WeightsError:
                raise
            except Exception:  # noqa: BLE001 - the libraries raise anything when files do not fit together
                raise WeightsError("diffusers does not read this pipeline; choose another one") from None
        self._pipe: Any = made.to(device)
        self._pipe.set_progress_bar_config(disable=True)
        factor = self._pipe.vae_scale_factor
        self._side = int(self._pipe.unet.config.sample_size) * factor
        self._multiple = factor * 2 ** (len(self._pipe.unet.config.down_block_types) - 1)
        self._margin = factor
        # As they are held: files are often of half precision where the processor is not.
        tensors = [tensor for part in parts.values() for tensor in part.state_dict().values()]
        self.size = sum(tensor.numel() * tensor.element_size() for tensor in tensors)

    def __call__(self, picture: Tensor, mask: Tensor, prompt: str, *, steps: int, guidance: float, seed: int) -> Tensor:
        """Paint what a prompt says.

        Args:
            picture: (1, 3, H, W) in 0…1.
            mask: (1, 1, H, W): 1 where there is to be something new.
            prompt: what.
            steps: of denoising.
            guidance: how closely the prompt is followed (classifier-free, Ho and Salimans 2022).
            seed: the same seed gives the same picture on the same device.

        Returns:
            (1, 3, H, W) in 0…1; what lies outside the mask is about the picture.
        """
        size = (picture.shape[-2], picture.shape[-1])
        scale = self._side / max(size)
        height, width = (max(1, round(length * scale / self._multiple)) * self._multiple for length in size)
        # All that the soft edge touches, and a latent cell more: the old clothes are not to shine through.
        hidden = (_resized(mask, (height, width)) > _LEAST).to(picture.dtype)
        hidden = functional.max_pool2d(hidden, 2 * self._margin + 1, stride=1, padding=self._margin)
        with torch.inference_mode():
            result = self._pipe(
                prompt=prompt,
                image=_resized(picture, (height, width)),
                mask_image=hidden,
                height=height,
                width=width,
                num_inference_steps=steps,
                guidance_scale=guidance,
                # On the processor, so that a seed means the same whatever the device.
                generator=torch.Generator("cpu").manual_seed(seed),
                output_type="pt",
            ).images
        return _resized(result.to(picture.device, picture.dtype), size).clamp(0, 1)

    def tried(self, picture: Tensor) -> Tensor:
        """One step on a small picture, to see whether it runs."""
        return self(picture, torch.ones_like(picture[:, :1]), "a shirt", steps=1, guidance=2.0, seed=0)


def get(name: str, device: torch.device) -> TryOn:
    """An installed pipeline, loaded when it is not at hand. Raises UnknownModel, WeightsError."""
    entry, folder = weights.model(name)
    if entry.architecture.get("purpose") != DRESS:
        raise UnknownModel("the model of this name does something else; `mayfly models list` says what each does")

    def load() -> tuple[TryOn, int]:
        model = TryOn(*weights.load_with_texts(name, folder), device)
        return model, model.size

    found: TryOn = cache.take((entry.sha256, str(device)), load)
    return found


def _whole(kind: Any, folder: Path, given: Mapping[str, Any]) -> torch.nn.Module:
    """A part with each of its weights from the file. Raises WeightsError.

    The libraries give random ones where a file has none, others at each load.
    """
    made, facts = kind.from_pretrained(folder, output_loading_info=True, **given)
    if facts["missing_keys"]:
        raise WeightsError("this pipeline lacks some of its weights; get it again, or choose another one")
    part: torch.nn.Module = made
    return part


def _resized(image: Tensor, size: tuple[int, int]) -> Tensor:
    smaller = blur.reduce(image, (min(size[0], image.shape[-2]), min(size[1], image.shape[-1])))
    return blur.enlarge(smaller, size, smooth=True)
