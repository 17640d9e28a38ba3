"""Tables of the prompts. The text of a version never changes once it answered calls: they refer to it."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, CreatedAt, Timestamp
from app.rest.rows import RevisedRow


class Prompt(RevisedRow):
    """A prompt by name. ``revision`` counts the changes of it and of its versions."""

    __tablename__ = "prompts"

    name: Mapped[str] = mapped_column(primary_key=True)
    title: Mapped[str]
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt]


class PromptVersion(Base):
    """One text of a prompt. ``state``: draft (may be edited), active (at most one), archived."""

    __tablename__ = "prompt_versions"
    __table_args__ = (
        Index("uq_prompt_versions_active", "prompt", unique=True, postgresql_where=text("state = 'active'")),
    )

    prompt: Mapped[str] = mapped_column(ForeignKey("prompts.name", ondelete="CASCADE"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    state: Mapped[str]
    content: Mapped[str]
    note: Mapped[str]
    created_at: Mapped[CreatedAt]
    activated_at: Mapped[Timestamp | None]
