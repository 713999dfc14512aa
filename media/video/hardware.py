"""Whether an encoder of the machine's devices works; found out by encoding, for ffmpeg lists encoders without a device.

Every listed encoder of NVIDIA's is there on a machine without a GPU, and on GPUs that have no encoder.
"""

from __future__ import annotations

import functools

from mayfly.media.children import process
from mayfly.media.children.confinement import Access
from mayfly.media.errors import MediaError

SECONDS = 20.0


@functools.lru_cache(maxsize=64)
def works(encoder: str, width: int, height: int, pixels: str) -> bool:
    """Whether the encoder takes frames of this size and format; tried once a process, by encoding three frames."""
    try:
        command = trial(encoder, width, height, pixels)
        return process.run(command, timeout=SECONDS, access=Access(devices=True)).code == 0
    except MediaError:
        return False


def trial(encoder: str, width: int, height: int, pixels: str) -> list[str]:
    """The command that encodes three frames and keeps nothing."""
    frames = f"color=size={width}x{height}:rate=25,format={pixels}"
    command = ["ffmpeg", "-hide_banner", "-v", "error", "-nostdin", "-f", "lavfi", "-i", frames]
    return [*command, "-frames:v", "3", "-c:v", encoder, "-f", "null", "-"]
