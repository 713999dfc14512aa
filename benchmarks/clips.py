"""Clips for benchmarks, made from the demo's clip: real pictures at 1280×720 and sound."""

from __future__ import annotations

import functools
import importlib.resources
import subprocess
import tempfile
from pathlib import Path


@functools.cache
def clip(seconds: int, size: str = "1280:720") -> Path:
    """A clip of so many seconds at 25 frames a second, H.264 with a keyframe each second, as phones have it, and AAC;
    kept for this process.
    """
    target = Path(tempfile.mkdtemp(prefix="mayfly-clip-")) / f"{seconds}.mp4"
    with importlib.resources.as_file(importlib.resources.files("mayfly.samples").joinpath("clip.mp4")) as source:
        command = ["ffmpeg", "-v", "error", "-stream_loop", "-1", "-i", str(source), "-t", str(seconds)]
        command += ["-vf", f"scale={size}:flags=lanczos", "-c:v", "libx264", "-preset", "veryfast", "-g", "25"]
        subprocess.run([*command, "-crf", "20", "-c:a", "aac", str(target)], check=True)
    return target
