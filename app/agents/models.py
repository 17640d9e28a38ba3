"""Tables of the agents. The profile of a version never changes: stored calls refer to it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ForeignKey, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, CreatedAt, Timestamp
from app.rest.rows import RevisedRow


class Agent(RevisedRow):
    """An agent by name. ``active_version`` answers calls.

    ``seeded_hash``: SHA-256 of what its file last said, without the defaults of what it leaves out; null: no
    file was read for it. A file that still says the same leaves alone what operators made of the agent.
    """

    __tablename__ = "agents"

    name: Mapped[str] = mapped_column(primary_key=True)
    active_version: Mapped[int]
    seeded_hash: Mapped[str | None]
    archived_at: Mapped[Timestamp | None]


class AgentVersion(Base):
    """One profile of an agent, whole. ``content_hash`` is the SHA-256 of its canonical JSON, in hex.

    ``activated_at``: when it was last chosen to answer calls; null: never.
    """

    __tablename__ = "agent_versions"

    agent: Mapped[str] = mapped_column(ForeignKey("agents.name", ondelete="CASCADE"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    profile: Mapped[dict[str, Any]]
    content_hash: Mapped[str]
    note: Mapped[str] = mapped_column(server_default=text("''"))
    created_at: Mapped[CreatedAt]
    activated_at: Mapped[Timestamp | None]
