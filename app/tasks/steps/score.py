"""Step: the scorecard of the agent's rubric."""

from __future__ import annotations

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from app.calls.models import Call
from app.postcall.record import FinishedCall
from app.postcall.schema import score_schema
from app.postcall.scorecard import Mark, counted, total
from app.postcall.steps import SKIPPED, Done
from app.tasks.tools import Tools
from app.voice.after_call import Criterion

_QUESTION = """\
Say how well the agent met each of these criteria, and why in one sentence. 1 is fully or yes, 0 is not at all
or no:
"""


async def score(call: FinishedCall, tools: Tools) -> Done:
    """Criteria with a rule are counted; the others a language model judges, where there is one."""
    rubric = call.profile.after.rubric
    if not rubric:
        return SKIPPED
    judged = await _judged(call, [criterion for criterion in rubric if not criterion.rule], tools)
    marks = [counted(call, criterion) if criterion.rule else judged[criterion.name] for criterion in rubric]
    result = total(marks)

    async def write(session: AsyncSession) -> None:
        own = update(Call).where(Call.id == call.id, Call.started_at == call.started_at)
        await session.execute(own.values(score=result))

    rows = [
        {
            "name": mark.name,
            "title": criterion.title,
            "weight": mark.weight,
            "value": None if mark.value is None else round(mark.value, 3),
            "reason": mark.reason,
            "by": "rules" if criterion.rule else "model",
        }
        for mark, criterion in zip(marks, rubric, strict=True)
    ]
    return Done({"score": result, "criteria": rows}, write)


async def _judged(call: FinishedCall, criteria: list[Criterion], tools: Tools) -> dict[str, Mark]:
    if not criteria:
        return {}
    if not tools.has_judge or not any(call.lines()):
        reason = "nothing was said" if tools.has_judge else "no language model is there to judge it"
        return {each.name: Mark(each.name, None, reason, each.weight) for each in criteria}
    question = _QUESTION + "\n".join(f"- {each.name}: {each.title}" for each in criteria)
    judge = await tools.judge()
    answer = await judge.ask(call, question, score_schema(criteria))
    return {
        each.name: Mark(
            each.name, float(answer[each.name]["value"]), answer[each.name]["reason"], each.weight
        )
        for each in criteria
    }
