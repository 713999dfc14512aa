"""Makes docs/errors.md of the errors' own docstrings and remedies: `python -m scripts.errors_page`."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path

from mayfly.errors import MayflyError

PAGE = Path(__file__).parents[1] / "docs" / "errors.md"

# By what each part is about, in the order in which a producer meets them.
PARTS = {
    "mayfly.client.errors": "Calls of the client",
    "mayfly.effects.errors": "Effects and their parameters",
    "mayfly.media.errors": "Uploads, media and the object store",
    "mayfly.db.errors": "Jobs and the database",
    "mayfly.tasks.errors": "Broker and workers",
    "mayfly.workers.embedded": "The embedded worker",
    "mayfly.errors": "Anywhere",
}

HEAD = """# Errors

Made of the code by `python -m scripts.errors_page`; change it there.

Every error has a stable code: `error.code` of what a call raises, `job.error` of a job that failed, `error` in the
JSON of a command. The text beside it (`str(error)`, `job.error_text`) says what to do in this case; neither holds a
file name, a value or a reference. All are kinds of `mayfly.MayflyError` and come from `mayfly`, except those of the
embedded worker. `PartlySubmitted` and `JobFailed` carry the code of what they tell of. What cannot be meant at all (a
type that no call takes, a negative `timeout`) is Python's own `TypeError` or `ValueError`, with a sentence. A command
that is used wrongly says so in a sentence, with exit code 2.
"""


def errors() -> Iterator[type[MayflyError]]:
    """Every error that has a code and a remedy of its own, in the order of their modules."""
    for module in PARTS:
        for kind in vars(importlib.import_module(module)).values():
            ours = inspect.isclass(kind) and issubclass(kind, MayflyError) and kind.__module__ == module
            if ours and {"code", "remedy"} <= vars(kind).keys():
                yield kind


def page() -> str:
    """The page as it is to be."""
    found = list(errors())
    lines = [HEAD]
    for module, title in PARTS.items():
        lines += [f"## {title}\n", "| code | error | when | what to do |", "|---|---|---|---|"]
        rows = [kind for kind in found if kind.__module__ == module]
        for kind in sorted(rows, key=lambda kind: kind.code):
            when = " ".join((inspect.getdoc(kind) or "").split("\n\n")[0].split())
            lines.append(f"| `{kind.code}` | `{kind.__name__}` | {when} | {kind.remedy} |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(page())
