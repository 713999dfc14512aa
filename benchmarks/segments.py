"""A video of a minute on one worker and on four, with an effect that only waits: what cutting and joining costs.

The effect waits 40 ms a frame, as for a GPU of its own, so that four workers can be measured on two cores; the frames
are small, because decoding and encoding do share the cores.
"""

from __future__ import annotations

from benchmarks import clips, report, servers

SECONDS = 60
RATE = 25
PAUSE = 0.04
SIZE = "640:360"
WORKERS = 4


def main() -> dict[str, float]:
    """Wall times from submit to done, and their ratio."""
    found = servers.settings()
    from mayfly import Client

    client, source = Client(found), clips.clip(SECONDS, SIZE)

    def run() -> None:
        job = client.wait(client.submit(source, "sleep", {"seconds": PAUSE}), timeout=600)
        assert job.state == "done", job.error

    with servers.worker(found, photos=0, videos=1):
        one = report.timed(run)
    with servers.worker(found, photos=0, videos=WORKERS):
        several = report.timed(run)
    return {
        "frames": SECONDS * RATE,
        "waiting alone, s": SECONDS * RATE * PAUSE,
        "one worker, s": one,
        f"{WORKERS} workers, s": several,
        "one worker ÷ waiting alone": one / (SECONDS * RATE * PAUSE),
        "one worker ÷ four (at least 3.6)": one / several,
    }
