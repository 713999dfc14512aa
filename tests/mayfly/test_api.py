"""What a producer can build on: all that it catches, compares or annotates is in `mayfly`, and has types."""

import ast
import importlib
import inspect
import os
import subprocess
import sys
import typing
from pathlib import Path

import pytest

import mayfly
from mayfly.errors import MayflyError

ROOT = Path(__file__).parents[2]
BRANCHES = ("client", "db", "effects", "media", "tasks")
# What ends an attempt from inside the pipeline is shown to nobody.
INTERNAL = {"ClaimLost", "ScratchGone", "StillAway", "Stopped"}

PRODUCER = """
from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import mayfly
from mayfly import (
    AssetRow,
    Client,
    DatabaseMissing,
    Job,
    JobFailed,
    MayflyError,
    Overloaded,
    Output,
    PartlySubmitted,
    ReceiptRow,
    Retention,
    Settings,
    Source,
    State,
    Target,
    WaitTimeout,
)


def submitted(client: Client, source: Source, owner: str) -> Job | int:
    try:
        return client.submit(source, "anime", {"lines": 0.9}, owner=owner, output=Output(quality=18))
    except Overloaded as error:
        return error.retry_after
    except PartlySubmitted as error:
        return len(error.submitted)
    except (DatabaseMissing, WaitTimeout) as error:
        raise RuntimeError(error.code) from error


def fetched(client: Client, job: Job, target: Target) -> str | None:
    try:
        if client.wait(job, timeout=60.0).state is State.DONE:
            client.result(job, target)
    except JobFailed as error:
        return error.code
    return job.error


def held(client: Client, job_id: uuid.UUID) -> list[AssetRow]:
    return [asset for asset in client.assets(job_id) if asset.retention is Retention.RESULT]


def destroyed(client: Client, job: str) -> list[ReceiptRow]:
    return client.receipts(job)


def code(error: MayflyError) -> str:
    return error.code


with mayfly.Client(Settings(home=Path("home")), on_notice=print) as opened:
    found: Iterator[Job] = opened.as_completed([])
    swept: mayfly.Sweep = opened.sweep()
    sweeping: mayfly.Sweeping = opened.sweeping()
    counted: dict[mayfly.Counted, int] = opened.counted()
    late: mayfly.Finding | None = sweeping.left_behind
"""


@pytest.mark.parametrize("name", mayfly.__all__)
def test_every_exported_name_exists(name):
    found = getattr(mayfly, name)
    assert not isinstance(found, type) or found.__name__ == name
    assert name in dir(mayfly)


def test_type_checkers_see_what_there_is():
    tree = ast.parse(Path(mayfly.__file__).read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {alias.asname: node.module for node in block.body for alias in node.names}
    assert seen == mayfly._HOMES


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="Nothing"):
        mayfly.Nothing  # noqa: B018


def test_every_error_that_a_producer_can_meet_is_exported():
    modules = ["mayfly.errors", *(f"mayfly.{branch}.errors" for branch in BRANCHES)]
    found = {
        name
        for module in map(importlib.import_module, modules)
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, MayflyError)
    }
    assert found - set(mayfly.__all__) == INTERNAL


def test_whatever_a_client_returns_or_takes_is_exported():
    from mayfly.client import client

    missing = set()
    for name, method in inspect.getmembers(mayfly.Client, inspect.isfunction):
        if not name.startswith("_") or name == "__init__":
            missing |= set(ours(typing.get_type_hints(method, vars(client)).values()))
    assert missing - set(mayfly.__all__) == set()


def ours(hints):
    """The names of our own classes that types are made of."""
    for hint in hints:
        if getattr(hint, "__module__", "").startswith("mayfly."):
            yield hint.__name__
        yield from ours(typing.get_args(hint))


def test_a_strictly_typed_producer(tmp_path):
    """Where mayfly is an installed package, not a source of its own; and without any plugin."""
    (tmp_path / "producer.py").write_text(PRODUCER)
    # Mistakes are found out, so types are known.
    (tmp_path / "wrong.py").write_text("import mayfly\nmayfly.Client().submit(17, 'anime').state = 3\n")
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", os.devnull]
    command += ["--cache-dir", str(ROOT / ".mypy_cache" / "producer"), "producer.py", "wrong.py"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    found = [line for line in done.stdout.splitlines() if ": error: " in line]
    assert {line.split(":")[0] for line in found} == {"wrong.py"}, done.stdout + done.stderr
    assert {line.split("[")[-1] for line in found} == {"arg-type]", "misc]", "assignment]"}
