"""A language model that says what it is told to say."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterable, Sequence
from typing import TypeAlias

from app.engines.ports import Delta, ReplyRequest, TextDelta

Step: TypeAlias = Delta | str | float | Exception
"""A delta, a text, seconds to wait, or an error to raise."""


class FakeLanguageModel:
    """Each request gets the next of ``replies``, then ``otherwise``. It notes ``requests``, ``running``."""

    name = "fake"

    def __init__(
        self, replies: Iterable[Sequence[Step]] = (), otherwise: Sequence[Step] = ("Good ", "day.")
    ) -> None:
        self.replies = deque(replies)
        self.otherwise = otherwise
        self.requests: list[ReplyRequest] = []
        self.running = 0

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    def reply(self, request: ReplyRequest) -> AsyncGenerator[Delta, None]:
        self.requests.append(request)
        return self._reply(self.replies.popleft() if self.replies else self.otherwise)

    async def _reply(self, steps: Sequence[Step]) -> AsyncGenerator[Delta, None]:
        self.running += 1
        try:
            for step in steps:
                if isinstance(step, Exception):
                    raise step
                if isinstance(step, float):
                    await asyncio.sleep(step)
                else:
                    yield TextDelta(step) if isinstance(step, str) else step
        finally:
            self.running -= 1
