"""Every day: delete what is older than the settings and the agents' profiles let it become."""

from __future__ import annotations

import structlog

from app.agents.loading import load_agents
from app.calls.erasing.retention import Days, Retention
from app.calls.erasing.retention import apply_retention as apply
from app.recordings.stores import StoreError
from app.rest.once import forget_old_answers
from app.tasks.celery import celery
from app.tasks.runtime import run_task
from app.tasks.tools import Tools
from app.voice.profile import AgentProfile
from app.webhooks.repository import forget_delivered
from config.settings import RetentionSettings

DELIVERED_DAYS = 30
"""How long a webhook's message is kept once its receiver has it."""

_log = structlog.get_logger(__name__)


@celery.task(name="apply_retention")  # type: ignore[untyped-decorator]
def apply_retention() -> None:
    """Delete it."""
    run_task(_apply)


async def _apply(tools: Tools) -> None:
    async with tools.database.transaction() as session:
        await forget_delivered(session, DELIVERED_DAYS)
        await forget_old_answers(session)
        agents = await load_agents(session)
    keep = retention_of(tools.settings.retention, [agent.profile for agent in agents.values()])
    try:
        await apply(tools.database, tools.places.store, keep)
    except StoreError as error:
        _log.error("recordings that are too old cannot be deleted; it is tried again", reason=str(error))


def retention_of(settings: RetentionSettings, profiles: list[AgentProfile]) -> Retention:
    """How long what is kept: the settings, and what agents say otherwise."""

    def days(name: str) -> Days:
        own = {profile.name: getattr(profile.after.retention, name) for profile in profiles}
        differing = {agent: count for agent, count in own.items() if count is not None}
        return Days(getattr(settings, name), differing)

    return Retention(days("recordings_days"), days("transcripts_days"), days("calls_days"))
