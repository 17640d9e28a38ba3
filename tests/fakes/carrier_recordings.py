"""A carrier that records calls: remembers what was asked of it, and gives a file while it has one."""

from __future__ import annotations

import shutil
from pathlib import Path

from telephony.errors import CarrierError

ID = "RE1"


class FakeCarrierRecordings:
    def __init__(self, wav: Path | None = None, *, has: bool = True) -> None:
        """``has``: it has recorded the call already."""
        self.asked: list[str] = []
        self.wav = wav
        self.kept = {ID} if has else set[str]()
        """The recordings that it has."""
        self.failing: dict[str, int] = {}
        """How often a request fails still, by its name."""
        self.retryable = True

    async def start(self, carrier_call_id: str) -> str:
        self._ask("start")
        self.kept.add(ID)
        return ID

    async def pause(self, carrier_call_id: str, recording: str) -> None:
        self._ask("pause")

    async def resume(self, carrier_call_id: str, recording: str) -> None:
        self._ask("resume")

    async def stop(self, carrier_call_id: str, recording: str) -> None:
        self._ask("stop")

    async def find(self, carrier_call_id: str) -> str:
        self._ask("find")
        return next(iter(self.kept), "")

    async def fetch(self, recording: str, path: Path, most_bytes: int) -> None:
        self._ask("fetch")
        if self.wav is None or recording not in self.kept:
            raise CarrierError("not ready", retryable=True)
        shutil.copy(self.wav, path)

    async def delete(self, recording: str) -> None:
        self._ask("delete")
        self.kept.discard(recording)

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if self.failing.get(what, 0):
            self.failing[what] -= 1
            raise CarrierError("no", retryable=self.retryable)
