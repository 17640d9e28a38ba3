"""The control of a recording that only remembers what it was told."""

from __future__ import annotations


class FakeRecording:
    def __init__(self) -> None:
        self.told: list[str] = []

    @property
    def recording(self) -> bool:
        last = [word for word in self.told if word != "begin"][-1:]
        return "begin" in self.told and last in ([], ["resume"])

    def begin(self) -> None:
        self.told.append("begin")

    def pause(self) -> None:
        self.told.append("pause")

    def resume(self) -> None:
        self.told.append("resume")

    def refuse(self) -> None:
        self.told.append("refuse")
