"""Tables of the agents. A version never changes once it was made: stored calls refer to it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ForeignKey, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, CreatedAt, Timestamp


class Agent(Base):
    """An agent by name. ``active_version`` answers calls; ``revision`` counts changes.

    ``seeded_hash``: ``content_hash`` of the profile that its file last gave; a file that has not changed
    since then leaves alone what operators made of the agent.
    """

    __tablename__ = "agents"

    name: Mapped[str] = mapped_column(primary_key=True)
    active_version: Mapped[int]
    seeded_hash: Mapped[str | None]
    revision: Mapped[int] = mapped_column(server_default=text("1"))
    archived_at: Mapped[Timestamp | None]


class AgentVersion(Base):
    """One profile of an agent, whole. ``content_hash`` is the SHA-256 of its canonical JSON, in hex."""

    __tablename__ = "agent_versions"

    agent: Mapped[str] = mapped_column(ForeignKey("agents.name", ondelete="CASCADE"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    profile: Mapped[dict[str, Any]]
    content_hash: Mapped[str]
    note: Mapped[str] = mapped_column(server_default=text("''"))
    created_at: Mapped[CreatedAt]
