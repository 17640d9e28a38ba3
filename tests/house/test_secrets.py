"""Secrets of a first start, where several processes start, and where the disk refuses."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from app.places import build_places
from config.secrets import SecretsError, complete_secrets, read_secrets
from config.settings import Settings


def test_of_first_starts_at_once_one_makes_them(tmp_path: Path) -> None:
    starts = 8
    together = Barrier(starts)

    def start(_: int) -> tuple[str, dict[str, str]]:
        settings = Settings(data_dir=tmp_path)
        together.wait()
        shown = complete_secrets(settings).shown
        return settings.admin.api_key.get_secret_value(), shown

    with ThreadPoolExecutor(starts) as pool:
        started = list(pool.map(start, range(starts)))
    assert len({key for key, _ in started}) == 1
    assert [len(shown) for _, shown in started if shown] == [3]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["secrets.json", "secrets.lock"]


def test_who_only_reads_them_makes_none(tmp_path: Path) -> None:
    worker = Settings(data_dir=tmp_path)
    assert len(read_secrets(worker)) == 3
    assert not worker.twilio.account_sid
    assert build_places(worker).carrier is None  # a worker that is started first
    assert list(tmp_path.iterdir()) == []

    web = Settings(data_dir=tmp_path)
    assert len(complete_secrets(web).shown) == 3
    assert read_secrets(worker) == []
    assert worker.twilio.auth_token == web.twilio.auth_token


def test_those_that_are_set_are_not_replaced(tmp_path: Path) -> None:
    given = Settings(data_dir=tmp_path)
    given.twilio.account_sid = "AC1"
    shown = complete_secrets(given).shown
    assert shown.keys() == {"TRUNKLINE_TWILIO__AUTH_TOKEN", "TRUNKLINE_ADMIN__API_KEY"}
    assert given.twilio.account_sid == "AC1"


def test_a_disk_that_refuses_is_explained(tmp_path: Path) -> None:
    (tmp_path / "secrets.lock").mkdir()
    with pytest.raises(SecretsError, match=r"cannot be written .* TRUNKLINE_DATA_DIR"):
        complete_secrets(Settings(data_dir=tmp_path))
    assert not (tmp_path / "secrets.json").exists()
