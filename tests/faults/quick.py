"""Loaded by MAYFLY_EFFECT_MODULES: periodic tasks every half second, for tests that wait for the clock."""

from __future__ import annotations

from mayfly.tasks.messages import queues

for _name in queues.PERIODIC:
    queues.PERIODIC[_name] = 0.5
