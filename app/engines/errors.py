"""What engines raise: which engine, what happened, and whether another try makes sense."""

from __future__ import annotations


class EngineError(Exception):
    """An engine failed. ``retryable``: the same request may succeed on another try or engine."""

    def __init__(self, engine: str, message: str, *, retryable: bool = True) -> None:
        super().__init__(f"{engine}: {message}")
        self.engine = engine
        self.retryable = retryable


class EngineUnavailable(EngineError):
    """The engine cannot start: a model, library or server is missing. The message says where to put it."""

    def __init__(self, engine: str, message: str) -> None:
        super().__init__(engine, message, retryable=False)


class EngineTimeout(EngineError):
    """The engine did not answer in the time it was given."""
