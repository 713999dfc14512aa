"""Progress bars of jobs that are being waited for."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import rich.progress
from rich.markup import escape

from mayfly.cli.console import people
from mayfly.db.states import State

if TYPE_CHECKING:
    from mayfly.client.client import Client
    from mayfly.client.job import Job
    from mayfly.client.waiting import Waiting

POLL_SECONDS = 0.1


def wait(
    client: Client,
    jobs: Sequence[Job],
    names: Sequence[str],
    *,
    until: Waiting,
    on_change: Callable[[Job], None] = lambda _: None,
) -> list[Job]:
    """Show a bar for each job until all are in a final state.

    Args:
        client: whom to ask.
        jobs: as they were submitted, in any state.
        names: what the bars are called.
        until: the wait that this is a part of, entered.
        on_change: gets each job as it is found, whenever it has changed, and at once if it is in a final state.

    Returns:
        The jobs as they ended.

    Raises:
        WaitTimeout: the time was over before; `on_change` has told how they are.
    """
    columns = (
        rich.progress.TextColumn("{task.description}"),
        rich.progress.BarColumn(),
        rich.progress.TaskProgressColumn(),
        rich.progress.TextColumn("{task.fields[state]}"),
        rich.progress.TimeElapsedColumn(),
        rich.progress.TextColumn("{task.fields[left]}"),
    )
    # Standard output is for programs and stays as it is.
    with rich.progress.Progress(*columns, console=people, redirect_stdout=False) as bars:
        shown = [
            bars.add_task(escape(name), total=1.0, state=job.state.value, left="")
            for job, name in zip(jobs, names, strict=True)
        ]
        current = list(jobs)
        for job in current:
            if job.state.final:
                on_change(job)
        while True:
            for place, job in enumerate(current):
                if job.state.final:
                    continue
                found = current[place] = until.ask(lambda job=job: client.status(job))  # type: ignore[misc]
                _show(bars, shown[place], found)
                if found != job:
                    on_change(found)
            if all(job.state.final for job in current):
                return current
            until.check("not all jobs are finished yet; they go on, `mayfly status --watch` follows them")
            time.sleep(POLL_SECONDS)


def _show(bars: rich.progress.Progress, bar: rich.progress.TaskID, found: Job) -> None:
    bars.update(bar, completed=found.progress, state=found.state.value, left=_left(found))
    if found.state.final:
        bars.stop_task(bar)
        if found.state is not State.DONE:
            bars.update(bar, state=f"{found.state.value}: {found.error or ''}")


def _left(job: Job) -> str:
    """What is left, by the job's own pace: the bars know nothing of work that was done before they were shown."""
    seconds = job.remaining()
    return "" if seconds is None else f"{datetime.timedelta(seconds=round(seconds))} left"
