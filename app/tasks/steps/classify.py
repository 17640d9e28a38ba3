"""Step: how the call ended up, and the fields that the agent's profile asks for."""

from __future__ import annotations

from typing import Any

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from app.calls.models import Call
from app.postcall.classification import disposition_of, fields_of
from app.postcall.patterns import find_patterns, mismatch
from app.postcall.record import FinishedCall
from app.postcall.schema import NONE_FITS, classification_schema, wrong_date
from app.postcall.steps import SKIPPED, Done
from app.tasks.tools import Tools


async def classify(call: FinishedCall, tools: Tools) -> Done:
    """By a language model; without one, by the rules of the profile."""
    after = call.profile.after
    if not after.dispositions and not after.fields:
        return SKIPPED
    if tools.has_judge and any(call.lines()):
        found = await _ask(call, tools)
    else:
        disposition, reason = disposition_of(call)
        finds = await find_patterns(after.fields, [said.caller_text for said in call.said])
        found = {
            "disposition": disposition,
            "reason": reason,
            "fields": fields_of(call, finds),
            "by": "rules",
        }

    async def write(session: AsyncSession) -> None:
        own = update(Call).where(Call.id == call.id, Call.started_at == call.started_at)
        await session.execute(own.values(disposition=found["disposition"]))

    return Done(found, write)


async def _ask(call: FinishedCall, tools: Tools) -> dict[str, Any]:
    after = call.profile.after

    async def check(answer: dict[str, Any]) -> str:
        values = answer.get("fields", {})
        return wrong_date(after.fields, values) or await mismatch(after.fields, values)

    judge = await tools.judge()
    answer = await judge.ask(call, _question(call), classification_schema(after), check)
    disposition = answer.get("disposition")
    return {
        "disposition": None if disposition == NONE_FITS else disposition,
        "reason": answer.get("reason", ""),
        "fields": answer.get("fields", {}),
        "by": "model",
    }


def _question(call: FinishedCall) -> str:
    after = call.profile.after
    parts = []
    if after.dispositions:
        parts.append("Say which of these describes best how the call ended up, and why in one sentence:")
        parts += [f"- {each.name}: {each.title}" for each in after.dispositions]
        parts.append(f"- {NONE_FITS}: none of these fits")
    if after.fields:
        parts.append("Give these fields; null for what the transcript does not tell:")
        parts += [f"- {each.name}: {each.title}" for each in after.fields]
    return "\n".join(parts)
