"""The One Euro filter: steady when a signal is still, quick when it moves; state goes in and comes out.

Casiez, Roussel and Vogel, "1€ Filter: a simple speed-based low-pass filter for noisy input in interactive systems",
CHI 2012. Works on numpy's arrays and torch's tensors alike.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, Generic, TypeVar

# numpy.ndarray or torch.Tensor
A = TypeVar("A")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """How a signal is filtered.

    Attributes:
        still: cut-off frequency of a signal at rest, in Hz; lower is steadier.
        agility: how much the cut-off rises, in Hz for each unit per second; higher lags less.
        speed: cut-off frequency for the speed itself, in Hz.
    """

    still: float
    agility: float
    speed: float = 1.0


@dataclasses.dataclass(frozen=True, eq=False)
class Signal(Generic[A]):
    """What is remembered: the filtered value and its filtered speed in units per second."""

    value: A
    speed: A


def begin(value: Any) -> Signal[Any]:
    """A signal that starts here, at rest."""
    return Signal(value, value * 0)


def apply_next(
    signal: Signal[Any], value: Any, settings: Settings, *, step: float, magnitude: Callable[[Any], Any] = abs
) -> Signal[Any]:
    """The signal with its next value.

    Args:
        signal: is not written to.
        value: of the same shape.
        settings: see there.
        step: seconds since the last value.
        magnitude: turns speeds into what the cut-off rises with, in the signal's units; its result broadcasts.
    """
    speed = signal.speed + ((value - signal.value) / step - signal.speed) * _share(settings.speed, step)
    share = _share(settings.still + settings.agility * magnitude(speed), step)
    return Signal(signal.value + (value - signal.value) * share, speed)


def frames_to_settle(settings: Settings, *, step: float, remains: float) -> int:
    """After so many frames at most the share `remains` of where a signal started is left in it."""
    return math.ceil(math.log(remains) / math.log(1 - _share(settings.still, step)))


def _share(cutoff: Any, step: float) -> Any:
    """What a new value contributes at this cut-off: α of the paper."""
    turns = cutoff * (2 * math.pi * step)
    return turns / (turns + 1)
