"""Language models that fail in every way, in virtual time."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import REGISTRY

from app.engines.errors import EngineError, EngineTimeout
from app.engines.fallback.language_model import FallbackLanguageModel
from app.engines.llm.script import Script
from app.engines.llm.scripted import ScriptedLanguageModel
from app.engines.patience import Patience
from app.engines.ports import Delta, Message, Outage, Refusal, ReplyRequest, ToolCall, Working
from app.voice import profile
from config.engines import FallbackSettings
from tests.app.engines.fallback.models import (
    ASK,
    DOWN,
    END,
    OUTAGE,
    SENTENCE,
    SETTINGS,
    STALL,
    TRANSFER,
    TRANSFERRED,
    WORDS,
    GoesOn,
    Model,
    collect,
    failing,
    warmed,
)
from tests.fakes.clock import run_virtual
from tests.fakes.language_model import Step


@pytest.mark.parametrize("how", ["kill", "stall"])
@pytest.mark.parametrize("after", range(len(WORDS) + 1))
def test_the_next_model_goes_on_where_the_first_broke_off(after: int, how: str) -> None:
    async def work() -> None:
        first, second = Model("first", failing(after, how)), GoesOn("second")
        notes: list[tuple[str, Any]] = []
        shared = FallbackLanguageModel([first, second], SETTINGS)
        call = shared.for_call(lambda name, detail: notes.append((name, detail)))
        await warmed(shared)
        text, longest, _ = await collect(call)
        assert text.strip() == SENTENCE
        assert longest <= (1.0 if how == "stall" else 0.01)
        assert first.running == second.running == 0
        assert notes == [("engine_switched", {"port": "llm", "from": "first", "to": "second"})]
        assert call.name == "second"
        await collect(call)  # the call stays with the second
        assert len(second.requests) == 2
        await collect(shared.for_call(lambda *_: None))  # another call does not
        assert len(first.requests) == 2

    run_virtual(work())


@pytest.mark.parametrize("how", ["kill", "stall"])
@pytest.mark.parametrize("after", range(len(WORDS)))
def test_without_another_model_the_script_of_the_outage_apologises(after: int, how: str) -> None:
    async def work() -> None:
        only = Model("first", failing(after, how), failing(0, "kill"))
        shared = FallbackLanguageModel([only], SETTINGS)
        await warmed(shared)
        if how == "stall" and after == 0:
            only.replies[0] = [EngineTimeout("first", "its own timeout")]
        call = shared.for_call(lambda *_: None)
        text, longest, _ = await collect(call)
        assert text == "".join(WORDS[:after]) + "I am sorry."
        assert longest <= 1.0
        yes = (*ASK.messages, Message("assistant", text), Message("user", "yes"))
        only.replies.extend([failing(0, "kill")] * 2)
        assert await collect(call, ReplyRequest(yes, (TRANSFER,), outage=OUTAGE)) == TRANSFERRED

    run_virtual(work())


@pytest.mark.parametrize("words", ["no", "yes", "thank you where is my parcel", "goodbye"])
@pytest.mark.parametrize("script", [profile.OUTAGE, profile.OUTAGE_ALONE])
def test_what_a_caller_answered_before_an_outage_is_no_answer_to_its_script(
    script: Script, words: str
) -> None:
    async def work() -> None:
        talk = [Message("assistant", "Is your address still 5 Main Street?"), Message("user", words)]
        call = down().for_call(lambda *_: None)
        for _ in range(2):  # the first is dropped: the caller went on
            assert (await says(call, talk, script))[0] == script.no_match[0]
            talk[-1] = Message("user", f"{words} I mean")
        talk += [Message("assistant", script.no_match[0]), Message("user", "no")]
        assert (await says(call, talk, script))[2] == [ToolCall("end_call", "end_call", {})]

    run_virtual(work())


def test_an_outage_that_goes_on_is_not_apologised_for_again() -> None:
    async def work() -> None:
        talk = [Message("user", "where is my parcel")]
        call = down().for_call(lambda *_: None)
        for sentence in (profile.OUTAGE.no_match[0], *2 * [profile.OUTAGE.no_match[1]]):
            assert (await says(call, talk))[0] == sentence
            talk += [Message("assistant", sentence), Message("user", "I want my parcel")]
        talk[-1] = Message("user", "yes")
        assert (await says(call, talk))[2] == [ToolCall("transfer_call", "transfer_call", {})]

    run_virtual(work())


@pytest.mark.parametrize(("heard", "answered"), [(5, False), (40, False), (70, True), (None, True)])
def test_only_an_apology_that_was_heard_can_be_answered(heard: int | None, answered: bool) -> None:
    async def work() -> None:
        only = Model("first", ["Your parcel is", DOWN], otherwise=(DOWN,))
        call = FallbackLanguageModel([only], SETTINGS).for_call(lambda *_: None)
        talk = [Message("user", "where is my parcel")]
        text, _, _ = await says(call, talk)
        assert text == f"Your parcel is {profile.OUTAGE.no_match[0]}"
        cut = text[: None if heard is None else len("Your parcel is ") + heard].strip()
        talk += [Message("assistant", cut), Message("user", "yes")]
        assert bool((await says(call, talk))[2]) is answered

    run_virtual(work())


def test_an_outage_after_the_model_has_worked_again_is_another_one() -> None:
    async def work() -> None:
        only = Model("first", [DOWN], ["Do you", " live here?"], otherwise=(DOWN,))
        call = FallbackLanguageModel([only], SETTINGS).for_call(lambda *_: None)
        talk = [Message("user", "where is my parcel")]
        for expected in (profile.OUTAGE.no_match[0], "Do you live here?", profile.OUTAGE.no_match[0]):
            assert await says(call, talk) == (expected, 0.0, [])
            talk += [Message("assistant", expected), Message("user", "yes")]
        assert (await says(call, talk))[2] == [ToolCall("transfer_call", "transfer_call", {})]

    run_virtual(work())


def down() -> FallbackLanguageModel:
    return FallbackLanguageModel([Model("first", otherwise=(DOWN,))], SETTINGS)


async def says(
    call: Any, talk: list[Message], script: Script = profile.OUTAGE
) -> tuple[str, float, list[Delta]]:
    return await collect(call, ReplyRequest(tuple(talk), (TRANSFER, END), outage=script))


def test_a_failure_that_was_quick_is_tried_once_more_where_there_is_no_other() -> None:
    async def work() -> None:
        only = Model("first", failing(2, "kill"), list(WORDS[2:]))
        shared = FallbackLanguageModel([only], SETTINGS)
        assert (await collect(shared))[0] == SENTENCE
        assert len(only.requests) == 2

    run_virtual(work())


def test_a_model_that_was_given_up_is_not_asked_until_a_trial_works() -> None:
    async def work() -> None:
        first, second = Model("first", otherwise=(EngineError("first", "down"),)), GoesOn("second")
        shared = FallbackLanguageModel([first, second], SETTINGS)
        await warmed(shared)
        watching = asyncio.create_task(shared.watch())
        for _ in range(3):
            await collect(shared)
        assert len(first.requests) == 3
        for _ in range(20):
            _, longest, _ = await collect(shared)
            assert longest == 0.0
        assert len(first.requests) == 3
        states = [standing.state for standing in shared.standings]
        assert states == ["open", "closed"]
        await asyncio.sleep(5.1)  # a trial, that fails: ten seconds to the next
        assert len(first.requests) == 4
        first.otherwise = WORDS
        await asyncio.sleep(9.0)
        assert len(first.requests) == 4
        await asyncio.sleep(1.2)
        assert len(first.requests) == 5
        assert shared.standings[0].state == "closed"
        await collect(shared)
        assert len(first.requests) == 6
        watching.cancel()
        await asyncio.wait([watching])

    run_virtual(work())


@pytest.mark.parametrize("how", ["kill", "stall"])
def test_a_model_that_always_breaks_off_is_given_up(how: str) -> None:
    async def work() -> None:
        first, second = Model("first", otherwise=tuple(failing(2, how))), GoesOn("second")
        shared = FallbackLanguageModel([first, second], SETTINGS)
        await warmed(shared)
        for _ in range(10):
            await collect(shared)
        assert len(first.requests) == 3
        assert shared.standings[0].state == "open"

    run_virtual(work())


def test_when_all_are_given_up_the_caller_hears_of_it_at_once() -> None:
    async def work() -> None:
        first = Model("first", otherwise=(EngineError("first", "down", retryable=False),))
        shared = FallbackLanguageModel([first], SETTINGS)
        for _ in range(3):
            await collect(shared)
        asked = len(first.requests)
        assert (await collect(shared))[:2] == ("I am sorry.", 0.0)
        deltas = [delta async for delta in shared.reply(ASK)]
        assert deltas[0] == Outage()
        assert deltas.count(Outage()) == 1
        assert len(first.requests) == asked

    run_virtual(work())


def test_an_agent_without_a_script_hears_of_the_outage_from_a_list_that_ends_in_scripts() -> None:
    async def work() -> None:
        shared = FallbackLanguageModel([Model("first", otherwise=(DOWN,)), ScriptedLanguageModel()], SETTINGS)
        await warmed(shared)
        for _ in range(5):
            assert (await collect(shared))[0] == "I am sorry."
        assert shared.standings[1].state == "closed"
        other = Script(no_match=("We are closed today.",))
        assert (await collect(shared, replace(ASK, script=other)))[0] == "We are closed today."

    run_virtual(work())


def test_who_has_no_words_for_an_outage_gets_the_error() -> None:
    async def work() -> None:
        shared = FallbackLanguageModel([Model("first", otherwise=(EngineError("first", "down"),))], SETTINGS)
        for problem in ("down", "down", "given up"):
            with pytest.raises(EngineError, match=problem):
                await collect(shared, ReplyRequest(ASK.messages))

    run_virtual(work())


def test_a_tool_call_ends_the_reply_even_if_the_model_fails_after_it() -> None:
    async def work() -> None:
        call = ToolCall("1", "look_up", {})
        first, second = Model("first", ["One moment.", call, EngineError("first", "late")]), GoesOn("second")
        shared = FallbackLanguageModel([first, second], SETTINGS)
        assert await collect(shared) == ("One moment.", 0.0, [call])
        assert not second.requests

    run_virtual(work())


def test_work_that_is_not_spoken_keeps_a_model_from_being_late_and_goes_no_further() -> None:
    async def work() -> None:
        first = Model("first", [Working(), 0.9, Working(), 0.9, Working(), 0.9, Refusal("no"), "Sorry."])
        shared = FallbackLanguageModel([first, GoesOn("second")], SETTINGS)
        text, longest, others = await collect(shared)
        assert (text, others) == ("Sorry.", [Refusal("no")])
        assert longest == pytest.approx(2.7)

    run_virtual(work())


def test_a_model_without_another_gets_time_for_a_tool_call_after_a_sentence_but_not_within_one() -> None:
    async def work() -> None:
        call = ToolCall("1", "look_up", {})
        cases: tuple[tuple[list[Step], tuple[str, list[Delta]], float], ...] = (
            (["One moment. ", 1.4, call], ("One moment. ", [call]), 1.4),
            (["One moment. ", STALL, call], ("One moment. I am sorry.", []), 1.5),
            (["One moment", STALL, call], ("One moment I am sorry.", []), 1.0),
            ([Working(), 2.5, call], ("", [call]), 2.5),
        )
        for steps, expected, silence in cases:
            shared = FallbackLanguageModel([Model("only", steps)], SETTINGS)
            await warmed(shared)
            request = ReplyRequest(ASK.messages, (TRANSFER,), outage=OUTAGE)
            text, longest, others = await collect(shared, request)
            assert (text, others) == expected
            assert longest == pytest.approx(silence)
        shared = FallbackLanguageModel([Model("only", ["Well. ", STALL])], SETTINGS)
        assert (await collect(shared))[1] == pytest.approx(1.0)  # it was offered no tool

    run_virtual(work())


def test_a_late_first_token_is_raced_by_a_second_request() -> None:
    async def work() -> None:
        model = Model("first", [2.0, "slow"], [0.05, "fast"], otherwise=(0.1, "usual"))
        shared = FallbackLanguageModel([model], FallbackSettings())
        await warmed(shared)
        text, longest, _ = await collect(shared)
        assert text == "fast"
        assert longest == pytest.approx(0.17, abs=0.01)
        assert model.running == 0
        for _ in range(12):  # which earn another second request
            await collect(shared)
        model.replies.extend([[0.15, "first"], [2.0, "second"]])  # the first one wins after all
        text, longest, _ = await collect(shared)
        assert (text, model.running) == ("first", 0)

    run_virtual(work())


def test_a_server_that_is_slow_for_everybody_does_not_get_twice_the_load() -> None:
    async def work() -> None:
        model = Model("first", otherwise=(0.5, "slow"))
        shared = FallbackLanguageModel([model], FallbackSettings())
        await warmed(shared)
        for _ in range(100):
            await collect(shared)
            shared.roster.candidates[0].first.observe(0.1)
            shared.roster.candidates[0].first.observe(0.1)
        assert len(model.requests) == 110
        model.requests.clear()
        await asyncio.gather(*(collect(shared) for _ in range(100)))
        assert len(model.requests) <= 101

    run_virtual(work())


def test_a_second_request_wins_only_what_it_answers() -> None:
    async def work() -> None:
        model = Model("first", [0.5, DOWN], [0.5, DOWN])
        shared = FallbackLanguageModel([model, GoesOn("second")], FallbackSettings())
        await warmed(shared)
        shared.roster.candidates[0].first = Patience(2.0, 2.0)
        for _ in range(50):
            shared.roster.candidates[0].first.observe(0.1)
        before = hedges_won()
        await collect(shared)
        assert len(model.requests) == 2
        assert hedges_won() == before

    run_virtual(work())


def hedges_won() -> float:
    labels = {"engine": "first", "fate": "won"}
    return REGISTRY.get_sample_value("trunkline_engine_hedges_total", labels) or 0.0


@pytest.mark.parametrize("taken", range(4))
def test_a_reply_may_be_closed_at_any_point(taken: int) -> None:
    async def work() -> None:
        first, second = Model("first", failing(2, "kill")), GoesOn("second")
        shared = FallbackLanguageModel([first, second], FallbackSettings())
        await warmed(shared)
        reply: Any = shared.reply(ASK)
        for _ in range(taken):
            await anext(reply)
        await reply.aclose()
        assert first.running == second.running == 0

    run_virtual(work())
