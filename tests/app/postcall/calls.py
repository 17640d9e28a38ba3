"""Finished calls, as tests need them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from app.postcall.record import FinishedCall, FinishedTurn, Noted
from app.privacy.models import CallTurn
from app.voice.after_call import AfterCall
from app.voice.profile import AgentProfile

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def said(caller: str = "", heard: str = "", **more: Any) -> FinishedTurn:
    """A turn. Times of the caller and the reply may be given; ``interrupted`` and ``response_ms`` too."""
    outer = {name: more.pop(name) for name in ("interrupted", "response_ms") if name in more}
    index = more.pop("index", 0)
    turn = CallTurn(index, caller_text=caller, reply_text=heard, heard_text=heard, **more)
    return FinishedTurn(turn, NOON, **outer)


def finished(*turns: FinishedTurn, profile: AgentProfile | None = None, **more: Any) -> FinishedCall:
    """A call of these turns, which are numbered; ``notes``: names of events, or a name and its detail."""
    notes = more.pop("notes", ())
    numbered = tuple(
        FinishedTurn(
            CallTurn(**{field: getattr(turn.said, field) for field in CallTurn.__slots__} | {"index": index}),
            turn.at,
            turn.interrupted,
            turn.response_ms,
        )
        for index, turn in enumerate(turns)
    )
    events = tuple(
        Noted(number, NOON, note, {}) if isinstance(note, str) else Noted(number, NOON, *note)
        for number, note in enumerate(notes)
    )
    return FinishedCall(
        id=uuid4(),
        started_at=NOON,
        ended_at=NOON + timedelta(seconds=60),
        profile=profile or AgentProfile(name="parcel"),
        turns=numbered,
        events=events,
        **more,
    )


def asking(script: Any = None, **after: Any) -> AgentProfile:
    """A profile whose ``after`` is this."""
    return AgentProfile(name="parcel", after=AfterCall(**after), **({"script": script} if script else {}))
