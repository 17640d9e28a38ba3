"""What is known after a call, what operators change, and who changed it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.online import first_partition

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

REVISION = sa.text("nextval('revisions')")


def upgrade() -> None:
    # All calls are read here, before anything is locked that calls or keys need.
    op.create_table(
        "legs",
        sa.Column("call_id", sa.Uuid(), nullable=False),
        sa.Column("index", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("carrier", sa.Text(), nullable=False),
        sa.Column("carrier_call_id", sa.Text(), nullable=False),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("from_number", sa.Text(), nullable=False),
        sa.Column("to_number", sa.Text(), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cause", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("call_id", "index", "started_at", name="pk_legs"),
        postgresql_partition_by="RANGE (started_at)",
    )
    first_partition("legs")
    op.execute(LEGS_OF_CALLS)
    op.execute("CREATE SEQUENCE revisions INCREMENT BY 1000000")
    op.create_table(
        "audit_log",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("key_id", sa.Integer(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("resource", sa.Text(), nullable=False),
        sa.Column("resource_id", sa.Text(), nullable=False),
        sa.Column("before", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("after", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_audit_log"),
    )
    op.create_index("ix_audit_log_at_id", "audit_log", ["at", "id"])
    op.create_index("ix_audit_log_resource_resource_id_id", "audit_log", ["resource", "resource_id", "id"])
    op.create_table(
        "call_steps",
        sa.Column("call_id", sa.Uuid(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("result", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("call_id", "step", "started_at", name="pk_call_steps"),
        postgresql_partition_by="RANGE (started_at)",
    )
    op.create_index(
        "ix_call_steps_open",
        "call_steps",
        ["state", "due_at"],
        postgresql_where=sa.text("state IN ('waiting', 'failed')"),
    )
    op.create_table(
        "call_texts",
        sa.Column("call_id", sa.Uuid(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("config", sa.Text(), nullable=False),
        sa.Column("document", postgresql.TSVECTOR(), nullable=False),
        sa.PrimaryKeyConstraint("call_id", "started_at", name="pk_call_texts"),
        postgresql_partition_by="RANGE (started_at)",
    )
    op.create_index(
        "ix_call_texts_document",
        "call_texts",
        ["document"],
        postgresql_using="gin",
        postgresql_with={"fastupdate": "off"},
    )
    op.create_index("ix_call_texts_started_at_call_id", "call_texts", ["started_at", "call_id"])
    op.create_table(
        "latency_counted",
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("counted_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("hour", name="pk_latency_counted"),
    )
    op.create_table(
        "latency_hours",
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("milliseconds", sa.ARRAY(sa.Integer()), nullable=False),
        sa.Column("counts", sa.ARRAY(sa.Integer()), nullable=False),
        sa.PrimaryKeyConstraint("hour", "agent", "stage", name="pk_latency_hours"),
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("call_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("sent", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
        sa.UniqueConstraint("topic", "call_id", name="uq_outbox_topic_call_id"),
    )
    op.create_index("ix_outbox_due_at", "outbox", ["due_at"])
    op.create_table(
        "prompts",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), server_default=REVISION, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_prompts"),
    )
    op.create_table(
        "recordings",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("call_id", sa.Uuid(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("store", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("format", sa.Text(), nullable=False),
        sa.Column("channels", sa.Integer(), nullable=False),
        sa.Column("sample_rate", sa.Integer(), nullable=False),
        sa.Column("duration_seconds", sa.Double(), nullable=True),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("sha256", sa.Text(), nullable=True),
        sa.Column(
            "pauses", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'"), nullable=False
        ),
        sa.Column("shifts", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("redacted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_recordings"),
    )
    op.create_index("ix_recordings_call_id", "recordings", ["call_id"])
    op.create_index("ix_recordings_started_at_id", "recordings", ["started_at", "id"])
    op.create_table(
        "refused_calls",
        sa.Column("carrier_call_id", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("carrier_call_id", name="pk_refused_calls"),
    )
    op.create_index("ix_refused_calls_at", "refused_calls", ["at"])
    op.create_table(
        "system_events",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("detail", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_system_events"),
    )
    op.create_index("ix_system_events_at_id", "system_events", ["at", "id"])
    op.create_table(
        "voices",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("names", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("rate", sa.Double(), nullable=False),
        sa.Column("pitch", sa.Double(), nullable=False),
        sa.Column("revision", sa.BigInteger(), server_default=REVISION, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("name", name="pk_voices"),
    )
    op.create_table(
        "webhook_endpoints",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("events", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("revision", sa.BigInteger(), server_default=REVISION, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_endpoints"),
    )
    op.create_table(
        "idempotent_requests",
        sa.Column("key_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("headers", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["key_id"], ["api_keys.id"], name="fk_idempotent_requests_key_id_api_keys", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("key_id", "key", name="pk_idempotent_requests"),
    )
    op.create_index("ix_idempotent_requests_created_at", "idempotent_requests", ["created_at"])
    op.create_table(
        "numbers",
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("opening", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("revision", sa.BigInteger(), server_default=REVISION, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["agent"], ["agents.name"], name="fk_numbers_agent_agents"),
        sa.PrimaryKeyConstraint("number", name="pk_numbers"),
    )
    op.create_index("ix_numbers_agent", "numbers", ["agent"])
    op.create_table(
        "prompt_versions",
        sa.Column("prompt", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("activated_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["prompt"], ["prompts.name"], name="fk_prompt_versions_prompt_prompts", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("prompt", "version", name="pk_prompt_versions"),
    )
    op.create_index(
        "uq_prompt_versions_active",
        "prompt_versions",
        ["prompt"],
        unique=True,
        postgresql_where=sa.text("state = 'active'"),
    )
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("endpoint_id", sa.Uuid(), nullable=False),
        sa.Column("call_id", sa.Uuid(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("body", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("last_status", sa.Integer(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["endpoint_id"],
            ["webhook_endpoints.id"],
            name="fk_webhook_deliveries_endpoint_id_webhook_endpoints",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_deliveries"),
        sa.UniqueConstraint(
            "endpoint_id", "event", "call_id", name="uq_webhook_deliveries_endpoint_id_event_call_id"
        ),
    )
    op.create_index("ix_webhook_deliveries_call_id", "webhook_deliveries", ["call_id"])
    op.create_index("ix_webhook_deliveries_created_at_id", "webhook_deliveries", ["created_at", "id"])
    op.create_index(
        "ix_webhook_deliveries_dead",
        "webhook_deliveries",
        ["created_at"],
        postgresql_where=sa.text("state = 'dead'"),
    )
    op.create_index(
        "ix_webhook_deliveries_open",
        "webhook_deliveries",
        ["due_at"],
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.add_column(
        "agent_versions", sa.Column("note", sa.Text(), server_default=sa.text("''"), nullable=False)
    )
    op.add_column("agent_versions", sa.Column("activated_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("agents", sa.Column("seeded_hash", sa.Text(), nullable=True))
    op.add_column("agents", sa.Column("revision", sa.BigInteger(), server_default=REVISION, nullable=False))
    op.add_column("agents", sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True))
    first_partition("call_steps")
    first_partition("call_texts")
    op.execute(ACTIVATED)
    op.execute(SEGMENTS)


LEGS_OF_CALLS = """
    INSERT INTO legs (call_id, index, started_at, carrier, carrier_call_id, direction, from_number, to_number,
                      answered_at, ended_at, cause)
    SELECT id, 0, started_at, carrier, carrier_call_id, direction, from_number, to_number, started_at,
           ended_at, cause
    FROM calls
"""

# Until now every version answered calls as soon as it was made.
ACTIVATED = "UPDATE agent_versions SET activated_at = created_at"

# Who said what, when, in seconds of the media clock. A reply's times are those of what was heard of it.
SEGMENTS = """
    CREATE VIEW transcript_segments AS
    SELECT call_id, at, index, 0 AS part, 'caller' AS speaker, caller_started AS started,
           caller_ended AS ended, caller_text AS text, caller_text AS heard_text,
           caller_confidence AS confidence, caller_language AS language
    FROM turns WHERE caller_text <> ''
    UNION ALL
    SELECT call_id, at, index, 1, 'agent', reply_started, reply_ended, reply_text, heard_text, NULL, NULL
    FROM turns WHERE reply_text <> ''
    UNION ALL
    SELECT call_id, at, index, 2, 'caller', (said ->> 'started')::double precision,
           (said ->> 'ended')::double precision, said ->> 'text', said ->> 'text', NULL, caller_language
    FROM turns, jsonb_array_elements(backchannels) AS said
    WHERE said ->> 'text' <> ''
"""


def downgrade() -> None:
    op.execute("DROP VIEW transcript_segments")
    op.drop_column("agents", "archived_at")
    op.drop_column("agents", "revision")
    op.drop_column("agents", "seeded_hash")
    op.drop_column("agent_versions", "activated_at")
    op.drop_column("agent_versions", "note")
    op.drop_table("webhook_deliveries")
    op.drop_table("prompt_versions")
    op.drop_table("numbers")
    op.drop_table("idempotent_requests")
    op.drop_table("webhook_endpoints")
    op.drop_table("voices")
    op.drop_table("system_events")
    op.drop_table("refused_calls")
    op.drop_table("recordings")
    op.drop_table("prompts")
    op.drop_table("outbox")
    op.drop_table("legs")
    op.drop_table("latency_hours")
    op.drop_table("latency_counted")
    op.drop_table("call_texts")
    op.drop_table("call_steps")
    op.drop_table("audit_log")
    op.execute("DROP SEQUENCE revisions")
