"""What the tasks of a worker work with, built from the settings and shared by all of its tasks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import structlog

from app.db.session import Database
from app.db.start import open_database
from app.engines.build import build_language_models
from app.engines.errors import EngineUnavailable
from app.engines.ports import LanguageModel
from app.places import build_places
from app.postcall.judge import Judge
from app.postcall.steps import StepFailed, Tries
from app.privacy.entities import EntityModelError, load_entities
from app.privacy.find import EntityModel
from app.webhooks.guard import Guard
from app.webhooks.sending import Sender, Sending, open_client
from config.settings import Settings

NO_JUDGES = frozenset({"scripted", "timed"})
"""Language models that answer callers and cannot judge a call."""

POOL = 2  # connections of each call that is worked on: its lock, and its transactions

_log = structlog.get_logger(__name__)


class Tools:
    """The database, the places of recordings, and the language models, started when they are first asked."""

    def __init__(
        self, settings: Settings, database: Database, http: httpx.AsyncClient, stack: AsyncExitStack
    ) -> None:
        self.settings = settings
        self.database = database
        after = settings.after_calls
        self.tries = Tries(after.step_seconds, after.attempts, after.retry_seconds)
        self.places = build_places(settings)
        self.sender = _sender(settings, database, http)
        self._stack = stack
        self._models = _models(settings)
        self._starting = asyncio.Lock()
        self._judge: Judge | None = None
        self._entities: EntityModel | None = None

    @property
    def has_judge(self) -> bool:
        """Whether the settings name a language model that can judge calls."""
        return bool(self._models)

    async def entities(self) -> EntityModel | None:
        """The model of names, loaded; ``None`` where the settings name none. Raises ``StepFailed``."""
        async with self._starting:
            if self._entities is None:
                try:
                    name = self.settings.privacy.entity_model
                    self._entities = await asyncio.to_thread(load_entities, name)
                except EntityModelError as error:
                    raise StepFailed(str(error)) from error
            return self._entities

    async def judge(self) -> Judge:
        """The language models, started. Raises ``StepFailed`` while none can be."""
        async with self._starting:
            if self._judge is None:
                self._judge = Judge(await self._started(), self.settings.after_calls.model_seconds)
            return self._judge

    async def _started(self) -> list[LanguageModel]:
        started, problems = [], []
        for model in self._models:
            try:
                await model.start()
            except EngineUnavailable as error:
                problems.append(str(error))
            else:
                self._stack.push_async_callback(model.close)
                started.append(model)
        if not started:
            raise StepFailed("; ".join(problems))
        if problems:
            _log.warning("some language models do not judge calls", reasons=problems)
        return started


@asynccontextmanager
async def open_tools(settings: Settings) -> AsyncIterator[Tools]:
    """Everything opened; closed at the end. Raises ``DatabaseError``, ``EngineUnavailable``."""
    url = settings.database_url.get_secret_value()
    pool_size = POOL * settings.after_calls.concurrency
    async with (
        open_database(url, settings.data_dir, pool_size=pool_size) as database,
        AsyncExitStack() as stack,
    ):
        http = await stack.enter_async_context(open_client())
        yield Tools(settings, database, http, stack)


def _models(settings: Settings) -> list[LanguageModel]:
    """Those that can judge, best first, not started. Answers about a call are long, steady and not urgent."""
    after, engines = settings.after_calls, settings.engines
    change = {
        "max_tokens": after.max_tokens,
        "temperature": 0.0,
        "timeout_seconds": after.model_seconds,
    }
    patient = engines.model_copy(
        update={
            "llm": after.llm or engines.llm,
            "openai": engines.openai.model_copy(update=change),
            "servers": {name: one.model_copy(update=change) for name, one in engines.servers.items()},
        }
    )
    return [model for model in build_language_models(patient) if model.name not in NO_JUDGES]


def _sender(settings: Settings, database: Database, http: httpx.AsyncClient) -> Sender:
    webhooks = settings.webhooks
    how = Sending(webhooks.timeout_seconds, webhooks.retry_seconds, webhooks.concurrency)
    return Sender(database, Guard(webhooks.allow), http, how)
