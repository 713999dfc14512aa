"""Clips that tests of media make with ffmpeg, and what ffprobe says about files."""

from __future__ import annotations

import functools
import json
import subprocess
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any

H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
SOUND = ("-f", "lavfi", "-i", "sine=frequency=440:duration=1")
AAC = ("-c:a", "aac", "-shortest")


def ffmpeg(*arguments: str | Path) -> bytes:
    """Run ffmpeg and return its standard output."""
    command = ["ffmpeg", "-nostdin", "-v", "error", "-y", *map(str, arguments)]
    return subprocess.run(command, check=True, timeout=60, capture_output=True).stdout


def make(target: Path, *options: str, size: str = "64x48", rate: str = "25", seconds: float = 1) -> Path:
    """A moving test pattern, encoded by `options`, which may begin with further inputs."""
    target.write_bytes(_made(target.suffix, options or H264, size, rate, seconds))
    return target


@functools.lru_cache(maxsize=64)
def _made(suffix: str, options: tuple[str | Path, ...], size: str, rate: str, seconds: float) -> bytes:
    """The bytes of a clip, for many tests want the same. What further inputs hold must not change."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / f"clip{suffix}"
        ffmpeg("-f", "lavfi", "-i", f"testsrc2=size={size}:rate={rate}:duration={seconds}", *options, target)
        return target.read_bytes()


def streams(path: Path) -> list[dict[str, Any]]:
    """All that ffprobe says about a file's streams."""
    return list(_ffprobe(path, "-show_streams")["streams"])


def timestamps(path: Path) -> list[Fraction]:
    """When each frame is shown, in seconds, exactly."""
    found = _ffprobe(path, "-select_streams", "v:0", "-show_entries", "frame=pts:stream=time_base")
    unit = Fraction(found["streams"][0]["time_base"])
    return [frame["pts"] * unit for frame in found["frames"]]


def chapters(path: Path) -> list[tuple[str, float, float]]:
    """Title, start and end in seconds of each chapter."""
    found = _ffprobe(path, "-show_chapters")["chapters"]
    return [(one["tags"]["title"], float(one["start_time"]), float(one["end_time"])) for one in found]


def side_data(path: Path) -> str:
    """What the first frame carries besides its pixels."""
    found = _ffprobe(path, "-select_streams", "v:0", "-show_frames", "-read_intervals", "%+#1")
    return json.dumps(found["frames"][0].get("side_data_list", [])).lower()


def packets(path: Path) -> list[str]:
    """A hash of each sound packet, with its stream."""
    lines = ffmpeg("-i", f"file:{path}", "-map", "0:a", "-c", "copy", "-f", "framehash", "-hash", "md5", "-").decode()
    found = [[field.strip() for field in line.split(",")] for line in lines.splitlines() if not line.startswith("#")]
    # Stream and hash; what follows them is side data, which is the container's.
    return [f"{fields[0]} {fields[5]}" for fields in found]


def metadata(path: Path) -> str:
    """Every tag, chapter and piece of side data."""
    found = _ffprobe(path, "-show_format", "-show_streams", "-show_chapters")
    # The names of the file and of its format are not in it.
    found["format"] = {key: value for key, value in found["format"].items() if "name" not in key}
    return json.dumps(found).lower()


def psnr(one: Path, two: Path) -> float:
    """Peak signal-to-noise ratio of two videos, in decibels."""
    command = ["ffmpeg", "-nostdin", "-i", str(one), "-i", str(two), "-lavfi", "psnr", "-an", "-f", "null", "-"]
    text = subprocess.run(command, check=True, timeout=60, capture_output=True, text=True).stderr
    return float(text.rsplit("average:", 1)[1].split()[0])


def worst_psnr(one: Path, two: Path) -> float:
    """Of the pairs of frames of two videos, the lowest peak signal-to-noise ratio, in decibels."""
    graph = "psnr=stats_file=-"
    lines = ffmpeg("-i", one, "-i", two, "-lavfi", graph, "-an", "-f", "null", "/dev/null").decode().splitlines()
    return min(float(line.split("psnr_avg:", 1)[1].split()[0]) for line in lines)


def ffprobe_lines(path: Path, *options: str) -> list[str]:
    """What ffprobe prints, a line each."""
    command = ["ffprobe", "-v", "error", "-of", "csv=p=0", *options, f"file:{path}"]
    return subprocess.run(command, check=True, timeout=60, capture_output=True, text=True).stdout.split()


def _ffprobe(path: Path, *options: str) -> dict[str, Any]:
    found = path.stat()
    return dict(json.loads(_asked(path, found.st_mtime_ns, found.st_size, options)))


@functools.lru_cache(maxsize=256)
def _asked(path: Path, _mtime: int, _size: int, options: tuple[str, ...]) -> bytes:
    command = ["ffprobe", "-v", "error", "-of", "json", *options, f"file:{path}"]
    return subprocess.run(command, check=True, timeout=60, capture_output=True).stdout
