"""Waiting for a moment of the event loop's clock, cheaply and without drift."""

from __future__ import annotations

import asyncio


async def wait_until(loop: asyncio.AbstractEventLoop, when: float) -> None:
    """Return once ``loop.time()`` has reached ``when``; at once, without a trip round the loop, if it has.

    One future and one timer; cancellation removes the timer.
    """
    if loop.time() >= when:
        return
    reached: asyncio.Future[None] = loop.create_future()
    timer = loop.call_at(when, _resolve, reached)
    try:
        await reached
    finally:
        timer.cancel()


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
