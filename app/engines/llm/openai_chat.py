"""OpenAI's chat completions as data: a request's messages and tools, an answer's chunks. Pure.

Servers of this API differ: any attribute of what they send may be missing or of another type.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.engines.errors import EngineError
from app.engines.llm.inband import InbandFilter
from app.engines.ports import Delta, Message, Refusal, TextDelta, ToolCall, ToolSpec, Working

_MOST_TOKENS = 1 << 53  # that a metric can add
_GO_ON = (
    "(Your reply was cut off after these words, which the caller has heard. Go on with the very next word. "
    "Do not repeat any of it, and do not mention this.)"
)
_CARRIES = ("content", "reasoning_content", "reasoning", "refusal", "tool_calls")


def chat_messages(messages: Sequence[Message], said: str = "") -> list[dict[str, Any]]:
    """The messages that say something; after words ``said`` of the reply, the model is asked to go on."""
    begun = (Message("assistant", said), Message("user", _GO_ON)) if said else ()
    return [_message(one) for one in (*messages, *begun) if one.text or one.tool_calls or one.role == "tool"]


def chat_tools(tools: Sequence[ToolSpec]) -> list[dict[str, Any]]:
    """The tools as functions."""
    return [
        {
            "type": "function",
            "function": {
                "name": tool.name,
                "description": tool.description,
                "parameters": tool.parameters,
            },
        }
        for tool in tools
    ]


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens that an answer took: of the request, of them known from before, and of the answer."""

    prompt: int
    cached: int
    completion: int


def usage_of(chunk: Any) -> Usage | None:
    """What a chunk says of it: the last one does, where it was asked for, and with some servers each one."""
    usage = getattr(chunk, "usage", None)
    prompt, completion = _number(usage, "prompt_tokens"), _number(usage, "completion_tokens")
    if not prompt and not completion:
        return None
    return Usage(prompt, _number(getattr(usage, "prompt_tokens_details", None), "cached_tokens"), completion)


class ChatAnswer:
    """Puts an answer together from the first choice of its chunks. ``engine`` is for errors.

    ``tokens_setting``: the variable of the most tokens that an answer may have.
    """

    def __init__(self, engine: str, tokens_setting: str) -> None:
        self.finished = False
        self._engine, self._tokens_setting = engine, tokens_setting
        self._text = InbandFilter()
        self._calls: dict[int, _Parts] = {}
        self._refused = ""
        self._finish = ""
        self._said = False

    def take(self, chunk: Any) -> Delta | None:
        """What a chunk brings. Raises ``EngineError`` for what is no chunk."""
        choices = getattr(chunk, "choices", None) or ()
        for choice in choices[:1]:
            delta = getattr(choice, "delta", None)
            self._finish = _text(choice, "finish_reason") or self._finish
            self.finished = bool(self._finish)
            self._refused += _text(delta, "refusal")
            self._add_calls(getattr(delta, "tool_calls", None))
            if spoken := self._text.feed(_text(delta, "content")):
                self._said = True
                return TextDelta(spoken)
            if any(getattr(delta, part, None) for part in _CARRIES):
                return Working()
        return None

    def end(self) -> list[Delta]:
        """What is left once it is finished. Raises ``EngineError`` for an answer that cannot be used."""
        if not self.finished:
            raise EngineError(self._engine, "the server broke off in the middle of the reply")
        rest = self._text.finish()
        for written in self._text.calls:
            self._add_written(written)
        refused = bool(self._refused) or self._finish == "content_filter"
        if self._finish == "length" and not (self._said or rest or self._calls or refused):
            problem = "the model thought for all the tokens it may use and said nothing"
            raise EngineError(self._engine, f"{problem}; raise {self._tokens_setting}, or stop its thinking")
        return [
            *([TextDelta(rest)] if rest else ()),
            *([Refusal(self._refused)] if refused else ()),
            *(self._call(index, parts) for index, parts in sorted(self._calls.items())),
        ]

    def _add_calls(self, pieces: Any) -> None:
        """Pieces of tool calls, which name an index."""
        for piece in pieces if isinstance(pieces, list) else ():
            index = getattr(piece, "index", None)
            parts = self._calls.setdefault(index if isinstance(index, int) else self._next(), _Parts())
            function = getattr(piece, "function", None)
            parts.id = parts.id or _text(piece, "id")
            parts.name += _text(function, "name")
            parts.arguments += _text(function, "arguments")

    def _add_written(self, text: str) -> None:
        """A whole call as JSON with ``name`` and ``arguments``."""
        call = _parsed(text)
        if not isinstance(call, dict) or not isinstance(call.get("name"), str):
            raise EngineError(self._engine, "the model writes a tool call that is no JSON with a name")
        arguments = json.dumps(call.get("arguments") or {})
        self._calls[self._next()] = _Parts("", call["name"], arguments)

    def _call(self, index: int, parts: _Parts) -> ToolCall:
        arguments = _parsed(parts.arguments or "{}")
        if not isinstance(arguments, dict):
            problem = f"the model calls {parts.name!r} with arguments that are no JSON object"
            raise EngineError(self._engine, problem)
        return ToolCall(parts.id or f"call-{index}", parts.name, arguments)

    def _next(self) -> int:
        return max(self._calls, default=-1) + 1


@dataclass(slots=True)
class _Parts:
    id: str = ""
    name: str = ""
    arguments: str = ""


def _message(message: Message) -> dict[str, Any]:
    if message.role == "tool":
        return {"role": "tool", "content": message.text, "tool_call_id": message.tool_call_id or ""}
    if not message.tool_calls:
        return {"role": message.role, "content": message.text}
    calls = [
        {
            "id": call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": json.dumps(call.arguments)},
        }
        for call in message.tool_calls
    ]
    return {"role": "assistant", "content": message.text or None, "tool_calls": calls}


def _parsed(text: str) -> Any:
    """``None`` for what is no JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _text(source: Any, name: str) -> str:
    value = getattr(source, name, None)
    return value if isinstance(value, str) else ""


def _number(source: Any, name: str) -> int:
    value = getattr(source, name, None)
    return value if isinstance(value, int) and 0 <= value <= _MOST_TOKENS else 0
