"""Step: what the call was about, in a few sentences."""

from __future__ import annotations

from app.postcall.plan import SUMMARY
from app.postcall.record import FinishedCall
from app.postcall.schema import summary_schema
from app.postcall.steps import SKIPPED, Done
from app.postcall.summary import extract
from app.tasks.tools import Tools

_QUESTION = """\
Summarise the call in two to five sentences, in the language {language}, for a colleague who takes the matter
over: what the caller wanted, what they were told or what was done, what is still open, and how it ended.
"""


async def summarise(call: FinishedCall, tools: Tools) -> Done:
    """By a language model; without one, from the words of the call."""
    if not call.profile.after.summary:
        return SKIPPED
    if not tools.has_judge or not any(call.lines()):
        return Done({"text": extract(call), "by": "rules"})
    judge = await tools.judge()
    answer = await judge.ask(call, _QUESTION.format(language=call.profile.language), summary_schema())
    return Done({"text": str(answer[SUMMARY]).strip(), "by": "model"})
