"""How late the event loop is: whatever holds it up makes each call of the process stumble."""

from __future__ import annotations

import asyncio

from app.metrics import LOOP_LAG_SECONDS

LOOK_SECONDS = 0.25


async def watch_loop() -> None:
    """Measure it, until cancelled: a sleep and an observation, four times a second."""
    clock = asyncio.get_running_loop().time
    while True:
        due = clock() + LOOK_SECONDS
        await asyncio.sleep(LOOK_SECONDS)
        LOOP_LAG_SECONDS.observe(max(0.0, clock() - due))
