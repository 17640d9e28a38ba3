"""What engines raise: which engine, what happened, and whether another try makes sense."""

from __future__ import annotations


class EngineError(Exception):
    """An engine failed. ``retryable``: the same request may succeed on another try or engine.

    Its text names the engine; ``message`` does not.
    """

    def __init__(self, engine: str, message: str, *, retryable: bool = True) -> None:
        super().__init__(f"{engine}: {message}")
        self.engine = engine
        self.message = message
        self.retryable = retryable


class EngineUnavailable(EngineError):
    """The engine cannot start: a model, library, setting or server is missing. The message says what to do.

    ``retryable``: it may start later, as it is; a server that is not reached now.
    """

    def __init__(self, engine: str, message: str, *, retryable: bool = False) -> None:
        super().__init__(engine, message, retryable=retryable)


class RequestRefused(EngineError):
    """The engine works and does not serve this request: an unknown voice, a refused text.

    The request's fault, as a pair of languages that is not installed: it says nothing about how the engine
    serves others.
    """

    def __init__(self, engine: str, message: str, *, retryable: bool = False) -> None:
        super().__init__(engine, message, retryable=retryable)


class EngineTimeout(EngineError):
    """The engine did not answer in the time it was given."""
