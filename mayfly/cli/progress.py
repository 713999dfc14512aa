"""Progress bars of jobs that are being waited for."""

from __future__ import annotations

import datetime
import time
from collections.abc import Sequence

import rich.progress

from db.states import State
from mayfly.cli.console import people
from mayfly.client import Client
from mayfly.job import Job

POLL_SECONDS = 0.1


def wait(client: Client, jobs: Sequence[Job], names: Sequence[str]) -> list[Job]:
    """Show a bar for each job until all are in a final state; return them as they ended."""
    columns = (
        rich.progress.TextColumn("{task.description}"),
        rich.progress.BarColumn(),
        rich.progress.TaskProgressColumn(),
        rich.progress.TextColumn("{task.fields[state]}"),
        rich.progress.TimeElapsedColumn(),
        rich.progress.TextColumn("{task.fields[left]}"),
    )
    with rich.progress.Progress(*columns, console=people) as bars:
        shown = {
            job.id: bars.add_task(name, total=1.0, state=job.state.value, left="")
            for job, name in zip(jobs, names, strict=True)
        }
        current = {job.id: job for job in jobs}
        while True:
            for job in current.values():
                if job.state.final:
                    continue
                found = current[job.id] = client.status(job)
                bars.update(shown[job.id], completed=found.progress, state=found.state.value, left=_left(found))
                if found.state.final:
                    bars.stop_task(shown[job.id])
                    if found.state is not State.DONE:
                        bars.update(shown[job.id], state=f"{found.state.value}: {found.error or ''}")
            if all(job.state.final for job in current.values()):
                return list(current.values())
            time.sleep(POLL_SECONDS)


def _left(job: Job) -> str:
    """What is left, by the job's own pace: the bars know nothing of work that was done before they were shown."""
    seconds = job.remaining()
    return "" if seconds is None else f"{datetime.timedelta(seconds=round(seconds))} left"
