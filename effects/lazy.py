"""Torch on first use, so that a producer without torch can still import every effect's declaration."""

from __future__ import annotations

import importlib
import types
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch as torch
    import torch.nn.functional as functional
else:

    class _LazyModule(types.ModuleType):
        """A module that is imported when one of its attributes is first read."""

        def __getattr__(self, attribute: str) -> Any:
            value = getattr(importlib.import_module(self.__name__), attribute)
            # Kept, so that the next read is an ordinary attribute access.
            setattr(self, attribute, value)
            return value

    torch = _LazyModule("torch")
    functional = _LazyModule("torch.nn.functional")

__all__ = ["functional", "torch"]
