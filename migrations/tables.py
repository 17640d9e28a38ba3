"""Every table there is: migrations are compared with this."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, text

from app.agents import models as agents
from app.audit import models as audit
from app.auth import models as auth
from app.calls import models as calls
from app.db.base import Base
from app.numbers import models as numbers
from app.outbox import models as outbox
from app.postcall import models as postcall
from app.prompts import models as prompts
from app.recordings import models as recordings
from app.reports import models as reports
from app.rest import models as rest
from app.voices import models as voices
from app.webhooks import models as webhooks

__all__ = [
    "METADATA",
    "agents",
    "audit",
    "auth",
    "belongs_to",
    "calls",
    "numbers",
    "outbox",
    "postcall",
    "prompts",
    "recordings",
    "reports",
    "rest",
    "voices",
    "webhooks",
]

METADATA = Base.metadata


def belongs_to(connection: Connection) -> Callable[[str | None, str, Any], bool]:
    """Alembic's ``include_name``: all but partitions, which the models know as one table."""
    parts = set(connection.scalars(text("SELECT inhrelid::regclass::text FROM pg_inherits")))
    connection.commit()

    def included(name: str | None, kind: str, _: Any) -> bool:
        return kind != "table" or name not in parts

    return included
