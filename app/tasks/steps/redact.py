"""Step: personal data is taken out of what was said, and these seconds of the recording are made silent."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, TypeAlias

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.calls.models import Call, CallEvent, Turn
from app.postcall import repository
from app.postcall.models import CallStep
from app.postcall.plan import FINALISE, REDACT
from app.postcall.record import FinishedCall
from app.postcall.steps import SKIPPED, Done, StepFailed
from app.privacy.find import find
from app.privacy.models import Finding, RedactedTurn, Side
from app.privacy.redact import redact as redacted
from app.recordings.blocks import AGENT, CALLER
from app.recordings.flac import NotAudio
from app.recordings.inspection import FileFacts
from app.recordings.models import Recording
from app.recordings.shifts import heard
from app.recordings.silencing import SilentSpan, silence
from app.recordings.stores import NotStored, StoreError
from app.tasks.tools import Tools
from app.voice.events import WORDS_IN_NOTES

_CHANNELS = {Side.CALLER: CALLER, Side.BACKCHANNEL: CALLER, Side.HEARD: AGENT}
_LONGEST = 1_000_000.0  # seconds; no recording is as long
_OUT = "*"  # for a note's words and keys

_Span: TypeAlias = tuple[int, float, float | None]
"""Channel, begin and end in seconds of the media clock; ``None``: to the recording's end."""


async def redact(call: FinishedCall, tools: Tools) -> Done:
    """Take it out, where the agent's profile asks for it. Raises ``StepFailed``."""
    if call.unread:
        raise StepFailed(f"whether personal data is to be taken out is not known: {call.unread}")
    if not call.profile.after.redact:
        return SKIPPED
    entities = await tools.entities()
    regions = tools.settings.privacy.regions
    findings = await asyncio.to_thread(find, call.said, call.language, regions=regions, entities=entities)
    turns = await asyncio.to_thread(redacted, call.said, findings)
    async with tools.database.transaction() as session:
        before = await repository.result_of(session, call.id, call.started_at, REDACT)
        recording = await session.scalar(
            select(Recording).where(Recording.call_id == call.id, Recording.state.in_(("kept", "failed")))
        )
    # What was found once is no longer in the words; the recording may be another one by now.
    spans = _spans(findings, (before or {}).get("spans", ()))
    facts: FileFacts | None = None
    if recording is not None:
        try:
            facts = await _silenced(recording, spans, tools)
        except NotStored:
            recording = None  # deleted, and its row soon is

    async def write(session: AsyncSession) -> None:
        await _write_turns(session, call, turns)
        await _write_events(session, call)
        if recording is not None:
            await _write_recording(session, call, recording, facts)
        await session.execute(
            update(Call)
            .where(Call.id == call.id, Call.started_at == call.started_at)
            .values(redacted_at=func.now())
        )

    counts = Counter((before or {}).get("found", {})) + Counter(str(finding.kind) for finding in findings)
    return Done({"found": dict(counts), "spans": spans}, write)


def _spans(findings: Sequence[Finding], before: Sequence[Any]) -> list[_Span]:
    """Where it was said; what was found before is among it."""
    spans = {
        (int(channel), float(begin), None if end is None else float(end)) for channel, begin, end in before
    }
    for finding in findings:
        if finding.audio is not None and finding.side in _CHANNELS:
            begin, end = (round(time, 3) if math.isfinite(time) else None for time in finding.audio)
            spans.add((_CHANNELS[finding.side], begin or 0.0, end))
    return sorted(spans, key=lambda span: (*span[:2], span[2] or math.inf))


async def _silenced(recording: Recording, spans: Sequence[_Span], tools: Tools) -> FileFacts | None:
    """Make the recording silent there; ``None``: nothing is to be changed. Done again, it changes nothing.

    Raises ``NotStored``, ``StepFailed``.
    """
    if not spans or not recording.size_bytes:
        return None
    silent = [each for span in spans for each in _in_recording(recording, span)]
    try:
        return await silence(tools.places.store, recording.path, silent, tools.places.folder)
    except NotStored:
        raise
    except (StoreError, OSError) as error:
        raise StepFailed(
            f"the recording could not be made silent ({type(error).__name__}); try again"
        ) from error
    except NotAudio as error:
        raise StepFailed("the recording cannot be read, so nothing of it can be made silent") from error


def _in_recording(recording: Recording, span: _Span) -> Iterator[SilentSpan]:
    """Where the recording has what was said then: anywhere, where its clock is not known.

    A carrier may give both voices on one channel, or in another order: both become silent.
    """
    channel, begin, end = span
    if recording.shifts is None:
        places = [(0.0, _LONGEST)]
    else:
        places = list(heard(begin, math.inf if end is None else end, recording.shifts[channel]))
    for first, last in places:
        for each in (CALLER, AGENT) if recording.source == "carrier" else (channel,):
            yield SilentSpan(each, first, min(last, _LONGEST))


async def _write_turns(session: AsyncSession, call: FinishedCall, turns: Sequence[RedactedTurn]) -> None:
    by_index = {turn.said.index: turn for turn in call.turns}
    for new in turns:
        old = by_index[new.index]
        texts = ("caller_text", "caller_words", "reply_text", "heard_text", "backchannels")
        if all(getattr(new, name) == getattr(old.said, name) for name in texts):
            continue
        await session.execute(
            update(Turn)
            .where(Turn.call_id == call.id, Turn.index == new.index, Turn.at == old.at)
            .values(
                caller_text=new.caller_text,
                caller_words=[asdict(word) for word in new.caller_words],
                reply_text=new.reply_text,
                heard_text=new.heard_text,
                backchannels=[asdict(each) for each in new.backchannels],
            )
        )


async def _write_events(session: AsyncSession, call: FinishedCall) -> None:
    """Notes lose their words and keys: a key may be a card's, and words are in the turns."""
    for event in call.events:
        key = WORDS_IN_NOTES.get(event.name, "")
        if event.detail.get(key, _OUT) == _OUT:
            continue
        await session.execute(
            update(CallEvent)
            .where(CallEvent.call_id == call.id, CallEvent.number == event.number, CallEvent.at == event.at)
            .values(detail={**event.detail, key: _OUT})
        )


async def _write_recording(
    session: AsyncSession, call: FinishedCall, recording: Recording, facts: FileFacts | None
) -> None:
    values: dict[str, Any] = {"redacted": True}
    if facts is not None:
        values |= {"size_bytes": facts.size_bytes, "sha256": facts.sha256}
        changed = func.jsonb_build_object("size_bytes", facts.size_bytes)
        await session.execute(
            update(CallStep)
            .where(
                CallStep.call_id == call.id, CallStep.started_at == call.started_at, CallStep.step == FINALISE
            )
            .values(result=CallStep.result.op("||")(changed))
        )
    await session.execute(update(Recording).where(Recording.id == recording.id).values(**values))
