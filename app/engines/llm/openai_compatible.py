"""The ``openai`` language model: any server of OpenAI's chat completions (vLLM, Ollama, OpenAI, Gemini).

Streams with ``stream=true``; a reply that is no longer wanted closes its HTTP stream, which makes such
servers stop generating. Thoughts (``<think>``, ``reasoning_content``) do not leave here. It reports no
``Expectation``: what a model asks the caller for cannot be told soundly from its words.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx2
import openai

from app.engines.errors import EngineError, EngineTimeout, EngineUnavailable
from app.engines.llm.think import ThinkFilter
from app.engines.ports import Delta, Message, ReplyRequest, TextDelta, ToolCall, ToolSpec
from config.settings import OpenAISettings

_NAME = "openai_compatible"
_OWN_URL = "https://api.openai.com/v1"
_IDLE_SECONDS = 300.0  # a connection is kept warm between turns
_CONNECTIONS = 1000
_MESSAGE_CHARACTERS = 200  # of a server's own error text


class OpenAICompatible:
    """Replies from the server at ``settings.base_url``; empty: OpenAI's own."""

    name = _NAME

    def __init__(self, settings: OpenAISettings) -> None:
        self._settings = settings
        self._key = settings.api_key.get_secret_value()
        self._url = settings.base_url or _OWN_URL
        self._opened: openai.AsyncOpenAI | None = None

    async def start(self) -> None:
        """Reach the server once: finds mistakes and warms the connection. Raises ``EngineUnavailable``."""
        if not self._settings.model:
            raise EngineUnavailable(_NAME, "no model named; set TRUNKLINE_ENGINES__OPENAI__MODEL")
        if not self._key and not self._settings.base_url:
            raise EngineUnavailable(_NAME, "no key; set TRUNKLINE_ENGINES__OPENAI__API_KEY or __BASE_URL")
        try:
            client = self._client()
            _ = client.chat.completions  # loads its types now, 0.3 s, not with the first caller
            await client.models.list()
        except (openai.AuthenticationError, openai.PermissionDeniedError, openai.APIConnectionError) as error:
            await self.close()
            raise EngineUnavailable(_NAME, f"{self._url}: {self._problem(error)}") from None
        except (openai.OpenAIError, httpx2.HTTPError, ValueError):
            pass  # it answers; not every server lists its models

    async def close(self) -> None:
        """Close all connections; replies still running end with ``EngineError``."""
        client, self._opened = self._opened, None
        if client is not None:
            await client.close()

    async def reply(self, request: ReplyRequest) -> AsyncIterator[Delta]:
        """The reply's text as it comes, then its tool calls.

        Raises ``EngineTimeout`` when the server is silent for ``timeout_seconds``; other ``EngineError``: not
        retryable when the request or the key is refused.
        """
        thoughts, calls, finished = ThinkFilter(), _ToolCalls(), False
        chunks = self._chunks(request)
        try:
            async for choice in chunks:
                delta = getattr(choice, "delta", None)
                spoken = thoughts.feed(_text(delta, "content"))
                if spoken:
                    yield TextDelta(spoken)
                calls.add(getattr(delta, "tool_calls", None))
                finished = finished or bool(getattr(choice, "finish_reason", None))
        finally:
            await chunks.aclose()
        if not finished:
            raise EngineError(_NAME, "the server broke off in the middle of the reply")
        if rest := thoughts.finish():
            yield TextDelta(rest)
        for call in calls.complete():
            yield call

    async def _chunks(self, request: ReplyRequest) -> Any:
        """The first choice of every chunk. Errors become ``EngineError``."""
        stream: Any = None
        seconds = self._settings.timeout_seconds
        try:
            async with asyncio.timeout(seconds):
                stream = await self._client().chat.completions.create(**self._body(request))
            while True:
                async with asyncio.timeout(seconds):
                    chunk = await anext(stream, None)
                if chunk is None:
                    return
                for choice in (getattr(chunk, "choices", None) or ())[:1]:
                    yield choice
        except (TimeoutError, openai.APITimeoutError, httpx2.TimeoutException):
            raise EngineTimeout(_NAME, f"nothing from the server for {seconds:g} s") from None
        except (openai.OpenAIError, httpx2.HTTPError, httpx2.StreamError, ValueError) as error:
            raise EngineError(_NAME, self._problem(error), retryable=_retryable(error)) from None
        finally:
            if stream is not None:
                await stream.close()

    def _client(self) -> openai.AsyncOpenAI:
        if self._opened is None:
            limits = httpx2.Limits(
                max_connections=_CONNECTIONS,
                max_keepalive_connections=_CONNECTIONS,
                keepalive_expiry=_IDLE_SECONDS,
            )
            timeout = httpx2.Timeout(self._settings.timeout_seconds)
            self._opened = openai.AsyncOpenAI(
                base_url=self._url,
                api_key=self._key or "none",  # the client insists on one; local servers want none
                timeout=timeout,
                max_retries=0,  # a caller waits: whoever asked decides about another try
                http_client=openai.DefaultAsyncHttpxClient(limits=limits, timeout=timeout),
            )
        return self._opened

    def _body(self, request: ReplyRequest) -> dict[str, Any]:
        """The call's arguments.

        What may be long passes the client's walk through typed dictionaries by: with 40 messages it stopped
        the event loop for 15 ms, without it for 3.
        """
        body: dict[str, Any] = {
            "messages": [_message(message) for message in request.messages if _says_something(message)],
        }
        if request.tools:
            body["tools"] = [_tool(tool) for tool in request.tools]
        return {
            "model": self._settings.model,
            "messages": (),
            "temperature": self._settings.temperature,
            "max_tokens": self._settings.max_tokens,
            "stream": True,
            "extra_body": body,
        }

    def _problem(self, error: Exception) -> str:
        """What went wrong, for an operator, without the key."""
        match error:
            case openai.AuthenticationError() | openai.PermissionDeniedError():
                return f"the server refuses the key ({error.status_code})"
            case openai.RateLimitError():
                return "the server's rate or quota is used up (429)"
            case openai.APIStatusError():
                return f"the server answers {error.status_code}: {self._quoted(error)}"
            case openai.APITimeoutError():
                return f"no connection within {self._settings.timeout_seconds:g} s"
            case openai.APIConnectionError():
                return "no connection to the server"
            case openai.APIError():
                return f"the server reports: {self._quoted(error)}"
            case httpx2.HTTPError() | httpx2.StreamError():
                return f"the connection broke ({type(error).__name__})"
            case _:
                return "the server sent what is no chat completion"

    def _quoted(self, error: openai.APIError) -> str:
        said = error.body.get("message") if isinstance(error.body, dict) else None
        text = said if isinstance(said, str) else error.message
        shown = text.replace(self._key, "***") if self._key else text
        return " ".join(shown.split())[:_MESSAGE_CHARACTERS]


@dataclass(slots=True)
class _Parts:
    id: str = ""
    name: str = ""
    arguments: str = ""


class _ToolCalls:
    """Puts tool calls together from their pieces, which name an index."""

    def __init__(self) -> None:
        self._calls: dict[int, _Parts] = {}

    def add(self, pieces: Any) -> None:
        for piece in pieces if isinstance(pieces, list) else ():
            index = getattr(piece, "index", None)
            parts = self._calls.setdefault(len(self._calls) if index is None else index, _Parts())
            function = getattr(piece, "function", None)
            parts.id = parts.id or _text(piece, "id")
            parts.name += _text(function, "name")
            parts.arguments += _text(function, "arguments")

    def complete(self) -> list[ToolCall]:
        """The calls, in order. Raises ``EngineError`` for arguments that are no JSON object."""
        return [
            ToolCall(parts.id or f"call-{index}", parts.name, self._arguments(parts))
            for index, parts in sorted(self._calls.items())
        ]

    def _arguments(self, parts: _Parts) -> dict[str, Any]:
        try:
            arguments = json.loads(parts.arguments or "{}")
        except ValueError:
            arguments = None
        if not isinstance(arguments, dict):
            raise EngineError(_NAME, f"the model calls {parts.name!r} with arguments that are no JSON object")
        return arguments


def _text(source: Any, name: str) -> str:
    """A text attribute of what a server sent, which may be anything."""
    value = getattr(source, name, None)
    return value if isinstance(value, str) else ""


def _retryable(error: Exception) -> bool:
    """Whether the same request may succeed later or elsewhere: not when the server refuses it as such."""
    if isinstance(error, openai.APIStatusError):
        return error.status_code in {408, 409, 425, 429} or error.status_code >= 500
    return True


def _says_something(message: Message) -> bool:
    return bool(message.text or message.tool_calls or message.role == "tool")


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


def _tool(tool: ToolSpec) -> dict[str, Any]:
    return {
        "type": "function",
        "function": {
            "name": tool.name,
            "description": tool.description,
            "parameters": tool.parameters,
        },
    }
