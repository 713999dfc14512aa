"""Conditions on states in which the states stand as literals: a planner that sees a parameter proves no partial index.

The words are those of the indexes' own conditions in mayfly.db.tables; tests/db/test_indexes.py asks both databases.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from mayfly.db.states import UNFINISHED, AssetState, State


def is_state(table: sa.Table | sa.Alias, state: State | AssetState) -> sa.ColumnElement[bool]:
    """Whether a row is in this state."""
    return _column(table) == _literal(state)


def is_unfinished(table: sa.Table) -> sa.ColumnElement[bool]:
    """Whether a job can still change."""
    return _column(table).in_([_literal(state) for state in UNFINISHED])


def has_no_result(table: sa.Table) -> sa.ColumnElement[bool]:
    """Whether a job has ended without a result."""
    return _column(table).in_([_literal(State.FAILED), _literal(State.CANCELLED)])


def exists(table: sa.Table | sa.Alias) -> sa.ColumnElement[bool]:
    """Whether an asset's bytes exist, or may."""
    return _column(table) != _literal(AssetState.DESTROYED)


def _column(table: sa.FromClause) -> sa.ColumnElement[Any]:
    return table.c.state


def _literal(state: State | AssetState) -> sa.ColumnElement[str]:
    return sa.literal_column(f"'{state.value}'", sa.String())
