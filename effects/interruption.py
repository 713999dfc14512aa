"""Ends an effect on a picture in mid-work: between any two of its torch calls a check may raise.

Frames of a video come in batches, between which the pipeline looks by itself; a picture is one call of seconds.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any


def interruptible(check: Callable[[], None]) -> contextlib.AbstractContextManager[Any]:
    """While the block runs, call `check` before each torch function of this thread; what it raises ends the block.

    Costs some microseconds for each call of torch.
    """
    from torch.overrides import TorchFunctionMode

    class Interruptible(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            check()
            return func(*args, **(kwargs or {}))

    return Interruptible()
