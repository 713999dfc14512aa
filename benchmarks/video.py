"""A 720p video through one worker, against plain ffmpeg, against frames on disk, and against its effect alone.

Our time is from submit to done: upload, probe, decoding to RGB tensors, the effect, encoding, storing. The effect that
returns what it gets is compared with a plain ffmpeg transcode of the same settings and with the common script that
keeps every frame as a PNG; `anime`, which is costly, with itself on batches that are in memory.
"""

from __future__ import annotations

import statistics
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks import clips, report, servers

SECONDS = 20
SHORT_SECONDS = 4
ROUNDS = 5
RATE = 25


def main() -> dict[str, float]:
    """Wall times and their ratio."""
    found = servers.settings()
    from mayfly import Client

    client, source = Client(found), clips.clip(SECONDS)
    target = Path(tempfile.mkdtemp(prefix="mayfly-bench-")) / "plain.mp4"

    short = clips.clip(SHORT_SECONDS)

    def ours(clip: Path = source, effect: str = "pass-through") -> None:
        job = client.wait(client.submit(clip, effect), timeout=300)
        assert job.state == "done", job.error

    encoding = ["-c:v", "libx264", "-preset", found.video_preset, "-crf", str(found.video_crf), "-pix_fmt", "yuv420p"]
    encoding += ["-c:a", "copy", "-movflags", "+faststart", str(target)]

    def plain() -> None:
        subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", str(source), *encoding], check=True)

    with servers.worker(found, photos=0, videos=1, allow_cpu=True):
        mine, theirs = report.alternate(ROUNDS, ours, plain)
        # The long ones run once: what they show is no matter of a few per cent.
        on_disk = report.timed(lambda: frames_on_disk(short, target.parent, encoding))
        mine_short = report.timed(lambda: ours(short))
        mine_costly, alone = report.alternate(1, lambda: ours(short, "anime"), costly_alone())
    frames = SECONDS * RATE
    return {
        "frames": frames,
        "submit to done, s, median": statistics.median(mine),
        "plain ffmpeg, s, median": statistics.median(theirs),
        "ours, frames/s": frames / statistics.median(mine),
        "plain, frames/s": frames / statistics.median(theirs),
        "ratio (at most 1.5)": report.median_ratio(mine, theirs),
        "frames on disk ÷ ours, 4 s (at least 8)": on_disk / mine_short,
        "anime, ms a frame, submit to done": 1000 * statistics.median(mine_costly) / (SHORT_SECONDS * RATE),
        "anime ÷ anime alone (at most 1.1)": report.median_ratio(mine_costly, alone),
    }


def frames_on_disk(clip: Path, folder: Path, encoding: list[str]) -> None:
    """As common scripts do it: every frame a PNG, read, made a tensor, made a picture, written, read again."""
    import numpy as np
    import torch
    from PIL import Image

    with tempfile.TemporaryDirectory(dir=folder) as kept:
        subprocess.run(["ffmpeg", "-v", "error", "-i", str(clip), f"{kept}/%06d.png"], check=True)
        for path in sorted(Path(kept).iterdir()):
            with Image.open(path) as picture:
                frame = torch.from_numpy(np.array(picture)).permute(2, 0, 1)
            Image.fromarray(frame.permute(1, 2, 0).numpy()).save(path)
        pictures = ["-framerate", str(RATE), "-i", f"{kept}/%06d.png", "-i", str(clip), "-map", "0:v", "-map", "1:a"]
        subprocess.run(["ffmpeg", "-v", "error", "-y", *pictures, *encoding], check=True)


def costly_alone() -> Callable[[], None]:
    """The costly effect on as many frames as the short clip has, in batches that are in memory, on all cores."""
    import torch

    from mayfly.effects import registry
    from mayfly.tasks.runtime import Runners

    runner, params = Runners("cpu").get("anime"), registry.parameters("anime", {})
    size = runner.effect.declaration.batch
    batch = torch.randint(0, 256, (1, 3, 45, 80), dtype=torch.uint8).repeat_interleave(16, 2).repeat_interleave(16, 3)

    def run() -> None:
        video = runner.video(params)
        for _ in range(SHORT_SECONDS * RATE // size):
            video(batch.repeat(size, 1, 1, 1))

    return run
