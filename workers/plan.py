"""Decides which processes a machine runs: pure, from its GPUs and what the operator asks for."""

from __future__ import annotations

import dataclasses

from mayfly.effects.contract import Tag
from mayfly.tasks.messages import queues
from mayfly.tasks.messages.queues import Lane
from mayfly.workers.devices import Gpu


@dataclasses.dataclass(frozen=True, kw_only=True)
class Service:
    """One Celery worker with its children.

    Attributes:
        name: unique on this machine.
        queues: what it consumes.
        concurrency: its children.
        device: torch's name of the device of its effects.
        group: services of one group share a process group: one for each GPU, one for the rest.
        environment: variables that the service and its children get.
        light: a process of its own kind without children, that runs whether or not there is a broker.
    """

    name: str
    queues: tuple[str, ...]
    concurrency: int
    device: str = "cpu"
    group: str = "cpu"
    environment: tuple[tuple[str, str], ...] = ()
    light: bool = False


def services(gpus: list[Gpu], *, allow_cpu: bool, photos: int, videos: int) -> list[Service]:
    """The services of a machine.

    Args:
        gpus: this machine's GPUs.
        allow_cpu: without a GPU, serve the effects that ask for one on the CPU.
        photos: children for photos, on each device.
        videos: children for videos, on each device.

    Returns:
        One service for maintenance, whose process nothing else can occupy, one for ingest and joins, and for each
        device one for photos and one for videos, so that a photo waits behind no film.
    """
    counts = {Lane.PHOTO: photos, Lane.VIDEO: videos}
    found = [
        Service(name="maintenance", queues=(queues.MAINTENANCE,), concurrency=1, light=True),
        # Two children: an upload is probed while a film is joined.
        Service(name="media", queues=(queues.MEDIA,), concurrency=2),
    ]
    cpu_tags = list(Tag) if allow_cpu and not gpus else [Tag.CPU]
    for lane, count in counts.items():
        names = tuple(name for name in queues.of_tags(cpu_tags) if name.endswith(lane.value))
        found.append(
            # An empty list hides the GPUs, so that a CPU service never takes memory there.
            Service(name=f"cpu-{lane}", queues=names, concurrency=count, environment=(("CUDA_VISIBLE_DEVICES", ""),))
        )
    for gpu in gpus:
        for lane, count in counts.items():
            names = tuple(name for name in queues.of_tags(gpu.tags) if name.endswith(lane.value))
            found.append(
                Service(
                    name=f"gpu{gpu.index}-{lane}",
                    queues=names,
                    concurrency=count,
                    device="cuda",
                    group=f"gpu{gpu.index}",
                    environment=(("CUDA_VISIBLE_DEVICES", gpu.uuid),),
                )
            )
    return [service for service in found if service.concurrency > 0]


def threads(services: list[Service], cores: int) -> int:
    """Threads of torch for each child, so that all of them together use the cores once."""
    children = sum(service.concurrency for service in services if service.name not in ("maintenance", "media"))
    return max(1, cores // max(1, children))
