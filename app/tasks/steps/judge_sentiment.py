"""Step: how the caller felt, in each turn and over all."""

from __future__ import annotations

from typing import Any

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from app.calls.models import Call
from app.postcall.record import FinishedCall
from app.postcall.schema import sentiment_schema
from app.postcall.sentiment import can_judge, feelings, label, overall
from app.postcall.steps import SKIPPED, Done
from app.tasks.tools import Tools

_QUESTION = """\
Say how the caller felt, by their words: in each turn, and over all. What the agent says does not count.
"Neutral" is the rule for a matter-of-fact call; a wish or a problem alone is not negative.
"""


async def judge_sentiment(call: FinishedCall, tools: Tools) -> Done:
    """By a language model; without one by a lexicon, where there is one of the language."""
    spoken = [said.index for said in call.said if said.caller_text]
    if not call.profile.after.sentiment or not spoken:
        return SKIPPED
    if tools.has_judge:
        found = await _ask(call, spoken, tools)
    elif can_judge(call.language):
        found = _look_up(call)
    else:
        return SKIPPED

    async def write(session: AsyncSession) -> None:
        own = update(Call).where(Call.id == call.id, Call.started_at == call.started_at)
        await session.execute(own.values(sentiment=found["overall"]))

    return Done(found, write)


async def _ask(call: FinishedCall, spoken: list[int], tools: Tools) -> dict[str, Any]:
    judge = await tools.judge()
    answer = await judge.ask(call, _QUESTION, sentiment_schema(spoken))
    turns = [{"index": index, "label": answer["turns"][str(index)]} for index in spoken]
    return {"overall": answer["overall"], "turns": turns, "by": "model"}


def _look_up(call: FinishedCall) -> dict[str, Any]:
    found = feelings(call)
    score = overall(found)
    return {
        "overall": label(score),
        "score": score,
        "turns": [{"index": each.index, "label": each.label, "score": each.score} for each in found],
        "by": "lexicon",
    }
