"""Language models beside the client that they use; lists of engines beside one engine alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import openai
from pydantic import SecretStr

from app.engines.fallback.language_model import FallbackLanguageModel
from app.engines.fallback.recogniser import FallbackRecogniser
from app.engines.fallback.synthesiser import FallbackSynthesiser
from app.engines.llm.openai_compatible import OpenAICompatible
from app.engines.llm.scripted import ScriptedLanguageModel
from app.engines.ports import LanguageModel, Message, ReplyRequest, TextDelta
from app.engines.stt.timed import TimedRecogniser
from app.engines.stt.wyoming import WyomingRecogniser
from app.engines.tts.wyoming import WyomingSynthesiser
from config.engines import FallbackSettings, OpenAISettings, TimedSettings, WyomingSettings
from tests.contracts.overhead import bare
from tests.contracts.overhead.hearing import FRAMES, hear
from tests.contracts.overhead.measure import Row, Way, Ways, started
from tests.contracts.overhead.speaking import PHRASE, speak
from tests.fakes.language_model import FakeLanguageModel
from tests.fakes.recogniser import FakeRecogniser
from tests.fakes.synthesiser import FakeSynthesiser
from tests.peers.apart import DELTAS, Addresses

_TALK = (
    Message("system", "You answer the phone of a parcel service. Be brief and kind."),
    *[
        Message("user", "A sentence of about ten words, as one says them."),
        Message("assistant", "A sentence of about ten words, as one hears them."),
    ]
    * 5,
    Message("user", "Where is my parcel?"),
)
_PIECES = len(PHRASE) // 2
_PER_ITEM = 20e-6


async def reply(engine: LanguageModel) -> float:
    """Seconds to the first token."""
    watch, text = bare.Stopwatch(), ""
    async for delta in engine.reply(ReplyRequest(_TALK)):
        if isinstance(delta, TextDelta):
            watch.lap()
            text += delta.text
    assert len(text.split()) == DELTAS
    return watch.first


@asynccontextmanager
async def openai_compatible(addresses: Addresses, folder: Path) -> AsyncIterator[list[Row]]:
    messages = [{"role": message.role, "content": message.text} for message in _TALK]
    async with (
        started(OpenAICompatible(_chat(addresses))) as engine,
        openai.AsyncOpenAI(base_url=addresses.chat, api_key="k") as library,
    ):
        ways = Ways(Way(partial(bare.chat, library, messages)), Way(partial(reply, engine)))
        yield [Row("openai_compatible llm / openai", ways, f"{DELTAS} tokens", most_cpu=0.001)]


@asynccontextmanager
async def fallback(addresses: Addresses, folder: Path) -> AsyncIterator[list[Row]]:
    """A list of two over an engine that costs next to nothing, and over an adapter."""
    said = tuple(f" word{number}" for number in range(DELTAS))
    wyoming = WyomingSettings(stt_url=addresses.wyoming, tts_url=addresses.wyoming)
    other: Any
    lists: list[tuple[str, Any, Any, Any, Any, tuple[int, str]]] = []
    other = ScriptedLanguageModel
    for model in (FakeLanguageModel(otherwise=said), OpenAICompatible(_chat(addresses))):
        lists.append(("llm", FallbackLanguageModel, model, other, reply, (DELTAS, "token")))
    other = FakeSynthesiser
    for voice in (FakeSynthesiser(), WyomingSynthesiser(wyoming)):
        lists.append(("tts", FallbackSynthesiser, voice, other, speak, (_PIECES, "piece")))
    other = partial(TimedRecogniser, TimedSettings())
    for recogniser in (FakeRecogniser(), WyomingRecogniser(wyoming)):
        lists.append(("stt", FallbackRecogniser, recogniser, other, hear, (FRAMES, "frame")))
    rows: list[Row] = []
    async with AsyncExitStack() as stack:
        for port, kind, engine, second, use, items in lists:
            both = await stack.enter_async_context(
                started(kind([engine, second()], FallbackSettings(hedge=False)))
            )
            ways = Ways(Way(partial(use, engine)), Way(partial(use, both)))
            most_cpu = _PER_ITEM * items[0]
            rows.append(Row(f"fallback {port} / {engine.name}", ways, items=items, most_cpu=most_cpu))
        yield rows


def _chat(addresses: Addresses) -> OpenAISettings:
    return OpenAISettings(base_url=addresses.chat, api_key=SecretStr("k"), model="m")
