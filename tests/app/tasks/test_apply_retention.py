"""The daily deletion, as a worker does it: what is too old, and what nobody owns."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from pydantic import ValidationError

from app.calls.spool.folder import SPOOL
from app.recordings.flac import part_of
from app.recordings.keys import key_of
from app.recordings.scratch import FOLDER, scratch_file
from app.tasks.apply_retention import apply_retention
from app.tasks.erase_waiting import erase_waiting
from app.tasks.tools import Tools
from app.voice.after_call import Retention
from config.settings import RetentionSettings
from tests.app.calls.erasing.made import NOW, execute, files, is_gone, make_call

DAY = 24 * 3600.0


def write(path: Path, *, days_ago: float = 0.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"sound")
    at = time.time() - days_ago * DAY
    os.utime(path, (at, at))
    return path


async def test_what_the_settings_say_is_deleted(tools: Tools) -> None:
    folder = tools.places.folder
    old = await make_call(tools.database, folder, at=NOW - timedelta(days=3))
    new = await make_call(tools.database, folder)
    await apply_retention(tools)
    assert len(files(folder)) == 2
    tools.settings.retention.calls_days = 2
    await apply_retention(tools)
    assert files(folder) == [str(new)]
    assert await is_gone(tools.database, old)


async def test_what_is_owed_is_erased(tools: Tools) -> None:
    call_id = await make_call(tools.database, tools.places.folder)
    await execute(tools.database, "INSERT INTO outbox (topic, call_id) VALUES ('erase', :call)", call=call_id)
    await erase_waiting(tools)
    assert await is_gone(tools.database, call_id)


async def test_what_killed_processes_left_is_deleted(tools: Tools) -> None:
    folder = tools.places.folder
    known = await make_call(tools.database, folder)
    part = part_of(folder / key_of(known, NOW))
    write(part, days_ago=2)
    nobodys = write(part.with_name(f"{uuid4()}.flac.part"), days_ago=2)
    young = write(part.with_name(f"{uuid4()}.flac.part"))
    copy = write(folder / FOLDER / "copy")
    with scratch_file(folder) as used:
        await apply_retention(tools)
        assert [file.exists() for file in (part, nobodys, young, copy, used)] == [
            True, False, True, False, True,
        ]  # fmt: skip


@pytest.mark.parametrize(("transcripts", "days"), [(0, 30), (7, 7), (365, 30)])
async def test_damaged_files_of_spools_go_with_the_words(tools: Tools, transcripts: int, days: int) -> None:
    tools.settings.retention.transcripts_days = transcripts
    spool = tools.settings.data_dir / SPOOL
    damaged = [write(spool / f"{uuid4()}-1.damaged", days_ago=days + more) for more in (-0.1, 0.1)]
    await apply_retention(tools)
    assert [file.exists() for file in damaged] == [True, False]


@pytest.mark.parametrize("days", [-1, 36_501, 10**10])
def test_days_are_a_hundred_years_at_most(days: int) -> None:
    with pytest.raises(ValidationError):
        Retention(calls_days=days)
    with pytest.raises(ValidationError):
        RetentionSettings(calls_days=days)
