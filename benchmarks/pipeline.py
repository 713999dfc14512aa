"""A photo through the whole pipeline against bare Celery tasks on the same servers.

All sides upload 1 MP JPEG, send one message, and wait until the result is stored. The bare worker has Celery's own
defaults: no row, no claim, no retry. Latency is compared with a task that gets and puts the bytes; throughput with one
that does a job's store and codec work as well: get, decode, encode, put, delete the upload, verify.
"""

from __future__ import annotations

import concurrent.futures
import importlib.resources
import io
import statistics
import uuid
from typing import TYPE_CHECKING

from PIL import Image

from benchmarks import report, servers

if TYPE_CHECKING:
    import celery

ROUNDS = 40
JOBS = 80
THREADS = 4
THROUGHPUT_ROUNDS = 3


def picture() -> bytes:
    """A JPEG of 1024×1024 pixels, from the demo's portrait."""
    with importlib.resources.files("mayfly.samples").joinpath("portrait.jpg").open("rb") as file:
        enlarged = Image.open(file).resize((1024, 1024), Image.Resampling.LANCZOS)
    output = io.BytesIO()
    enlarged.save(output, "JPEG", quality=92)
    return output.getvalue()


def main() -> dict[str, float]:
    """Latency and throughput, as ratios in one run."""
    found = servers.settings()
    from benchmarks import bare
    from mayfly import Client

    client, content = Client(found), picture()

    def upload() -> str:
        key = f"bare/{uuid.uuid4()}"
        bare.store().put(key, io.BytesIO(content), len(content))
        return key

    def ours() -> None:
        job = client.wait(client.submit(content, "pass-through"), timeout=60)
        assert job.state == "done", job.error

    def theirs() -> None:
        bare.copy.delay(upload()).get(timeout=60)

    stored = ""

    def theirs_without_upload() -> None:
        bare.copy.delay(stored).get(timeout=60)

    def many_of_ours() -> None:
        for job in client.as_completed(client.submit_many([content] * JOBS, "pass-through"), timeout=120):
            assert job.state == "done"

    def many_of(task: celery.Task) -> None:
        with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
            uploads = pool.map(lambda _: upload(), range(JOBS))
            # Celery's rpc results belong to the thread that sent the task.
            results = [task.delay(key) for key in uploads]
        for result in results:
            result.get(timeout=120)

    with servers.worker(found, photos=2, videos=0), servers.bare_worker(found, concurrency=2):
        client.wait(client.submit(content, "pass-through"), timeout=120)
        stored = upload()
        mine, bare_times, bare_alone = report.alternate(ROUNDS, ours, theirs, theirs_without_upload)
        recode, copy = bare.recode, bare.copy
        many, bare_many, bare_copies = report.alternate(
            THROUGHPUT_ROUNDS, many_of_ours, lambda: many_of(recode), lambda: many_of(copy)
        )
    for entry in list(bare.store().objects("bare/")):
        bare.store().destroy(entry.key)
    return {
        "picture, kB": len(content) / 1000,
        "submit to done, ms, median": statistics.median(mine) * 1000,
        "submit to done, ms, 95th percentile": statistics.quantiles(mine, n=20)[-1] * 1000,
        "bare task with upload, ms, median": statistics.median(bare_times) * 1000,
        "bare task without upload, ms, median": statistics.median(bare_alone) * 1000,
        "latency ratio (at most 2.7)": statistics.median(mine) / statistics.median(bare_times),
        "latency ratio, bare without upload": statistics.median(mine) / statistics.median(bare_alone),
        "throughput, jobs/s": JOBS / statistics.median(many),
        "bare throughput of the same work, tasks/s": JOBS / statistics.median(bare_many),
        "throughput ratio (at least 0.75)": 1 / report.median_ratio(many, bare_many),
        "throughput ratio, bare without codec and deletion": 1 / report.median_ratio(many, bare_copies),
    }
