"""Names of voices that an engine does not have, which are the request's fault and not the engine's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from app.engines.errors import EngineError, RequestRefused

LISTED = "'trunkline voices' lists those that there are"


class UnspokenError(EngineError):
    """A server that is there spoke nothing: it may mean that it has no such voice."""


def no_voice(engine: str, name: str) -> RequestRefused:
    """The error of a name that is no voice of the engine."""
    return RequestRefused(engine, f"there is no voice {name!r}; {LISTED}")


@contextmanager
def speaking_as(engine: str, name: str, is_listed: Callable[[str], bool]) -> Iterator[None]:
    """Raises ``RequestRefused`` where a voice that is not listed meets an ``UnspokenError``.

    It is asked all the same: servers get new voices after their list was read.
    """
    try:
        yield
    except UnspokenError:
        if not name or is_listed(name):
            raise
        raise no_voice(engine, name) from None
