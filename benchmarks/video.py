"""A 720p video with a pass-through effect through one worker, against a plain ffmpeg transcode of the same settings.

Our time is from submit to done: upload, probe, decoding to RGB tensors, the same tensors back, encoding, storing.
"""

from __future__ import annotations

import statistics
import subprocess
import tempfile
from pathlib import Path

from benchmarks import clips, report, servers

SECONDS = 20
ROUNDS = 5


def main() -> dict[str, float]:
    """Wall times and their ratio."""
    found = servers.settings()
    from mayfly import Client

    client, source = Client(found), clips.clip(SECONDS)
    target = Path(tempfile.mkdtemp(prefix="mayfly-bench-")) / "plain.mp4"

    def ours() -> None:
        job = client.wait(client.submit(source, "pass-through"), timeout=300)
        assert job.state == "done", job.error

    def plain() -> None:
        command = ["ffmpeg", "-v", "error", "-y", "-i", str(source), "-c:v", "libx264", "-preset", found.video_preset]
        command += ["-crf", str(found.video_crf), "-pix_fmt", "yuv420p", "-c:a", "copy", "-movflags", "+faststart"]
        subprocess.run([*command, str(target)], check=True)

    with servers.worker(found, photos=0, videos=1):
        mine, theirs = report.alternate(ROUNDS, ours, plain)
    frames = SECONDS * 25
    return {
        "frames": frames,
        "submit to done, s, median": statistics.median(mine),
        "plain ffmpeg, s, median": statistics.median(theirs),
        "ours, frames/s": frames / statistics.median(mine),
        "plain, frames/s": frames / statistics.median(theirs),
        "ratio (at most 2.0)": report.median_ratio(mine, theirs),
    }
