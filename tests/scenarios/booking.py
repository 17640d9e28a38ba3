"""A tool that changes something, slowly: what an interruption must neither kill nor double."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from app.engines.ports import ToolSpec
from app.voice.ports import Tool, ToolResult
from app.voice.profile import AgentProfile
from app.voice.tools import tools_of

SECONDS = 1.5


class Book:
    """Books once every time it runs to its end, and says how often that was in this call."""

    spec = ToolSpec("book", "Book a courier.", {"type": "object", "properties": {}}, writes=True)

    def __init__(self) -> None:
        self._booked = 0

    async def run(self, arguments: dict[str, Any]) -> ToolResult:
        await asyncio.sleep(SECONDS)
        self._booked += 1
        return ToolResult(f"couriers booked so far {self._booked}")


@contextmanager
def every_agent_books() -> Iterator[None]:
    """Inside, every call's agent has the tool ``book`` besides those of its profile."""

    def with_booking(profile: AgentProfile) -> dict[str, Tool]:
        return {**tools_of(profile), Book.spec.name: Book()}

    with patch("app.voice.session.tools_of", with_booking):
        yield
