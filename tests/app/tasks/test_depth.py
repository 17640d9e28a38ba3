"""How many messages wait in the broker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from app.tasks.depth import BrokerDepth
from app.tasks.sending import Publisher
from config.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path)


@pytest.fixture
def publisher(settings: Settings) -> Iterator[Publisher]:
    publisher = Publisher(settings)
    yield publisher
    publisher.close()


def test_messages_that_no_worker_took(settings: Settings, publisher: Publisher) -> None:
    depth = BrokerDepth(settings)
    assert depth() == 0
    publisher.post_calls([uuid4() for _ in range(3)])
    assert depth() == 3
    depth.close()


def test_a_broker_that_is_away_is_an_error(tmp_path: Path) -> None:
    depth = BrokerDepth(Settings(data_dir=tmp_path, broker_url="redis://127.0.0.1:9/0"))
    with pytest.raises(Exception, match=r"127\.0\.0\.1:9"):
        depth()
    depth.close()
