"""Erasing a call leaves no table out."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from sqlalchemy import Uuid

from app.calls.erasing.months import PARTITIONED
from app.calls.erasing.tables import KEYS, TABLES
from app.db.base import Base

ROOT = Path(__file__).resolve().parents[2]


def with_a_calls_id() -> dict[str, set[str]]:
    """Every table that holds the id of a call, with its columns."""
    for models in sorted(ROOT.glob("app/*/models.py")):
        import_module(f"app.{models.parent.name}.models")
    tables = Base.metadata.tables.values()
    return {table.name: set(table.columns.keys()) for table in tables if "call_id" in table.columns}


def test_every_table_with_a_calls_id_is_erased() -> None:
    found = with_a_calls_id()
    assert found.keys() == set(TABLES)
    for table, column in KEYS.items():
        assert column in found[table]


def test_every_partitioned_table_is_dropped_by_months() -> None:
    partitioned = {
        table.name
        for table in Base.metadata.tables.values()
        if table.dialect_options["postgresql"].get("partition_by")
    }
    with_a_calls_id()
    assert partitioned <= set(PARTITIONED)


def test_calls_are_named_by_uuids() -> None:
    for table in Base.metadata.tables.values():
        if "call_id" in table.columns:
            assert isinstance(table.columns["call_id"].type, Uuid)
