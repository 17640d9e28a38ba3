"""The broker of files: whole messages alone, each to one reader, and no damage that lasts."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from queue import Empty
from typing import Any
from uuid import uuid4

import pytest
from kombu.connection import Connection

from app.outbox.relay import BrokerAway
from app.tasks.file_broker import LEFTOVER_SECONDS, URL, folders
from app.tasks.sending import Publisher
from config.settings import Settings


@pytest.fixture
def connect(tmp_path: Path) -> Iterator[Callable[[], Any]]:
    """A queue over a connection of its own, as another process has it."""
    options = {"polling_interval": 0.01, **folders(tmp_path)}
    with ExitStack() as stack:

        def connected() -> Any:
            connection: Any = Connection(URL, transport_options=options)  # type: ignore[no-untyped-call]
            return stack.enter_context(connection).SimpleQueue("work")

        yield connected


def messages(data_dir: Path) -> list[Path]:
    return sorted((data_dir / "broker" / "messages").iterdir())


def take(queue: Any) -> Any:
    message = queue.get(timeout=2)
    message.ack()
    return message.payload


def test_messages_come_in_order_each_once(connect: Callable[[], Any], tmp_path: Path) -> None:
    writer = connect()
    for number in range(3):
        writer.put(number)
        time.sleep(0.002)
    readers = [connect() for _ in range(3)]
    # Each takes what it can hold beforehand, so one message each is asked for.
    assert [reader.channel.basic_get("work").payload for reader in readers] == [0, 1, 2]
    assert messages(tmp_path) == []
    with pytest.raises(Empty):
        connect().get_nowait()


def test_a_message_is_there_whole_or_not_at_all(connect: Callable[[], Any], tmp_path: Path) -> None:
    connect().put({"number": 1})
    (file,) = messages(tmp_path)
    # What a process killed while it wrote leaves: a part, or, of another broker of files, half a message.
    file.with_name("0000.part").write_bytes(file.read_bytes()[:10])
    file.with_name(f"000_x.{file.name.partition('.')[2]}").write_bytes(file.read_bytes()[:10])
    reader = connect()
    assert take(reader) == {"number": 1}
    with pytest.raises(Empty):
        reader.get_nowait()
    assert [left.name for left in messages(tmp_path)] == ["0000.part"]


def test_a_broken_table_of_queues_is_made_anew(connect: Callable[[], Any], tmp_path: Path) -> None:
    connect().put(1)
    for table in (tmp_path / "broker" / "control").iterdir():
        table.write_bytes(b'[["wor')
    connect().put(2)
    reader = connect()
    assert [take(reader), take(reader)] == [1, 2]


def test_what_a_killed_process_began_to_write_goes_in_the_end(tmp_path: Path) -> None:
    folder = Path(folders(tmp_path)["data_folder_in"])
    old, new = folder / "old.part", folder / "new.part"
    for part in (old, new):
        part.touch()
    long_ago = time.time() - LEFTOVER_SECONDS - 10
    os.utime(old, (long_ago, long_ago))
    folders(tmp_path)
    assert (old.exists(), new.exists()) == (False, True)


def test_a_broker_that_is_away_is_said_to_be(tmp_path: Path) -> None:
    publisher = Publisher(Settings(data_dir=tmp_path, broker_url="redis://127.0.0.1:9/0"))
    with pytest.raises(BrokerAway, match="TRUNKLINE_BROKER_URL"):
        publisher.post_calls([uuid4()])
    publisher.close()
