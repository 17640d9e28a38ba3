"""Translators that break off in every place, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from app.engines.errors import EngineError, RequestRefused
from app.engines.fallback.language_model import FallbackLanguageModel
from app.engines.fallback.translator import FallbackTranslator
from app.engines.llm.scripted import ScriptedLanguageModel
from app.engines.mt.llm import LlmTranslator
from app.engines.ports import TranslationRequest
from config.engines import FallbackSettings
from tests.fakes.clock import run_virtual
from tests.fakes.language_model import FakeLanguageModel, Step
from tests.fakes.translator import FakeTranslator

ASK = TranslationRequest("where is my parcel now", "en", "ca")
WHOLE = "erehw si ym lecrap won"
SETTINGS = FallbackSettings()


class Tongue(FakeTranslator):
    """Breaks off after so many words, with an error or silently; may choose other words."""

    def __init__(
        self, name: str, after: int | None = None, how: str = "kill", *, other: bool = False
    ) -> None:
        super().__init__(0.01)
        self.name, self.after, self._how, self._other = name, after, how, other
        self.refuses = False

    async def translate(self, request: TranslationRequest) -> AsyncGenerator[str, None]:
        number = 0
        async for piece in super().translate(request):
            if self.refuses:
                raise RequestRefused(self.name, "no such pair")
            if number == self.after:
                await asyncio.sleep(99.0 if self._how == "stall" else 0.0)
                raise EngineError(self.name, "killed")
            yield piece.upper() + "x" if self._other else piece
            number += 1


def listed(*engines: Tongue) -> FallbackTranslator:
    shared = FallbackTranslator(engines, SETTINGS)
    for candidate in shared.roster.candidates:
        candidate.started = True
        for _ in range(50):
            candidate.first.observe(0.02)
            candidate.gap.observe(0.02)
    return shared


async def collect(engine: Any) -> tuple[str, float]:
    loop = asyncio.get_running_loop()
    text, longest, last = "", 0.0, loop.time()
    async for piece in engine.translate(ASK):
        longest, last = max(longest, loop.time() - last), loop.time()
        text += piece
    return text, longest


@pytest.mark.parametrize("how", ["kill", "stall"])
@pytest.mark.parametrize("after", range(5))
def test_the_next_translator_says_no_word_again(after: int, how: str) -> None:
    async def work() -> None:
        first, second = Tongue("first", after, how), Tongue("second")
        notes: list[Any] = []
        call = listed(first, second).for_call(lambda *note: notes.append(note))
        text, longest = await collect(call)
        assert text == WHOLE
        assert longest <= 0.6
        assert notes == [("engine_switched", {"port": "mt", "from": "first", "to": "second"})]
        await collect(call)
        assert (len(first.requests), len(second.requests)) == (1, 2)

    run_virtual(work())


def test_one_that_always_breaks_off_is_given_up() -> None:
    async def work() -> None:
        first, second = Tongue("first", 2), Tongue("second")
        shared = listed(first, second)
        for _ in range(10):
            assert (await collect(shared))[0] == WHOLE
        assert len(first.requests) == 3
        assert shared.standings[0].state == "open"

    run_virtual(work())


def test_other_words_follow_as_a_whole() -> None:
    async def work() -> None:
        text, _ = await collect(listed(Tongue("first", 2), Tongue("second", other=True)))
        assert text == "erehw si EREHWx SIx YMx LECRAPx WONx"

    run_virtual(work())


def test_with_no_translator_left_the_error_is_the_last_ones() -> None:
    async def work() -> None:
        with pytest.raises(EngineError, match="second: killed"):
            await collect(listed(Tongue("first", 1), Tongue("second", 2)))

    run_virtual(work())


def test_a_slow_translator_is_waited_for_where_the_other_has_failed() -> None:
    async def work() -> None:
        second = Tongue("second")
        second.delay = 3.0
        text, longest = await collect(listed(Tongue("first", 0), second))
        assert text == WHOLE
        assert longest == pytest.approx(3.0, abs=0.02)

    run_virtual(work())


async def test_a_translation_that_a_model_broke_off_is_gone_on_with_by_the_next_translator() -> None:
    broken: list[Step] = ["erehw ", "si ", EngineError("model", "killed")]
    models = FallbackLanguageModel([FakeLanguageModel(otherwise=broken), ScriptedLanguageModel()], SETTINGS)
    shared = FallbackTranslator([LlmTranslator(models), Tongue("second")], SETTINGS)
    await shared.start()
    assert (await collect(shared))[0] == WHOLE


def test_a_pair_of_languages_that_is_refused_keeps_no_translator_out() -> None:
    async def work() -> None:
        first, second = Tongue("first", 0), Tongue("second")
        shared = listed(first, second)
        watching = asyncio.create_task(shared.watch())
        for _ in range(3):
            await collect(shared)
        assert shared.standings[0].state == "open"
        first.refuses = True
        await asyncio.sleep(5.5)
        assert len(first.requests) == 4
        assert shared.standings[0].state == "closed"
        watching.cancel()
        await asyncio.wait([watching])

    run_virtual(work())


def test_one_is_tried_in_the_languages_that_calls_need() -> None:
    async def work() -> None:
        first, second = Tongue("first", 0), Tongue("second")
        shared = listed(first, second)
        await shared.start()
        assert not first.requests  # nobody has said what is to be translated
        watching = asyncio.create_task(shared.watch())
        for _ in range(4):
            assert (await collect(shared))[0] == WHOLE
        assert len(first.requests) == 3
        first.after = None
        await asyncio.sleep(5.5)
        assert (first.requests[-1].source, first.requests[-1].target) == ("en", "ca")
        assert first.requests[-1].text != ASK.text
        assert shared.standings[0].state == "closed"
        watching.cancel()
        await asyncio.wait([watching])

    run_virtual(work())
