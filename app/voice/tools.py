"""What the model may do besides speaking: look something up, hand over, end the call, pause its recording."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import orjson

from app.engines.ports import ToolSpec
from app.voice.ports import AfterReply, Tool, ToolResult
from app.voice.profile import AgentProfile
from app.voice.recording import CallRecording

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


class PauseRecording:
    """Keeps what is said next out of the recording: the number of a card."""

    spec = ToolSpec(
        "pause_recording",
        "Pause the recording of the call. Do so before you ask for a card number or a code.",
        _NOTHING,
    )

    def __init__(self, recording: CallRecording) -> None:
        self._recording = recording

    async def run(self, arguments: dict[str, Any]) -> ToolResult:
        """Takes no arguments. Answers ``{recording: false}``, also where nothing is recorded."""
        self._recording.pause()
        return ToolResult(_json({"recording": False}))


class ResumeRecording:
    """Ends the pause."""

    spec = ToolSpec(
        "resume_recording", "Go on with the recording once the number or code was given.", _NOTHING
    )

    def __init__(self, recording: CallRecording) -> None:
        self._recording = recording

    async def run(self, arguments: dict[str, Any]) -> ToolResult:
        """Takes no arguments. Answers ``{recording}``: false where the call is not recorded at all."""
        return ToolResult(_json({"recording": self._recording.resume()}))


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
    return _allowed(profile, (LookUp(profile.tables), TransferCall(), EndCall()))


def recording_tools(profile: AgentProfile, recording: CallRecording) -> dict[str, Tool]:
    """Those of them that are about the call's recording."""
    return _allowed(profile, (PauseRecording(recording), ResumeRecording(recording)))


def _allowed(profile: AgentProfile, known: tuple[Tool, ...]) -> dict[str, Tool]:
    return {tool.spec.name: tool for tool in known if tool.spec.name in profile.tools}


def _json(value: Mapping[str, Any]) -> str:
    return orjson.dumps(value).decode()
