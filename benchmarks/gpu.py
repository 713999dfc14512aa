"""Each effect on a 1080p video on this machine's first GPU: frames a second, how busy the GPU is, and what bounds it.

Without a GPU there is nothing to measure, and no figure is given.
"""

from __future__ import annotations

import statistics
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from benchmarks import clips
from mayfly.effects import registry
from mayfly.effects.contract import Locality, Media
from mayfly.media.video import probe, video
from mayfly.settings import Settings
from mayfly.tasks import limits

SECONDS = 10
SIZE = "1920:1080"
SAMPLE_SECONDS = 0.2


class _Utilisation(threading.Thread):
    """Samples how busy the GPU is, in per cent."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.samples: list[float] = []
        self.ended = threading.Event()

    def run(self) -> None:
        query = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "--id=0"]
        while not self.ended.wait(SAMPLE_SECONDS):
            found = subprocess.run(query, capture_output=True, text=True, check=False).stdout.strip()
            if found.isdigit():
                self.samples.append(float(found))

    def stop(self) -> float:
        """The mean of the samples."""
        self.ended.set()
        self.join()
        return statistics.fmean(self.samples) if self.samples else float("nan")


def main() -> dict[str, float]:
    """For each effect: frames a second, utilisation, and the share of the time in which the effect itself ran."""
    import torch

    from mayfly.tasks.runtime import Runners

    if not torch.cuda.is_available():
        return {"GPUs": 0}
    bounds, runners, source = limits.of(Settings()), Runners("cuda"), clips.clip(SECONDS, SIZE)
    info = probe.probe_video(source, bounds)
    figures: dict[str, float] = {"GPUs": torch.cuda.device_count()}
    for name, effect in registry.load().items():
        if Media.VIDEO not in effect.declaration.media or effect.declaration.locality is Locality.DEVICE:
            continue
        runner = runners.get(name)
        params = registry.parameters(name, {})
        runner(torch.zeros(1, 3, 64, 64, dtype=torch.uint8), params)
        session, busy = runner.video(params), 0.0

        def apply(frames: torch.Tensor) -> torch.Tensor:
            nonlocal busy
            start = time.perf_counter()
            result = session(frames)  # noqa: B023 - called before the loop goes on
            torch.cuda.synchronize()
            busy += time.perf_counter() - start
            return result

        utilisation = _Utilisation()
        utilisation.start()
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            made = video.transform(
                source,
                Path(folder) / "result",
                apply,
                info=info,
                batch=runner.effect.declaration.batch,
                limits=bounds,
                pinned=runner.pinned,
            )
            seconds = time.perf_counter() - start
        figures |= {
            f"{name}, frames/s": made.frames / seconds,
            f"{name}, GPU busy, %": utilisation.stop(),
            # Near 1 the effect is the bound; far below it decoding, encoding and copying are.
            f"{name}, share of the time in the effect": busy / seconds,
        }
    return figures
