"""Calls, turns and events in partitions by month, and what the work after a call adds to them.

The tables become the first partition of new ones, as they are: no row is copied. What takes long runs beside
running calls; then one short transaction changes the names.
"""

from __future__ import annotations

from alembic import op

from migrations.online import Index, Partitioned, add_check, create_index, lock_tables, month_ahead

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


CALLS = Partitioned(
    "calls",
    "started_at",
    "id",
    "id, started_at",
    (
        Index("ix_calls_agent_started_at_id", "agent, started_at, id"),
        Index("ix_calls_carrier_call_id", "carrier_call_id"),
        Index("ix_calls_disposition_started_at_id", "disposition, started_at, id", new=True),
        Index("ix_calls_from_number_started_at_id", "from_number, started_at, id", new=True),
        Index("ix_calls_open", "instance_id", "ended_at IS NULL"),
        Index("ix_calls_outcome_started_at_id", "outcome, started_at, id"),
        Index("ix_calls_started_at_id", "started_at, id"),
        Index("ix_calls_to_number_started_at_id", "to_number, started_at, id", new=True),
        Index("ix_calls_wordy", "started_at, id", "words_deleted_at IS NULL", new=True),
    ),
)
TURNS = Partitioned(
    "turns",
    "at",
    'call_id, "index"',
    'call_id, "index", at',
    (Index("ix_turns_answered_at", "at", "response_ms IS NOT NULL"),),
)
EVENTS = Partitioned("call_events", "at", "call_id, number", "call_id, number, at")
TABLES = (CALLS, TURNS, EVENTS)
NEW_COLUMNS = {
    "calls": {
        "language": "text",
        "prompt": "text",
        "prompt_version": "integer",
        "voice": "text",
        "disposition": "text",
        "sentiment": "text",
        "score": "double precision",
        "turn_count": "integer",
        "barge_ins": "integer",
        "interruptions": "integer",
        "caller_seconds": "double precision",
        "agent_seconds": "double precision",
        "redacted_at": "timestamp with time zone",
        "words_deleted_at": "timestamp with time zone",
    },
    "turns": {"reply_started": "double precision", "reply_ended": "double precision"},
}
INSTANCES = "fk_calls_instance_id_instances"


def upgrade() -> None:
    bound, label = month_ahead()
    with op.get_context().autocommit_block():
        for name, columns in NEW_COLUMNS.items():
            added = ", ".join(f"ADD COLUMN IF NOT EXISTS {column} {kind}" for column, kind in columns.items())
            op.execute(f"ALTER TABLE {name} {added}")
        for table in TABLES:
            create_index(f"{table.name}_by_month", table.name, table.new_key, unique=True)
            for index in table.indexes:
                if index.new:
                    create_index(index.name, table.name, index.columns, where=index.where)
            add_check(f"{table.name}_before", table.name, f"{table.time} < '{bound}'")
    lock_tables(*(table.name for table in TABLES))
    for other in ("turns", "call_events"):
        op.execute(f"ALTER TABLE {other} DROP CONSTRAINT fk_{other}_call_id_calls")
    for table in TABLES:
        _become_partition(table, bound, label)


def _become_partition(table: Partitioned, bound: str, label: str) -> None:
    name, old = table.name, f"{table.name}_before_{label}"
    op.execute(f"ALTER TABLE {name} DROP CONSTRAINT pk_{name}")
    op.execute(f"ALTER TABLE {name} ADD CONSTRAINT pk_{old} PRIMARY KEY USING INDEX {name}_by_month")
    for index in table.indexes:
        op.execute(f"ALTER INDEX {index.name} RENAME TO {index.name}_before_{label}")
    op.execute(f"ALTER TABLE {name} RENAME TO {old}")
    op.execute(
        f"CREATE TABLE {name} (LIKE {old} INCLUDING DEFAULTS, CONSTRAINT pk_{name} PRIMARY KEY "
        f"({table.new_key})) PARTITION BY RANGE ({table.time})"
    )
    if table is CALLS:
        op.execute(
            f"ALTER TABLE {name} ADD CONSTRAINT {INSTANCES} FOREIGN KEY (instance_id) "
            "REFERENCES instances (id)"
        )
    _create_indexes(table)
    op.execute(f"ALTER TABLE {name} ATTACH PARTITION {old} FOR VALUES FROM (MINVALUE) TO ('{bound}')")
    op.execute(f"ALTER TABLE {old} DROP CONSTRAINT {name}_before")


def _create_indexes(table: Partitioned) -> None:
    for index in table.indexes:
        condition = f" WHERE {index.where}" if index.where else ""
        op.execute(f"CREATE INDEX {index.name} ON {table.name} ({index.columns}){condition}")


def downgrade() -> None:
    """Copies all rows: calls wait as long as that takes."""
    lock_tables(*(table.name for table in TABLES))
    for table in TABLES:
        name, old = table.name, f"{table.name}_partitioned"
        op.execute(f"ALTER TABLE {name} RENAME TO {old}")
        op.execute(f"CREATE TABLE {name} (LIKE {old} INCLUDING DEFAULTS)")
        op.execute(f"INSERT INTO {name} SELECT * FROM {old}")
        op.execute(f"DROP TABLE {old}")
        op.execute(f"ALTER TABLE {name} ADD CONSTRAINT pk_{name} PRIMARY KEY ({table.old_key})")
        kept = tuple(index for index in table.indexes if not index.new)
        _create_indexes(Partitioned(name, table.time, table.old_key, table.new_key, kept))
        for column in NEW_COLUMNS.get(name, {}):
            op.execute(f"ALTER TABLE {name} DROP COLUMN {column}")
    op.execute(
        f"ALTER TABLE calls ADD CONSTRAINT {INSTANCES} FOREIGN KEY (instance_id) REFERENCES instances (id)"
    )
    for other in ("turns", "call_events"):
        op.execute(
            f"DELETE FROM {other} WHERE NOT EXISTS (SELECT FROM calls WHERE calls.id = {other}.call_id)"
        )
        op.execute(
            f"ALTER TABLE {other} ADD CONSTRAINT fk_{other}_call_id_calls FOREIGN KEY (call_id) "
            "REFERENCES calls (id) ON DELETE CASCADE"
        )
