"""The ``openai_compatible`` language model: any server of OpenAI's chat completions (vLLM, Ollama, OpenAI).

Streams with ``stream=true``; a reply that is no longer wanted closes its HTTP stream, which makes such
servers stop generating. Thoughts (``<think>``, ``reasoning_content``) and refusals are not spoken; tool calls
written into the text (``<tool_call>``) are tool calls. It reports no ``Expectation``: what a model asks the
caller for cannot be told soundly from its words.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import httpx2
import openai

from app.engines.errors import EngineError, RequestRefused
from app.engines.llm.openai_chat import ChatAnswer, Usage, chat_messages, chat_tools, usage_of
from app.engines.openai_client import chat_endpoint
from app.engines.ports import Delta, ReplyRequest
from app.engines.timing import Breath, WaitLimit
from app.metrics import LANGUAGE_TOKENS
from config.engines import OpenAISettings

_NAME = "openai_compatible"
_REFUSES_EXTRAS = {400, 422}
_REFUSES_REQUEST = {"400", "413", "422"}  # it is too long, or a filter of the server stops it
_NO_JSON = (ValueError, RecursionError)
_USAGE_SECONDS = 0.2


class OpenAICompatible:
    """Replies from the server at ``settings.base_url``; empty: OpenAI's own.

    ``server``: whose settings they are among ``TRUNKLINE_ENGINES__SERVERS``; empty: the first and only one's.
    """

    def __init__(self, settings: OpenAISettings, server: str = "") -> None:
        self.name = f"{_NAME}:{server}" if server else _NAME
        self._settings = settings
        group = f"SERVERS__{server.upper()}" if server else "OPENAI"
        self._endpoint = chat_endpoint(self.name, group, settings)
        self._tokens_setting = f"TRUNKLINE_ENGINES__{group}__MAX_TOKENS"
        self._counts = True  # the server says how many tokens it took
        self._works = False  # it has begun an answer: model and parameters are right
        self._opened: openai.AsyncOpenAI | None = None

    async def start(self) -> None:
        """Reach the server once: finds mistakes and warms the connection. Raises ``EngineUnavailable``."""
        self._endpoint.check_complete(self._settings.model)
        if self._opened is None:
            self._opened = await asyncio.to_thread(self._built)
        try:
            await self._opened.models.list()
        except openai.APIConnectionError:
            await self.close()
            raise self._endpoint.unreached() from None
        except (openai.AuthenticationError, openai.PermissionDeniedError) as error:
            await self.close()
            raise self._endpoint.unavailable(error.status_code) from None
        except (openai.OpenAIError, httpx2.HTTPError, *_NO_JSON):
            pass  # it answers; not every server lists its models

    async def close(self) -> None:
        """Close all connections; replies still running end with ``EngineError``."""
        client, self._opened = self._opened, None
        if client is not None:
            await client.close()

    async def reply(self, request: ReplyRequest) -> AsyncGenerator[Delta, None]:
        """The reply's text as it comes, then its tool calls.

        Raises ``EngineTimeout`` when the server is silent for ``timeout_seconds``; ``RequestRefused`` when it
        refuses a request (400, 413, 422) though it has answered one before, and so where it comes to refuse
        all. Until its first answer, which the trial at the start asks for, that is an error of the set-up:
        another ``EngineError``, not retryable, as for a refused key.
        """
        answer = ChatAnswer(self.name, self._tokens_setting)
        chunks = self._chunks(request, answer)
        try:
            async for chunk in chunks:
                if (delta := answer.take(chunk)) is not None:
                    yield delta
        finally:
            await chunks.aclose()
        for delta in answer.end():
            yield delta

    async def _chunks(self, request: ReplyRequest, answer: ChatAnswer) -> Any:
        """The chunks of an answer; its tokens are counted. Errors become ``EngineError``.

        Once the answer is finished, only what it took is still to come, and not worth waiting for. Some
        servers say in each chunk what it has taken so far.
        """
        stream: Any = None
        usage: Usage | None = None
        limit, breath = WaitLimit(), Breath()
        try:
            stream = await limit.wait(self._opened_stream(request), self._settings.timeout_seconds)
            self._client()  # a connection that was still being made outlives its client
            while (chunk := await self._next(stream, answer, limit)) is not None:
                self._works = True
                usage = usage_of(chunk) or usage
                yield chunk
                await breath.take()  # chunks that came at once are read between other work
        except (TimeoutError, openai.APITimeoutError, httpx2.TimeoutException):
            raise self._endpoint.silent() from None
        except (openai.OpenAIError, httpx2.HTTPError, httpx2.StreamError, *_NO_JSON) as error:
            raise self._failure(error, request) from None
        finally:
            if usage is not None:
                self._count(usage)
            limit.close()
            if stream is not None:
                await stream.close()

    async def _opened_stream(self, request: ReplyRequest) -> Any:
        """A server that answers only where it is not to count tokens is not asked to any more."""
        counted = self._counts
        try:
            return await self._client().chat.completions.create(**self._body(request, counted=counted))
        except openai.APIStatusError as error:
            if not counted or error.status_code not in _REFUSES_EXTRAS:
                raise
        stream = await self._client().chat.completions.create(**self._body(request, counted=False))
        self._counts = False
        return stream

    async def _next(self, stream: Any, answer: ChatAnswer, limit: WaitLimit) -> Any:
        if not answer.finished:
            return await limit.wait(anext(stream, None), self._settings.timeout_seconds)
        try:
            return await limit.wait(anext(stream, None), _USAGE_SECONDS)
        except (TimeoutError, openai.OpenAIError, httpx2.HTTPError, httpx2.StreamError, *_NO_JSON):
            return None

    def _count(self, usage: Usage) -> None:
        LANGUAGE_TOKENS.labels(self.name, "prompt").inc(usage.prompt)
        LANGUAGE_TOKENS.labels(self.name, "cached").inc(usage.cached)
        LANGUAGE_TOKENS.labels(self.name, "completion").inc(usage.completion)

    def _client(self) -> openai.AsyncOpenAI:
        if self._opened is None:
            raise EngineError(self.name, "it is not started, or closed")
        return self._opened

    def _built(self) -> openai.AsyncOpenAI:
        """A new client; 30 ms, in a thread, and 0.3 s for the first one."""
        client = openai.AsyncOpenAI(
            base_url=self._endpoint.url,
            api_key=self._endpoint.key or "none",  # the client insists on one; local servers want none
            timeout=self._settings.timeout_seconds,
            max_retries=0,  # a caller waits: whoever asked decides about another try
            http_client=self._endpoint.connections(),
        )
        _ = client.chat.completions  # loads its types now, not with the first caller
        return client

    def _body(self, request: ReplyRequest, *, counted: bool) -> dict[str, Any]:
        """The call's arguments.

        What may be long passes the client's walk through typed dictionaries by: with 40 messages it stopped
        the event loop for 15 ms, without it for 3.
        """
        body: dict[str, Any] = {"messages": chat_messages(request.messages, request.said)}
        if request.tools:
            body["tools"] = chat_tools(request.tools)
        if counted:
            body["stream_options"] = {"include_usage": True}
        return {
            "model": self._settings.model,
            "messages": (),
            "temperature": self._settings.temperature,
            "max_tokens": self._settings.max_tokens,
            "stream": True,
            "extra_body": body,
        }

    def _failure(self, error: Exception, request: ReplyRequest) -> EngineError:
        match error:
            case openai.APIError() if self._works and (status := _status(error)) in _REFUSES_REQUEST:
                problem = f"the server refuses this request ({status}), though it has answered others"
                return RequestRefused(self.name, f"{problem}: it is too long for the model, or filtered")
            case openai.APIStatusError():
                return self._endpoint.refused(error.status_code, _said(error), _sent(request))
            case openai.APIConnectionError():
                return EngineError(self.name, "no connection to the server")
            case openai.APIError():
                said = self._endpoint.quoted(_said(error), _sent(request)) or "an error"
                return EngineError(self.name, f"the server reports: {said}")
            case httpx2.HTTPError() | httpx2.StreamError():
                return self._endpoint.broken(error)
            case _:
                return EngineError(self.name, "the server sent what is no chat completion")


def _status(error: openai.APIError) -> str:
    """The HTTP status, or the one that some servers report within a stream."""
    return str(error.status_code if isinstance(error, openai.APIStatusError) else error.code)


def _said(error: openai.APIError) -> str:
    """The server's own words."""
    said = error.body.get("message") if isinstance(error.body, dict) else None
    return said if isinstance(said, str) else error.message


def _sent(request: ReplyRequest) -> str:
    """All that a request says of a caller."""
    called = (str(call.arguments) for message in request.messages for call in message.tool_calls)
    return " ".join((*(message.text for message in request.messages), request.said, *called))
