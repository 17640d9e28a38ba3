from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from app.engines.timing import WaitLimit


@pytest.fixture
async def limit() -> AsyncIterator[WaitLimit]:
    limit = WaitLimit()
    yield limit
    limit.close()


async def answer(seconds: float, text: str = "done") -> str:
    await asyncio.sleep(seconds)
    return text


async def test_what_comes_in_time_is_given(limit: WaitLimit) -> None:
    for number in range(5):
        assert await limit.wait(answer(0.02, str(number)), 5.0) == str(number)


async def test_each_wait_has_all_of_its_time(limit: WaitLimit) -> None:
    for _ in range(8):
        assert await limit.wait(answer(0.1), 0.4) == "done"


@pytest.mark.parametrize("before", [(), (5.0,), (0.01, 5.0), (0.2, 0.2)])
async def test_a_wait_ends_at_its_limit_whatever_was_waited_for_before(
    limit: WaitLimit, before: tuple[float, ...]
) -> None:
    for seconds in before:
        await limit.wait(answer(0.0), seconds)
    began = asyncio.get_running_loop().time()
    with pytest.raises(TimeoutError):
        await limit.wait(answer(30.0), 0.05)
    assert 0.045 <= asyncio.get_running_loop().time() - began < 1.0
    assert await limit.wait(answer(0.01), 5.0) == "done"


async def test_the_work_is_cancelled_and_the_task_goes_on(limit: WaitLimit) -> None:
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.sleep(30)
        finally:
            ended.set()

    with pytest.raises(TimeoutError):
        await limit.wait(work(), 0.01)
    assert ended.is_set()
    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling()
    async with asyncio.timeout(1.0):
        await asyncio.sleep(0.01)


async def test_a_cancellation_is_none_of_its_own(limit: WaitLimit) -> None:
    task = asyncio.create_task(limit.wait(answer(30.0), 5.0))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancellation_at_the_limit_stays_one(limit: WaitLimit) -> None:
    async def both() -> None:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().call_later(0.01, task.cancel)
        await limit.wait(_stubborn(), 0.02)

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(both())


async def _stubborn() -> None:
    """Ends some time after it is cancelled."""
    try:
        await asyncio.sleep(30)
    finally:
        await asyncio.sleep(0.1)


@pytest.mark.parametrize("ends", ["returns", "raises"])
async def test_work_that_hides_its_cancellation_leaves_none_behind(limit: WaitLimit, ends: str) -> None:
    async def work() -> str:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            if ends == "raises":
                raise ValueError("its own") from None
        return "late"

    if ends == "raises":
        with pytest.raises(ValueError, match="its own"):
            await limit.wait(work(), 0.01)
    else:
        assert await limit.wait(work(), 0.01) == "late"
    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling()


async def test_limits_are_independent_and_nest() -> None:
    inner, outer = WaitLimit(), WaitLimit()

    async def work() -> str:
        with pytest.raises(TimeoutError):
            await inner.wait(asyncio.sleep(30), 0.01)
        return await inner.wait(answer(0.05), 5.0)

    assert await outer.wait(work(), 5.0) == "done"
    with pytest.raises(TimeoutError):
        await outer.wait(inner.wait(answer(30.0), 10.0), 0.01)
    inner.close()
    outer.close()


async def test_waits_may_be_of_different_tasks(limit: WaitLimit) -> None:
    for _ in range(3):
        assert await asyncio.create_task(limit.wait(answer(0.01), 0.5)) == "done"
    with pytest.raises(TimeoutError):
        await asyncio.create_task(limit.wait(answer(30.0), 0.05))


async def test_no_timer_is_left_after_close() -> None:
    limit = WaitLimit()
    await limit.wait(answer(0.0), 0.05)
    limit.close()
    limit.close()
    await asyncio.sleep(0.1)
    assert await limit.wait(answer(0.0), 5.0) == "done"
    limit.close()


def test_it_works_on_the_event_loop_of_a_server() -> None:
    uvloop = pytest.importorskip("uvloop")

    async def main() -> None:
        limit = WaitLimit()
        for _ in range(3):
            assert await limit.wait(answer(0.05), 0.1) == "done"
        with pytest.raises(TimeoutError):
            await limit.wait(answer(30.0), 0.02)
        limit.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
