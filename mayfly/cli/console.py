"""How the command line speaks: people on standard error, programs on standard output, and exit codes."""

from __future__ import annotations

import contextlib
import enum
import json
import os
import sys
import traceback
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

import pydantic
import rich.console
import typer
from rich.markup import escape

from mayfly.client.errors import JobFailed, PartlySubmitted, WaitTimeout
from mayfly.db.errors import Overloaded
from mayfly.errors import MayflyError
from mayfly.settings import Settings
from mayfly.tasks.attempts.outage import AWAY

if TYPE_CHECKING:
    # They load the database's and the broker's libraries, which `mayfly apply` has no use for.
    from mayfly.client.client import Client
    from mayfly.client.waiting import Waiting

people = rich.console.Console(stderr=True, highlight=False)


class Exit(enum.IntEnum):
    """The exit codes of every command; a signal's is 128 more than its number, as the shell has it."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    INTERNAL = 4
    TIMEOUT = 5
    INTERRUPTED = 130
    BROKEN_PIPE = 141


def emit(value: Mapping[str, Any]) -> None:
    """One JSON object on a line of standard output."""
    sys.stdout.write(json.dumps(value, default=str, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def say(text: str) -> None:
    """A line for people, of any content."""
    people.print(text, markup=False, soft_wrap=True)


def notice(text: str) -> None:
    """What a command waits for."""
    people.print(text, markup=False, soft_wrap=True, style="dim")


def complain(code: str, text: str) -> None:
    """Say what is wrong."""
    people.print(f"[bold red]{escape(code)}[/]: {escape(text)}", soft_wrap=True)


def fail(code: str, text: str, status: Exit) -> NoReturn:
    """Say what is wrong and exit."""
    complain(code, text)
    raise typer.Exit(status)


def status_of(error: MayflyError) -> Exit:
    """The exit code of an error."""
    if isinstance(error, JobFailed):
        return Exit.FAILED
    if isinstance(error, WaitTimeout):
        return Exit.TIMEOUT if error.unreachable is None else Exit.UNREACHABLE
    if isinstance(error, PartlySubmitted) and isinstance(error.__cause__, MayflyError):
        return status_of(error.__cause__)
    # Both pass by themselves: the same command may succeed later.
    return Exit.UNREACHABLE if isinstance(error, (*AWAY, Overloaded)) else Exit.USAGE


@contextlib.contextmanager
def errors_shown(*, debug: bool = False) -> Iterator[None]:
    """Turn any error into a sentence and an exit code; no traceback, no secret.

    Args:
        debug: show where the error was raised as well, without any message or value of other libraries.
    """
    try:
        yield
    except (typer.Exit, typer.Abort):
        raise
    except KeyboardInterrupt:
        raise typer.Exit(Exit.INTERRUPTED) from None
    except BrokenPipeError:
        # Whoever read our output has enough; the interpreter must not complain of it at its end either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        raise typer.Exit(Exit.BROKEN_PIPE) from None
    except Exception as error:
        if _is_of_the_command_line(error):
            raise
        if debug:
            say(frames(error))
        fail(*_told(error))


def _told(error: Exception) -> tuple[str, str, Exit]:
    """Code, sentence and exit code of an error."""
    if isinstance(error, MayflyError):
        status = Exit.INTERNAL if error.code == MayflyError.code else status_of(error)
        return error.code, str(error), status
    if isinstance(error, ModuleNotFoundError):
        return "not_installed", f"this command needs {error.name}: install mayfly[worker]", Exit.USAGE
    if isinstance(error, OSError) and error.filename is not None:
        return "output_not_writable", f"{error.filename} cannot be written: {error.strerror}", Exit.USAGE
    kind = type(error).__name__
    return MayflyError.code, f"a mistake of Mayfly's own ({kind}); `mayfly --debug …` shows where", Exit.INTERNAL


def _is_of_the_command_line(error: Exception) -> bool:
    """Whether this is wrong usage, which typer itself shows."""
    return hasattr(error, "exit_code") and hasattr(error, "format_message")


def frames(error: BaseException) -> str:
    """Where an error was raised: types, files and lines. Messages may hold what is personal, and stay out."""
    told = []
    link: BaseException | None = error
    while link is not None:
        told.append(type(link).__name__)
        told += [
            f"  {frame.filename}:{frame.lineno} in {frame.name}" for frame in traceback.extract_tb(link.__traceback__)
        ]
        link = link.__cause__ or link.__context__
        told += ["after"] if link is not None else []
    return "\n".join(told)


def settings() -> Settings:
    """The settings of the environment; a bad one ends the command with its name, not with its value."""
    try:
        return Settings()
    except pydantic.ValidationError as error:
        for problem in error.errors(include_input=False, include_url=False, include_context=False):
            name = "_".join(str(part) for part in problem["loc"]).upper()
            said = problem["msg"].removeprefix("Value error, ")
            complain("settings", f"MAYFLY_{name}: {said}" if name else said)
        raise typer.Exit(Exit.USAGE) from None


def client(given: Settings | None = None) -> Client:
    """A producer that says what it waits for."""
    from mayfly.client.client import Client

    return Client(given or settings(), on_notice=notice)


def waiting(timeout: float | None) -> Waiting:
    """A wait that says what it waits for."""
    from mayfly.client.waiting import Waiting

    return Waiting(notice, timeout)


def parameters(pairs: list[str]) -> dict[str, str]:
    """`k=v` pairs as a mapping."""
    found = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator:
            raise typer.BadParameter("a parameter is given as NAME=VALUE", param_hint="-p")
        found[name] = value
    return found
