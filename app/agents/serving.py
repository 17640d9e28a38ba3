"""Refusing a profile that no recogniser of this process takes, while somebody is there to be told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

from pydantic import ValidationError
from starlette.requests import Request

from app.engines.errors import EngineError, RequestRefused
from app.errors import Conflict
from app.voice.profile import AgentProfile

_SECONDS = 1.0
"""A recogniser that has not said no by then is asked again by the ``AgentKeeper`` of every process."""

Takes: TypeAlias = Callable[[AgentProfile], Awaitable[None]]
"""Raises ``RequestRefused`` for a profile whose callers no recogniser could understand."""


async def refuse_unserved(request: Request, profile: Mapping[str, Any]) -> None:
    """Raises ``Conflict`` for a profile that cannot answer calls in the process that is asked."""
    takes: Takes | None = request.app.state.parts.takes
    if takes is None:
        return
    try:
        async with asyncio.timeout(_SECONDS):
            await takes(AgentProfile.model_validate(profile))
    except RequestRefused as error:
        raise Conflict(
            f"no recogniser takes this profile ({error}); change its language, or name an engine that takes "
            "it in TRUNKLINE_ENGINES__STT"
        ) from None
    except (EngineError, TimeoutError, ValidationError):
        return  # engines in trouble; a stored profile that answered already, and is told of in the log
