"""What nvidia-smi says, read into devices and tags."""

import os
import stat

import pytest

from mayfly.effects.contract import Tag
from mayfly.workers import devices
from mayfly.workers.devices import MIB, Gpu

LISTING = """\
0, GPU-5a3b6c1e-1111-2222-3333-444455556666, NVIDIA H200, 143771
1, GPU-9f8e7d6c-1111-2222-3333-444455556666, NVIDIA GeForce RTX 3070, 8192
2, GPU-0b0b0b0b-1111-2222-3333-444455556666, Quadro P400, 2048
"""


def test_lines_become_gpus():
    found = devices.parse(LISTING)
    assert found[0] == Gpu(0, "GPU-5a3b6c1e-1111-2222-3333-444455556666", "NVIDIA H200", 143771 * MIB)
    assert [gpu.index for gpu in found] == [0, 1, 2]


@pytest.mark.parametrize("listing", ["", "\n", "No devices were found\n", "0, GPU-x, NVIDIA, [N/A]\n", "0, GPU-x\n"])
def test_what_is_no_gpu_is_none(listing):
    assert devices.parse(listing) == []


def test_memory_decides_the_tags():
    assert [gpu.tags for gpu in devices.parse(LISTING)] == [
        [Tag.GPU_24G, Tag.GPU_8G, Tag.GPU],
        [Tag.GPU_8G, Tag.GPU],
        [Tag.GPU],
    ]


def test_a_card_of_24_gigabytes_reports_a_little_less():
    assert Gpu(0, "x", "NVIDIA A10", 22_731 * MIB).tags[0] is Tag.GPU_24G


@pytest.mark.parametrize(
    ("chosen", "indices"),
    [
        (None, [0, 1, 2]),
        ("", []),
        ("1", [1]),
        ("0, 2", [0, 2]),
        ("GPU-9f8e", [1]),
        ("GPU-9f8e7d6c-1111-2222-3333-444455556666,0", [0, 1]),
        ("7", []),
        ("-1", []),
        (",", []),
    ],
)
def test_cuda_visible_devices_hides_the_others(chosen, indices):
    assert [gpu.index for gpu in devices.visible(devices.parse(LISTING), chosen)] == indices


@pytest.fixture
def nvidia_smi(tmp_path, monkeypatch):
    """Put a program called nvidia-smi on the path."""

    def write(script):
        program = tmp_path / "nvidia-smi"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(program.stat().st_mode | stat.S_IEXEC)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    return write


def test_the_driver_is_asked(nvidia_smi):
    nvidia_smi(f"cat <<'END'\n{LISTING}END")
    assert [gpu.index for gpu in devices.find({})] == [0, 1, 2]
    assert [gpu.index for gpu in devices.find({"CUDA_VISIBLE_DEVICES": "2"})] == [2]


def test_a_driver_that_fails_has_no_gpus(nvidia_smi):
    nvidia_smi("echo NVIDIA-SMI has failed; exit 9")
    assert devices.find({}) == []


def test_without_a_driver_there_are_no_gpus(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert devices.find({}) == []
