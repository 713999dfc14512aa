"""What an installation puts on a machine, and that it works among the modules of another project."""

import json
import os
import shutil
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests import other_project

ROOT = Path(__file__).parents[1]
NOT_SOURCE = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "dist", "docs", "demo-output")
BUILD = "import sys; from setuptools import build_meta; print(build_meta.build_wheel(sys.argv[1]))"

EFFECT = '''
from mayfly.effects.contract import Declaration, Effect, Parameters
from mayfly.effects.registry import register

@register
class Copied(Effect[Parameters]):
    """Changes nothing."""

    declaration = Declaration(name="copied", summary="as it is", parameters=Parameters, dtype="uint8")

    def apply(self, frames, params):
        return frames
'''

PRODUCER = """
import sys
import db, errors, settings, tasks
import mayfly
from mayfly import Client, Settings
from mayfly.workers.embedded import Embedded

assert {module.WHOSE for module in (db, errors, settings, tasks)} == {"the other project's"}
found = Settings()
with Embedded(found), Client(found) as client:
    job = client.wait(client.submit(sys.argv[1], "copied"))
    client.result(job, sys.argv[2])
print(job.state, mayfly.__file__)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    source, target = tmp_path_factory.mktemp("source") / "mayfly", tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT, source, symlinks=True, ignore=NOT_SOURCE)
    command = [sys.executable, "-c", BUILD, str(target)]
    subprocess.run(command, cwd=source, capture_output=True, check=True, timeout=120)
    return next(target.iterdir())


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The folder of an installation of our own; what it depends on is this environment's."""
    target = tmp_path_factory.mktemp("installed")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-compile"]
    subprocess.run([*command, f"--target={target}", str(wheel)], capture_output=True, check=True, timeout=120)
    return target


@pytest.fixture
def shop(tmp_path):
    """Another project's folder, which has an effect of its own."""
    folder = other_project.with_our_names(tmp_path / "shop")
    (folder / "shop_effects.py").write_text(EFFECT)
    (folder / "produce.py").write_text(PRODUCER)
    return folder


@pytest.fixture
def run(installed, shop, tmp_path):
    """Runs a command in the other project's folder, with its modules first on the path."""

    def ran(*command):
        own = {
            "PYTHONPATH": f"{shop}{os.pathsep}{installed}",
            "MAYFLY_HOME": str(tmp_path / "home"),
            "MAYFLY_EFFECT_MODULES": "shop_effects",
        }
        done = subprocess.run(
            [str(part) for part in command],
            cwd=shop,
            env=os.environ | own,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    return ran


def test_a_wheel_has_one_name_at_its_top(wheel):
    with zipfile.ZipFile(wheel) as file:
        members = file.infolist()
        tops = {one.filename.split("/")[0] for one in members}
        (about,) = (name for name in tops if name.endswith(".dist-info"))
        assert tops == {"mayfly", about}
        assert file.read(f"{about}/top_level.txt").decode().split() == ["mayfly"]


def test_a_wheel_has_each_file_of_the_repository_once(wheel):
    folders = [ROOT / "mayfly", *(path.resolve() for path in (ROOT / "mayfly").iterdir() if path.is_symlink())]
    files = [file for path in folders for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file()]
    names = {file.relative_to(ROOT).as_posix().removeprefix("mayfly/") for file in files if file.suffix != ".pyc"}
    assert {
        "celeryconfig.py",
        "settings.py",
        "db/migrations/script.py.mako",
        "py.typed",
        "samples/portrait.jpg",
    } <= names
    with zipfile.ZipFile(wheel) as file:
        members = [one for one in file.infolist() if one.filename.startswith("mayfly/")]
        assert sorted(one.filename for one in members) == sorted(f"mayfly/{name}" for name in names)
        assert not any(stat.S_ISLNK(one.external_attr >> 16) for one in members)


def test_a_producer_works_beside_modules_of_the_same_names(run, installed, photo, tmp_path):
    state, where = run(sys.executable, "produce.py", photo, tmp_path / "result.jpg").split()
    assert state == "done"
    assert Path(where).is_relative_to(installed)
    assert (tmp_path / "result.jpg").stat().st_size


def test_the_commands_work_beside_modules_of_the_same_names(run, installed, photo, tmp_path):
    mayfly = [sys.executable, installed / "bin" / "mayfly"]
    lines = run(*mayfly, "submit", "copied", photo, "--wait", "--out", tmp_path, "--json").splitlines()
    assert Path(json.loads(lines[-1])["result"]).stat().st_size
    checks = [json.loads(line) for line in run(*mayfly, "doctor", "--json").splitlines()]
    assert {check["check"] for check in checks if check["ok"]} >= {"broker", "database", "storage", "worker"}
