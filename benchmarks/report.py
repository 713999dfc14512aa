"""How benchmarks measure and show figures: medians of alternating rounds, and ratios of what ran side by side."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import rich.console
import rich.table


def timed(action: Callable[[], object]) -> float:
    """Seconds that an action takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def alternate(rounds: int, *actions: Callable[[], object]) -> list[list[float]]:
    """Time the actions in turn, A B A B …, so that a change of the machine's speed meets all alike.

    Returns:
        For each action its times in seconds; one warm-up round is not counted.
    """
    times: list[list[float]] = [[] for _ in actions]
    for number in range(rounds + 1):
        for action, kept in zip(actions, times, strict=True):
            seconds = timed(action)
            if number:
                kept.append(seconds)
    return times


def median_ratio(ours: list[float], theirs: list[float]) -> float:
    """The median of the ratios of each round."""
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))


def table(console: rich.console.Console, name: str, figures: dict[str, float]) -> None:
    """Print figures."""
    shown = rich.table.Table("figure", rich.table.Column("value", justify="right"), title=name)
    for figure, value in figures.items():
        shown.add_row(figure, f"{value:,.3f}" if abs(value) < 100 else f"{value:,.0f}")
    console.print(shown)
