"""docs/errors.md is what the code says, and the code says of every error what to do."""

import ast
import importlib
from pathlib import Path

from mayfly.errors import MayflyError
from scripts import errors_page

ROOT = Path(__file__).parents[2]
# Roots of their branches, which nothing raises, and what ends an attempt from inside the pipeline.
NEVER_SHOWN = {
    *("ClientError", "EffectError", "MediaError", "StateError"),
    *("ClaimLost", "ScratchGone", "StillAway", "Stopped"),
}


def kinds(root=MayflyError):
    for kind in root.__subclasses__():
        yield kind
        yield from kinds(kind)


def test_the_page_is_what_the_code_says():
    assert errors_page.PAGE.read_text() == errors_page.page(), "run `python -m scripts.errors_page`"


def test_every_code_has_a_sentence_of_what_to_do_and_is_on_the_page():
    listed = list(errors_page.errors())
    ours = {kind for kind in kinds() if kind.__module__.startswith("mayfly.") and "code" in vars(kind)}
    assert {kind.__name__ for kind in ours - set(listed)} == NEVER_SHOWN
    for kind in listed:
        assert kind.__doc__, f"{kind.__name__} does not say when it is raised"
        assert kind.remedy[0].isupper() and kind.remedy.endswith("."), kind.__name__


def test_every_code_that_a_job_is_given_is_on_the_page():
    """Some are written into a job's row by their name."""
    known = {kind.code for kind in errors_page.errors()}
    written = set()
    for folder in ("db", "purge", "tasks", "workers", "mayfly/client"):
        for path in (ROOT / folder).rglob("*.py"):
            for call in ast.walk(ast.parse(path.read_text())):
                if isinstance(call, ast.Call):
                    values = [keyword.value for keyword in call.keywords if keyword.arg == "error"]
                    written |= {one.value for one in values if isinstance(one, ast.Constant) and one.value}
    assert "expired" in written
    assert written <= known


def test_no_module_of_errors_is_forgotten():
    for path in ROOT.glob("*/errors.py"):
        name = path.parent.name
        importlib.import_module("mayfly.errors" if name == "mayfly" else f"mayfly.{name}.errors")
    modules = {kind.__module__ for kind in kinds() if kind.__module__.startswith("mayfly.")}
    assert modules <= errors_page.PARTS.keys()
