"""The work after calls as the admin API shows it."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from app.postcall.plan import State


class StepDetail(BaseModel):
    """One step of the work after a call, and what it resulted in.

    ``waiting``: to be done, or tried again at ``due_at``; ``skipped``: not asked for; ``failed``: for good,
    until somebody starts it again. ``error``: what happened last.
    """

    model_config = ConfigDict(from_attributes=True)

    call_id: UUID
    step: str
    state: State
    attempts: int
    due_at: datetime
    error: str | None
    result: dict[str, Any] | None
    finished_at: datetime | None


class CallSteps(BaseModel):
    """The steps of one call, in their order. Empty: the call has not ended, or just now."""

    steps: list[StepDetail]


class StepsAgain(BaseModel):
    """The steps that are done again: the one that was asked for, and those that make use of it."""

    call_id: UUID
    steps: list[str]
