"""Which processes a machine runs."""

import pytest

from mayfly.effects.contract import Tag
from mayfly.tasks.messages import queues
from mayfly.workers import plan
from mayfly.workers.devices import MIB, Gpu

SMALL = Gpu(0, "GPU-small", "a", 8_000 * MIB)
LARGE = Gpu(1, "GPU-large", "b", 80_000 * MIB)


def services(gpus, *, allow_cpu=False, photos=1, videos=1):
    return {one.name: one for one in plan.services(gpus, allow_cpu=allow_cpu, photos=photos, videos=videos)}


def served(found):
    return {name for service in found.values() for name in service.queues}


def test_without_a_gpu_only_cpu_queues_are_served():
    found = services([])
    assert list(found) == ["maintenance", "media", "cpu-photo", "cpu-video"]
    assert found["cpu-photo"].queues == ("cpu.photo",)
    assert found["cpu-video"].queues == ("cpu.video",)
    assert served(found) == {"media", "maintenance", "cpu.photo", "cpu.video"}


def test_without_a_gpu_everything_may_be_served_by_the_cpu():
    found = services([], allow_cpu=True)
    assert served(found) == set(queues.all_queues())
    assert {one.device for one in found.values()} == {"cpu"}


def test_with_a_gpu_its_work_stays_off_the_cpu():
    found = services([SMALL], allow_cpu=True)
    assert found["cpu-photo"].queues == ("cpu.photo",)
    assert found["gpu0-photo"].queues == ("gpu-8g.photo", "gpu.photo")
    assert found["gpu0-video"].queues == ("gpu-8g.video", "gpu.video")
    assert "gpu-24g.photo" not in served(found)


def test_each_gpu_has_its_own_group_and_sees_no_other():
    found = services([SMALL, LARGE])
    assert found["gpu1-photo"].queues == ("gpu-24g.photo", "gpu-8g.photo", "gpu.photo")
    for number, gpu in enumerate((SMALL, LARGE)):
        for lane in ("photo", "video"):
            service = found[f"gpu{number}-{lane}"]
            assert (service.device, service.group) == ("cuda", f"gpu{number}")
            assert dict(service.environment) == {"CUDA_VISIBLE_DEVICES": gpu.uuid}
    assert {one.group for one in found.values()} == {"cpu", "gpu0", "gpu1"}
    assert served(found) == set(queues.all_queues())


@pytest.mark.parametrize("gpus", [[], [SMALL], [SMALL, LARGE]])
def test_the_lanes_are_apart_and_cpu_services_see_no_gpu(gpus):
    found = services(gpus, allow_cpu=True)
    for service in found.values():
        lanes = {name.rpartition(".")[2] for name in service.queues}
        assert len(lanes) == 1
        if service.name.startswith("cpu-"):
            assert dict(service.environment) == {"CUDA_VISIBLE_DEVICES": ""}
    assert found["media"].concurrency == 2


@pytest.mark.parametrize("counts", [{}, {"photos": 0, "videos": 0}])
@pytest.mark.parametrize("gpus", [[], [SMALL, LARGE]])
def test_maintenance_is_always_there_and_shares_its_process_with_nothing(gpus, counts):
    found = services(gpus, **counts)
    assert [one.name for one in found.values() if one.light] == ["maintenance"]
    assert found["maintenance"].queues == (queues.MAINTENANCE,)
    assert not any(queues.MAINTENANCE in one.queues for one in found.values() if not one.light)
    assert queues.MEDIA in found["media"].queues


def test_counts_are_the_operators_and_none_is_no_service():
    found = services([SMALL], photos=3, videos=0)
    assert list(found) == ["maintenance", "media", "cpu-photo", "gpu0-photo"]
    assert found["gpu0-photo"].concurrency == 3


@pytest.mark.parametrize(
    ("gpus", "cores", "threads"), [([], 8, 4), ([SMALL], 8, 2), ([SMALL, LARGE], 2, 1), ([], 1, 1)]
)
def test_threads_use_the_cores_once(gpus, cores, threads):
    assert plan.threads(list(services(gpus).values()), cores) == threads


def test_threads_of_a_machine_that_only_probes():
    assert plan.threads(list(services([], photos=0, videos=0).values()), 8) == 8


def test_every_tag_has_a_machine_that_serves_it():
    assert set(LARGE.tags) | {Tag.CPU} == set(Tag)
