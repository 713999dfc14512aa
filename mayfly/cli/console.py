"""How the command line speaks: people on standard error, programs on standard output, and exit codes."""

from __future__ import annotations

import contextlib
import enum
import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

import pydantic
import rich.console
import sqlalchemy.exc
import typer

from errors import MayflyError
from settings import Settings

people = rich.console.Console(stderr=True, highlight=False)


class Exit(enum.IntEnum):
    """The exit codes of every command."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3


UNREACHABLE = frozenset({"broker_unreachable", "database_unreachable", "storage_full", "storage_unreachable"})


def emit(value: Mapping[str, Any]) -> None:
    """One JSON object on a line of standard output."""
    sys.stdout.write(json.dumps(value, default=str, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def fail(code: str, text: str, status: Exit) -> NoReturn:
    """Say what is wrong and exit."""
    people.print(f"[bold red]{code}[/]: {text}", soft_wrap=True)
    raise typer.Exit(status)


def status_of(error: MayflyError) -> Exit:
    """The exit code of an error before there is a job."""
    return Exit.UNREACHABLE if error.code in UNREACHABLE else Exit.USAGE


@contextlib.contextmanager
def errors_shown() -> Iterator[None]:
    """Turn Mayfly's errors into a sentence and an exit code; no traceback, no secret."""
    try:
        yield
    except MayflyError as error:
        fail(error.code, str(error), status_of(error))
    except sqlalchemy.exc.OperationalError:
        fail("database_unreachable", "the database does not answer; check MAYFLY_DATABASE_URL", Exit.UNREACHABLE)
    except OSError as error:
        if error.filename is None:
            raise
        fail("output_not_writable", f"{error.filename} cannot be written: {error.strerror}", Exit.USAGE)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def settings() -> Settings:
    """The settings of the environment; a bad one ends the command with its name, not with its value."""
    try:
        return Settings()
    except pydantic.ValidationError as error:
        for problem in error.errors(include_input=False, include_url=False, include_context=False):
            name = "_".join(str(part) for part in problem["loc"]).upper()
            people.print(f"[bold red]settings[/]: {f'MAYFLY_{name}: ' if name else ''}{problem['msg']}")
        raise typer.Exit(Exit.USAGE) from None


def parameters(pairs: list[str]) -> dict[str, str]:
    """`k=v` pairs as a mapping."""
    found = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator:
            raise typer.BadParameter("a parameter is given as NAME=VALUE", param_hint="-p")
        found[name] = value
    return found
