"""Which models a reply is asked of, what they are told, and how long each may take, in virtual time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from app.engines.errors import EngineError
from app.engines.fallback.language_model import FallbackLanguageModel
from app.engines.llm.script import Intent, Script
from app.engines.llm.scripted import ScriptedLanguageModel
from app.engines.ports import LanguageModel, Message, Refusal, ReplyRequest, ToolCall, Working
from config.engines import FallbackSettings
from tests.app.engines.fallback.models import (
    ASK,
    DOWN,
    SENTENCE,
    SETTINGS,
    TRANSFER,
    WORDS,
    GoesOn,
    Model,
    collect,
    failing,
    warmed,
)
from tests.fakes.clock import run_virtual
from tests.fakes.language_model import Step

PARCEL = Intent(phrases=("where is my parcel",), say="Your parcel is on its way.")
HOURS = Intent(phrases=("go on with the very next word", "opening hours"), say="We open at eight.")
SCRIPT = Script(intents={"parcel": PARCEL, "hours": HOURS})


@pytest.mark.parametrize("after", range(4))
def test_a_script_that_takes_over_answers_what_the_caller_said(after: int) -> None:
    async def work() -> None:
        first = Model("first", failing(after, "kill"))
        shared = FallbackLanguageModel([first, ScriptedLanguageModel()], SETTINGS)
        assert (await collect(shared, replace(ASK, script=SCRIPT)))[0] == PARCEL.say

    run_virtual(work())


def test_a_model_that_takes_over_is_told_what_was_said() -> None:
    async def work() -> None:
        first, second = Model("first", [" ", DOWN], failing(2, "kill")), GoesOn("second")
        for said in ("", "Your parcel "):
            await collect(FallbackLanguageModel([first, second], SETTINGS))
            assert second.requests[-1] == replace(ASK, said=said)

    run_virtual(work())


@pytest.mark.parametrize("pieces", [
    ("Your", " parcel", " is", " out", " for", " deliv", "ery", " today", "."),
    ("It", " is", " 12", "345", ", and", " it", " costs", " 12", ".", "50", " euros", "."),
])  # fmt: skip
def test_a_model_goes_on_after_a_whole_word(pieces: tuple[str, ...]) -> None:
    class Rest(Model):
        def reply(self, request: ReplyRequest) -> Any:
            assert request.said.split() == whole.split()[: len(request.said.split())]
            return self._reply([whole[len(request.said) :]])

    async def work() -> None:
        for after in range(len(pieces) + 1):
            first = Model("first", [*pieces[:after], DOWN])
            assert (await collect(FallbackLanguageModel([first, Rest("second")], SETTINGS)))[0] == whole

    whole = "".join(pieces)
    run_virtual(work())


def test_the_first_words_of_one_that_took_over_are_whole_too() -> None:
    async def work() -> None:
        third = GoesOn("third")
        models = [Model("first", failing(1, "kill")), Model("second", ["parcel i", DOWN]), third]
        assert (await collect(FallbackLanguageModel(models, SETTINGS)))[0] == SENTENCE
        assert third.requests[0].said == "Your parcel "

    run_virtual(work())


def test_a_slow_model_is_waited_for_where_no_other_can_answer() -> None:
    async def work() -> None:
        slow: list[Step] = [1.3, *WORDS]
        lists: tuple[list[LanguageModel], ...] = (
            [Model("first", otherwise=(DOWN,)), Model("slow", slow)],
            [Model("slow", slow), ScriptedLanguageModel()],
            [ScriptedLanguageModel(), Model("slow", slow)],
        )
        for models in lists:
            shared = FallbackLanguageModel(models, SETTINGS)
            text, longest, _ = await collect(shared)
            assert text == SENTENCE
            assert longest == pytest.approx(1.3)

    run_virtual(work())


def test_a_call_never_goes_to_a_script_that_there_is_not() -> None:
    async def work() -> None:
        notes: list[str] = []
        first = Model("first", failing(0, "kill"))
        shared = FallbackLanguageModel([first, ScriptedLanguageModel()], SETTINGS)
        call = shared.for_call(lambda name, _: notes.append(name))
        assert (await collect(call))[0] == SENTENCE  # it was asked once more
        assert (call.name, notes) == ("first", [])
        alone = FallbackLanguageModel([ScriptedLanguageModel()], SETTINGS)
        with pytest.raises(EngineError, match="scripted: the agent has no script"):
            await collect(alone, ReplyRequest(ASK.messages))

    run_virtual(work())


def test_the_rest_of_a_sentence_is_not_waited_for_longer_from_a_model_that_is_asked_anew() -> None:
    async def work() -> None:
        for known, longest in ((0.1, 1.0), (0.75, 1.1475)):  # a second, or as with another model
            only = Model("first", failing(2, "kill"), [9.9, *WORDS[2:]])
            shared = FallbackLanguageModel([only], SETTINGS)
            await warmed(shared)
            for _ in range(200):
                shared.roster.candidates[0].first.observe(known)
            text, silence, _ = await collect(shared)
            assert text == "Your parcel I am sorry."
            assert silence == pytest.approx(longest)

    run_virtual(work())


@pytest.mark.parametrize("said", ["We are open ", "We are open. "])
def test_a_longer_gap_that_is_allowed_is_allowed_after_a_sentence_too(said: str) -> None:
    async def work() -> None:
        shared = FallbackLanguageModel(
            [Model("first", [said, 4.0, "Come by."])], FallbackSettings(hedge=False, gap_most=5.0)
        )
        await warmed(shared)
        request = replace(ASK, tools=(TRANSFER,))
        assert (await collect(shared, request))[0] == f"{said}Come by."

    run_virtual(work())


@pytest.mark.parametrize("steps", [(), (" ", "\n"), (Working(),)])
@pytest.mark.parametrize("hedge", [False, True])
def test_a_model_that_says_nothing_has_failed(steps: tuple[Step, ...], hedge: bool) -> None:
    async def work() -> None:
        first, second = Model("first", otherwise=steps), GoesOn("second")
        shared = FallbackLanguageModel([first, second], FallbackSettings(hedge=hedge))
        await warmed(shared)
        for _ in range(5):
            text, longest, _ = await collect(shared)
            assert (text.strip(), longest) == (SENTENCE, 0.0)
        assert len(first.requests) == 3
        assert shared.standings[0].state == "open"

    run_virtual(work())


def test_a_second_request_that_says_nothing_wins_nothing() -> None:
    async def work() -> None:
        model = Model("first", [0.3, *WORDS], [])
        shared = FallbackLanguageModel([model], FallbackSettings())
        await warmed(shared)
        assert (await collect(shared))[0] == SENTENCE
        assert len(model.requests) == 2

    run_virtual(work())


def test_nothing_may_follow_words_a_tool_or_a_script() -> None:
    async def work() -> None:
        call = ToolCall("1", "look_up", {})
        used = (*ASK.messages, Message("assistant", "", (call,)), Message("tool", "null", tool_call_id="1"))
        silent = Script(intents={"parcel": Intent(phrases=("where is my parcel",))})
        for models, request, expected in (
            ([Model("first", failing(7, "kill")), Model("second", otherwise=())], ASK, (SENTENCE, [])),
            ([Model("first", otherwise=())], replace(ASK, messages=used), ("", [])),
            ([Model("first", otherwise=(call,))], ASK, ("", [call])),
            ([Model("first", otherwise=(Refusal(),))], ASK, ("", [Refusal()])),
            ([ScriptedLanguageModel()], replace(ASK, script=silent), ("", [])),
        ):
            text, _, others = await collect(FallbackLanguageModel(models, SETTINGS), request)
            assert (text, others) == expected

    run_virtual(work())
