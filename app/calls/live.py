"""This process's calls: places held, conversations running, and the end of both at shutdown."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from uuid import UUID

from app.voice.session import CallSession

PLACE_SECONDS = 60.0
"""How long a place is held for a call that was announced and did not come."""


class LiveCalls:
    """Counts calls against the process's limit. Time comes from ``clock``, in seconds."""

    def __init__(self, max_calls: int, clock: Callable[[], float]) -> None:
        self._max_calls = max_calls
        self._clock = clock
        self._held: dict[str, float] = {}  # carrier's call id -> when the place is freed, oldest first
        self._sessions: dict[UUID, CallSession] = {}
        self._call_ids: dict[str, UUID] = {}
        self._emptied = asyncio.Event()
        self._emptied.set()
        self.draining = False

    def __len__(self) -> int:
        """Conversations running."""
        return len(self._sessions)

    @property
    def full(self) -> bool:
        """No further call can be taken."""
        self._free_places()
        return len(self._sessions) + len(self._held) >= self._max_calls

    def reserve(self, carrier_call_id: str) -> bool:
        """See ``CallHandler.reserve``."""
        self._free_places()
        if self.draining:
            return False
        if carrier_call_id in self._held or carrier_call_id in self._call_ids:
            return True
        if self.full:
            return False
        self._held[carrier_call_id] = self._clock() + PLACE_SECONDS
        return True

    def begin(self, carrier_call_id: str, call_id: UUID, session: CallSession) -> None:
        """The announced call is answered."""
        self._held.pop(carrier_call_id, None)
        self._sessions[call_id] = session
        self._call_ids[carrier_call_id] = call_id
        self._emptied.clear()

    def finish(self, carrier_call_id: str, call_id: UUID) -> None:
        """The call is over."""
        self._sessions.pop(call_id, None)
        if self._call_ids.get(carrier_call_id) == call_id:
            del self._call_ids[carrier_call_id]
        if not self._sessions:
            self._emptied.set()

    def call_id(self, carrier_call_id: str) -> UUID | None:
        """Our id of a running call."""
        return self._call_ids.get(carrier_call_id)

    def call_ids(self) -> list[UUID]:
        """Our ids of all running calls."""
        return list(self._sessions)

    def session(self, call_id: UUID) -> CallSession | None:
        """The running conversation with this id."""
        return self._sessions.get(call_id)

    def sessions(self) -> list[CallSession]:
        """The running conversations."""
        return list(self._sessions.values())

    async def wait_empty(self, seconds: float) -> bool:
        """Wait until no call runs, for at most so long; whether none does."""
        try:
            async with asyncio.timeout(seconds):
                await self._emptied.wait()
        except TimeoutError:
            return False
        return True

    def _free_places(self) -> None:
        now = self._clock()
        while self._held:
            oldest = next(iter(self._held))
            if self._held[oldest] > now:
                return
            del self._held[oldest]
