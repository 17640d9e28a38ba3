from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.engines.supply import download
from tests.peers.file_server import FileServer


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setattr(download, "_PAUSE_SECONDS", 0.01)
    with FileServer().running() as server:
        yield server
