"""What the model may do besides speaking: look something up, hand over, end the call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import orjson

from app.engines.ports import ToolSpec
from app.voice.ports import AfterReply, Tool, ToolResult
from app.voice.profile import AgentProfile

_NOTHING: dict[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}


class LookUp:
    """Reads a row of the agent's own small tables."""

    def __init__(self, tables: Mapping[str, Mapping[str, Mapping[str, str]]]) -> None:
        self._tables = tables
        self.spec = ToolSpec(
            "look_up",
            "Look up a row by its key. Answers {found, ...fields}.",
            {
                "type": "object",
                "properties": {
                    "table": {"type": "string", "enum": sorted(tables)},
                    "key": {"type": "string", "description": "digits without spaces, for a number"},
                },
                "required": ["table", "key"],
                "additionalProperties": False,
            },
            writes=False,
        )

    async def run(self, arguments: dict[str, Any]) -> ToolResult:
        """The row as JSON with ``found``."""
        table = self._tables.get(str(arguments.get("table")))
        if table is None:
            return ToolResult(
                _json({"found": False, "error": f"table must be one of {sorted(self._tables)}"})
            )
        row = table.get(str(arguments.get("key")))
        return ToolResult(_json({"found": row is not None, **(row or {})}))


class TransferCall:
    """Hands the caller to a person once the reply was heard."""

    spec = ToolSpec("transfer_call", "Transfer the caller to a person. Say so first.", _NOTHING)

    async def run(self, arguments: dict[str, Any]) -> ToolResult:
        """Takes no arguments."""
        return ToolResult(_json({"ok": True}), AfterReply.TRANSFER)


class EndCall:
    """Hangs up once the reply was heard."""

    spec = ToolSpec("end_call", "Hang up. Say goodbye first.", _NOTHING)

    async def run(self, arguments: dict[str, Any]) -> ToolResult:
        """Takes no arguments."""
        return ToolResult(_json({"ok": True}), AfterReply.HANG_UP)


class RunningTools:
    """The tools of one call that are being used. A tool outlives the reply that used it."""

    def __init__(self, start: Callable[[Coroutine[Any, Any, Any]], asyncio.Task[Any]]) -> None:
        self._start = start
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, ToolResult]) -> asyncio.Task[ToolResult]:
        """Run a tool."""
        task = self._start(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def settled(self) -> None:
        """Wait until none runs any more: the next request to the model must know their results."""
        if self._tasks:
            await asyncio.wait(self._tasks)


def tools_of(profile: AgentProfile) -> dict[str, Tool]:
    """The tools that the profile allows, by name."""
    known: tuple[Tool, ...] = (LookUp(profile.tables), TransferCall(), EndCall())
    return {tool.spec.name: tool for tool in known if tool.spec.name in profile.tools}


def _json(value: Mapping[str, Any]) -> str:
    return orjson.dumps(value).decode()
