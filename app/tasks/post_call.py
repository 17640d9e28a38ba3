"""The work after a call, one message of the broker: all of its steps, in the order of ``app.postcall.plan``.

A message that comes twice, or for a call that is done or gone, does no harm.
"""

from __future__ import annotations

from uuid import UUID

import structlog

from app.postcall.plan import CLASSIFY, FINALISE, INDEX, NOTIFY, REDACT, SCORE, SENTIMENT, STATISTICS, SUMMARY
from app.postcall.steps import StepRunner
from app.tasks.celery import celery
from app.tasks.runtime import run_task
from app.tasks.sending import POST_CALL
from app.tasks.steps.classify import classify
from app.tasks.steps.compute_statistics import compute_statistics
from app.tasks.steps.finalise_recording import finalise_recording
from app.tasks.steps.index_transcript import index_transcript
from app.tasks.steps.judge_sentiment import judge_sentiment
from app.tasks.steps.notify import notify
from app.tasks.steps.redact import redact
from app.tasks.steps.score import score
from app.tasks.steps.summarise import summarise
from app.tasks.tools import Tools

_log = structlog.get_logger(__name__)

WORK = {
    FINALISE: finalise_recording,
    REDACT: redact,
    STATISTICS: compute_statistics,
    INDEX: index_transcript,
    SUMMARY: summarise,
    CLASSIFY: classify,
    SENTIMENT: judge_sentiment,
    SCORE: score,
    NOTIFY: notify,
}
"""What does each step of the plan."""


@celery.task(name=POST_CALL)  # type: ignore[untyped-decorator]
def post_call(call_id: str) -> None:
    """Do what can be done now for a call; ``call_id``: a UUID as text."""
    try:
        wanted = UUID(call_id)
    except ValueError:
        _log.error("a message for the work after a call names no call; it is dropped")
        return
    run_task(lambda tools: work_after(wanted, tools))


async def work_after(call_id: UUID, tools: Tools) -> None:
    """Do the steps of one call. Raises when the database is away."""
    done = await StepRunner(tools.database, WORK, tools, tools.tries).run(call_id)
    if NOTIFY in done:
        tools.sender.wake()
