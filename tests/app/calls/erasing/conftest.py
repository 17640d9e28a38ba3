"""Where the recordings of these tests are."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.recordings.ports import Places
from app.recordings.stores import LocalFolder
from tests.app.calls.erasing.made import Away


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """The folder, and a bucket besides."""
    folder = tmp_path / "recordings"
    return Places(folder, LocalFolder(folder), others=(Away(tmp_path / "bucket"),))


@pytest.fixture
def away(tmp_path: Path) -> Away:
    """A bucket."""
    return Away(tmp_path / "bucket")
