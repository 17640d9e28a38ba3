"""Engines that are checked at the start and tried when they were given up, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from app.engines.errors import EngineError, EngineUnavailable
from app.engines.fallback.language_model import FallbackLanguageModel
from app.engines.fallback.roster import TRIAL_SECONDS
from tests.app.engines.fallback.models import SENTENCE, SETTINGS, STALL, GoesOn, Model, collect, warmed
from tests.fakes.clock import run_virtual


def test_engines_start_side_by_side_and_one_that_is_away_is_tried_later() -> None:
    async def work() -> None:
        first, second = Model("first"), GoesOn("second")
        first.unreachable = True
        shared = FallbackLanguageModel([first, second], SETTINGS)
        await shared.start()
        assert [standing.state for standing in shared.standings] == ["open", "closed"]
        assert (await collect(shared))[0] == SENTENCE
        assert not first.requests
        watching = asyncio.create_task(shared.watch())
        first.unreachable = False
        await asyncio.sleep(5.5)
        assert shared.standings[0].state == "closed"
        watching.cancel()
        await asyncio.wait([watching])
        await shared.close()

    run_virtual(work())


def test_what_can_never_start_is_found_at_the_start() -> None:
    async def work() -> None:
        problem = EngineError("first", "answers 404: no such model", retryable=False)
        refusing = Model("first", otherwise=(problem,))
        with pytest.raises(EngineUnavailable, match="first: answers 404: no such model"):
            await FallbackLanguageModel([refusing, GoesOn("second")], SETTINGS).start()
        away = Model("first")
        away.unreachable = True
        with pytest.raises(EngineUnavailable, match="no connection"):
            await FallbackLanguageModel([away], SETTINGS).start()

    run_virtual(work())


@asynccontextmanager
async def watched(shared: FallbackLanguageModel) -> AsyncIterator[None]:
    watching = asyncio.create_task(shared.watch())
    try:
        yield
        assert not watching.done()
    finally:
        watching.cancel()
        await asyncio.wait([watching])


def states(shared: FallbackLanguageModel) -> list[str]:
    return [standing.state for standing in shared.standings]


def test_the_first_caller_does_not_wait_for_one_that_failed_its_check() -> None:
    async def work() -> None:
        first, second = Model("first", otherwise=(EngineError("first", "answers 500"),)), GoesOn("second")
        shared = FallbackLanguageModel([first, second], SETTINGS)
        await shared.start()
        assert states(shared) == ["open", "closed"]
        async with watched(shared):
            assert (await collect(shared))[:2] == (SENTENCE, 0.0)
            assert len(first.requests) == 1
            first.otherwise = ("Yes.",)
            await asyncio.sleep(5.5)
            assert states(shared) == ["closed", "closed"]

    run_virtual(work())


def test_a_check_that_every_engine_fails_gives_none_up() -> None:
    async def work() -> None:
        shared = FallbackLanguageModel([Model("first", otherwise=(EngineError("first", "500"),))], SETTINGS)
        await shared.start()
        assert states(shared) == ["closed"]

    run_virtual(work())


def test_engines_are_checked_side_by_side() -> None:
    async def work() -> None:
        engines = [Model(name, otherwise=(STALL,)) for name in ("first", "second", "third")]
        loop = asyncio.get_running_loop()
        began = loop.time()
        await FallbackLanguageModel([*engines, GoesOn("fourth")], SETTINGS).start()
        assert loop.time() - began == pytest.approx(TRIAL_SECONDS)

    run_virtual(work())


def test_a_trial_that_hangs_keeps_no_other_engine_out() -> None:
    async def work() -> None:
        first, second, third = Model("first", otherwise=(STALL,)), Model("second"), GoesOn("third")
        first.unreachable = second.unreachable = True
        shared = FallbackLanguageModel([first, second, third], SETTINGS)
        await shared.start()
        first.unreachable = second.unreachable = False
        async with watched(shared):
            await asyncio.sleep(5.5)
            assert states(shared) == ["half_open", "closed", "closed"]
            second.otherwise = (EngineError("second", "down"),)  # given up meanwhile, it has its turn too
            for _ in range(3):
                await collect(shared)
            assert states(shared) == ["half_open", "open", "closed"]
            second.otherwise = ("Yes.",)
            await asyncio.sleep(5.5)
            assert states(shared) == ["half_open", "closed", "closed"]

    run_virtual(work())


def test_a_model_that_says_nothing_fails_its_trials_and_operators_read_why() -> None:
    async def work() -> None:
        first, second = Model("first", otherwise=()), GoesOn("second")
        shared = FallbackLanguageModel([first, second], SETTINGS)
        with capture_logs() as logs:
            await shared.start()
            assert states(shared) == ["open", "closed"]
            async with watched(shared):
                await asyncio.sleep(6.0)
                assert states(shared) == ["open", "closed"]
        assert [log["error"] for log in logs] == ["first: it said nothing"] * 2

    run_virtual(work())


def test_a_library_that_fails_in_a_trial_costs_its_engine_and_not_the_server() -> None:
    async def work() -> None:
        first, second = Model("first", otherwise=(EngineError("first", "down"),)), GoesOn("second")
        shared = FallbackLanguageModel([first, second], SETTINGS)
        await warmed(shared)
        async with watched(shared):
            for _ in range(3):
                await collect(shared)
            first.otherwise = (RuntimeError("a library's bug"),)
            await asyncio.sleep(6.0)
            assert states(shared) == ["open", "closed"]
            first.otherwise = ("Yes.",)
            await asyncio.sleep(10.0)
            assert states(shared) == ["closed", "closed"]

    run_virtual(work())


def test_a_call_that_fails_while_a_trial_runs_does_not_undo_it() -> None:
    async def work() -> None:
        first, second = Model("first", otherwise=(EngineError("first", "down"),)), GoesOn("second")
        shared = FallbackLanguageModel([first, second], SETTINGS)
        await warmed(shared)
        async with watched(shared):
            for _ in range(3):
                await collect(shared)
            first.replies.append([2.0, "Yes."])
            await asyncio.sleep(5.5)
            assert states(shared) == ["half_open", "closed"]
            shared.roster.failed(shared.roster.candidates[0], EngineError("first", "an older request"))
            await asyncio.sleep(2.0)
            assert states(shared) == ["closed", "closed"]

    run_virtual(work())
