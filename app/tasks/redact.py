"""Step: personal data is taken out of what was said, and these seconds of the recording are made silent."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.calls.models import Call, CallEvent, Turn
from app.postcall import repository
from app.postcall.plan import REDACT
from app.postcall.record import FinishedCall
from app.postcall.steps import SKIPPED, Done, StepFailed
from app.privacy.find import find, find_in_text
from app.privacy.models import Finding, RedactedTurn, Side
from app.privacy.redact import redact as redacted
from app.privacy.redact import redact_text
from app.recordings.blocks import AGENT, CALLER
from app.recordings.flac import NotAudio
from app.recordings.inspection import FileFacts
from app.recordings.models import Recording
from app.recordings.silencing import SilentSpan, silence
from app.recordings.stores import NotStored, StoreError
from app.tasks.tools import Tools

_CHANNELS = {Side.CALLER: CALLER, Side.BACKCHANNEL: CALLER, Side.HEARD: AGENT}


async def redact(call: FinishedCall, tools: Tools) -> Done:
    """Take it out, where the agent's profile asks for it."""
    if not call.profile.after.redact:
        return SKIPPED
    entities = await tools.entities()
    findings = await asyncio.to_thread(find, call.said, call.language, entities=entities)
    turns = await asyncio.to_thread(redacted, call.said, findings)
    async with tools.database.transaction() as session:
        before = await repository.result_of(session, call.id, call.started_at, REDACT)
        recording = await session.scalar(
            select(Recording).where(Recording.call_id == call.id, Recording.state.in_(("kept", "failed")))
        )
    # What was found once is no longer in the words; the recording may be another one by now.
    spans = _spans(findings, (before or {}).get("spans", ()))
    facts = await _silenced(recording, spans, tools)
    unplaced = sum(finding.audio is None and finding.side is not Side.REPLY for finding in findings)

    async def write(session: AsyncSession) -> None:
        await _write_turns(session, call, turns)
        await _write_events(session, call)
        if recording is not None:
            await _write_recording(session, recording, facts)
        await session.execute(
            update(Call)
            .where(Call.id == call.id, Call.started_at == call.started_at)
            .values(redacted_at=func.now())
        )

    counts = Counter((before or {}).get("found", {})) + Counter(str(finding.kind) for finding in findings)
    return Done({"found": dict(counts), "spans": spans, "without_time": unplaced}, write)


def _spans(findings: Sequence[Finding], before: Sequence[Any]) -> list[list[float]]:
    """Channel, begin, end; those that were found before among them."""
    spans = {(int(channel), float(begin), float(end)) for channel, begin, end in before}
    for finding in findings:
        if finding.audio is not None and finding.side in _CHANNELS:
            begin, end = finding.audio
            spans.add((_CHANNELS[finding.side], round(begin, 3), round(end, 3)))
    return [list(span) for span in sorted(spans)]


async def _silenced(recording: Recording | None, spans: list[list[float]], tools: Tools) -> FileFacts | None:
    """Make the recording silent there; ``None``: nothing is to be changed. Done again, it changes nothing."""
    if recording is None or not spans or not recording.size_bytes:
        return None
    silent = [SilentSpan(int(channel), begin, end) for channel, begin, end in spans]
    try:
        return await silence(tools.places.store, recording.path, silent, tools.places.folder)
    except NotStored:
        return None
    except (StoreError, OSError) as error:
        raise StepFailed(
            f"the recording could not be made silent ({type(error).__name__}); try again"
        ) from error
    except NotAudio as error:
        raise StepFailed("the recording cannot be read, so nothing of it can be made silent") from error


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
    """Keys may be a card's number, and a backchannel is what the caller said."""
    for event in call.events:
        detail = dict(event.detail)
        match event.name:
            case "dtmf":
                detail["digit"] = "*"
            case "backchannel" if isinstance(detail.get("text"), str):
                spans = find_in_text(detail["text"], call.said, call.language)
                detail["text"] = redact_text(detail["text"], spans)
        if detail != event.detail:
            await session.execute(
                update(CallEvent)
                .where(
                    CallEvent.call_id == call.id, CallEvent.number == event.number, CallEvent.at == event.at
                )
                .values(detail=detail)
            )


async def _write_recording(session: AsyncSession, recording: Recording, facts: FileFacts | None) -> None:
    values: dict[str, Any] = {"redacted": True}
    if facts is not None:
        values |= {"size_bytes": facts.size_bytes, "sha256": facts.sha256}
    await session.execute(update(Recording).where(Recording.id == recording.id).values(**values))
