"""Peak memory of a worker's child by the length of a video and by the size of its frames."""

from __future__ import annotations

import threading
import time
import uuid
from pathlib import Path

import psutil
import sqlalchemy as sa

from benchmarks import clips, servers
from mayfly.db import engine as engines
from mayfly.db import jobs
from mayfly.db.states import Stage

SHORT_SECONDS, LONG_SECONDS = 10, 60
FILM_SECONDS, FILM_SIZE = 4, "3840:2160"
MB = 1_000_000


class _Peak(threading.Thread):
    """Samples a process and its children; the process's own peak is the kernel's, which misses nothing."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.process = psutil.Process(pid)
        self.tree = 0
        self.ended = threading.Event()
        # 5 resets the peak that the kernel keeps.
        Path(f"/proc/{pid}/clear_refs").write_text("5")

    def run(self) -> None:
        while not self.ended.wait(0.05):
            total = 0
            for process in [self.process, *self.process.children(recursive=True)]:
                try:
                    total += process.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            self.tree = max(self.tree, total)

    def stop(self) -> tuple[float, float]:
        """Peak resident memory in MB: of the process, and of it with its children."""
        self.ended.set()
        self.join()
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        own = next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))
        return own / MB, self.tree / MB


def main() -> dict[str, float]:
    """Peaks, above what the process had when it was warm and idle."""
    found = servers.settings()
    from mayfly import Client

    client, engine = Client(found), engines.connect(found.resolved_database_url)
    figures: dict[str, float] = {}

    def run(clip: Path) -> tuple[int, float, float]:
        job = client.submit(clip, "pass-through")
        pid = _holder(engine, job.id)
        peak = _Peak(pid)
        peak.start()
        assert client.wait(job, timeout=600).state == "done"
        return (pid, *peak.stop())

    with servers.worker(found, photos=0, videos=1):
        pid, _, _ = run(clips.clip(1, "160:90"))
        idle = psutil.Process(pid).memory_info().rss / MB
        figures["child, warm and idle, MB"] = idle
        own = []
        # The first job of a size is not counted: it brings what every later one shares.
        for seconds in (SHORT_SECONDS, SHORT_SECONDS, LONG_SECONDS):
            _, child, tree = run(clips.clip(seconds))
            own.append(child)
            figures[f"720p, {seconds} s, child above idle, MB (at most 400)"] = child - idle
            figures[f"720p, {seconds} s, child with ffmpeg, MB"] = tree
        _, child, tree = run(clips.clip(FILM_SECONDS, FILM_SIZE))
        figures["4K, child above idle, MB (at most 1,200)"] = child - idle
        figures["4K, child with ffmpeg, MB"] = tree
    figures["720p, long ÷ short (within 10 %)"] = own[2] / own[1]
    return figures


def _holder(engine: sa.Engine, job_id: str) -> int:
    """The process that runs a job's effect."""
    while True:
        job = jobs.get(engine, uuid.UUID(job_id))
        if job.stage is Stage.EFFECT and job.holder is not None:
            return int(job.holder.split(":")[2])
        time.sleep(0.01)
