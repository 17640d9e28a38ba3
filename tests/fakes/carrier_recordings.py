"""A carrier that records calls: remembers what was asked of it, and gives a file."""

from __future__ import annotations

import shutil
from pathlib import Path

from telephony.errors import CarrierError


class FakeCarrierRecordings:
    def __init__(self, wav: Path | None = None) -> None:
        self.asked: list[str] = []
        self.wav = wav
        self.failing: dict[str, int] = {}
        """How often a request fails still, by its name."""
        self.retryable = True

    async def start(self, carrier_call_id: str) -> str:
        self._ask("start")
        return "RE1"

    async def pause(self, carrier_call_id: str, recording: str) -> None:
        self._ask("pause")

    async def resume(self, carrier_call_id: str, recording: str) -> None:
        self._ask("resume")

    async def stop(self, carrier_call_id: str, recording: str) -> None:
        self._ask("stop")

    async def find(self, carrier_call_id: str) -> str:
        self._ask("find")
        return "RE1"

    async def fetch(self, recording: str, path: Path, most_bytes: int) -> None:
        self._ask("fetch")
        if self.wav is None:
            raise CarrierError("not ready", retryable=True)
        shutil.copy(self.wav, path)

    async def delete(self, recording: str) -> None:
        self._ask("delete")

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if self.failing.get(what, 0):
            self.failing[what] -= 1
            raise CarrierError("no", retryable=self.retryable)
