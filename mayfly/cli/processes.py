"""Commands of operators: the processes of both set-ups, and what works and what does not."""

from __future__ import annotations

import os
import signal
from typing import Annotated

import typer

from mayfly.cli import console
from mayfly.cli.console import Exit, people
from mayfly.cli.jobs import Json
from mayfly.settings import Settings


def up() -> None:
    """Run worker and beat of the embedded set-up here, until Ctrl-C."""
    settings = console.settings()
    if not settings.embedded:
        console.fail("usage", "`mayfly up` is for the embedded set-up; unset the MAYFLY_…_URLs", Exit.USAGE)
    from mayfly.workers import logs
    from mayfly.workers.embedded import Embedded

    logs.configure()
    with Embedded(settings) as running:
        people.print(f"running, everything under {settings.home}; Ctrl-C stops")
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: running.interrupt())
        running.wait()


def worker(
    allow_cpu: Annotated[bool, typer.Option("--allow-cpu", help="without a GPU, serve its effects on the CPU")] = False,
    photos: Annotated[int, typer.Option(min=0, help="children for photos, on each device")] = 1,
    videos: Annotated[int, typer.Option(min=0, help="children for videos, on each device")] = 1,
) -> None:
    """Run this machine's workers, until SIGTERM or Ctrl-C."""
    settings = _full()
    from mayfly.workers import devices, logs, plan, topology
    from mayfly.workers.scratch import Slot
    from mayfly.workers.supervisor import Supervisor

    logs.configure()
    ready = topology.prepare(settings)
    gpus = devices.find()
    services = plan.services(gpus, allow_cpu=allow_cpu, photos=photos, videos=videos)
    for gpu in gpus:
        people.print(f"gpu {gpu.index}: {gpu.name}, {gpu.memory / 1024**3:.0f} GiB: {', '.join(gpu.tags)}")
    if not gpus:
        people.print("no GPU" + ("; its effects run on the CPU" if allow_cpu else ": cpu effects only"))
    for service in services:
        people.print(f"{service.name}: {service.concurrency} × {', '.join(service.queues)}")
    threads = settings.threads or plan.threads(services, os.cpu_count() or 1)
    slot = Slot.take(settings.scratch)
    people.print(f"scratch: {slot.path}", soft_wrap=True)
    Supervisor(services, threads=threads, slot=slot.path, broker=ready).run()
    slot.give_back()


def beat() -> None:
    """Send the periodic tasks, until SIGTERM or Ctrl-C; several at once do no harm."""
    settings = _full()
    from mayfly.workers import logs

    logs.configure()
    from mayfly.tasks.app import create

    create(settings).start(["beat", "--loglevel=INFO", "--pidfile="])


def doctor(json: Json = False) -> None:
    """Check broker, database, storage, ffmpeg and devices."""
    settings = console.settings()
    from mayfly import checks

    found = checks.run(settings)
    for check in found:
        if json:
            console.emit({"check": check.name, "ok": check.ok, "detail": check.detail})
        else:
            mark = "[green]works[/]" if check.ok else "[red]fails[/]"
            people.print(f"{check.name:<10} {mark}  {check.detail}", soft_wrap=True)
    if not all(check.ok for check in found):
        raise typer.Exit(Exit.UNREACHABLE)


def _full() -> Settings:
    settings = console.settings()
    if settings.embedded:
        text = "this is a process of the full set-up: set the MAYFLY_…_URLs, or use `mayfly up`"
        console.fail("usage", text, Exit.USAGE)
    return settings
