"""``trunkline db spool``: what waits for the database, without asking the database."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
from typer.testing import CliRunner

from app.calls.spool.codec import encode
from app.calls.spool.folder import SpoolFolder
from app.calls.writing.rows import Entry
from app.cli.db import cli
from tests.app.calls.events import whole_call

Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("TRUNKLINE_DATA_DIR", str(tmp_path))

    def run(*words: str) -> str:
        result = CliRunner().invoke(cli, ["spool", *words])
        assert result.exit_code == 0, result.output
        return result.output

    return run


def test_spools_are_listed(run: Run, tmp_path: Path) -> None:
    assert run() == "nothing waits\n"
    left = SpoolFolder.create(tmp_path / "spool", uuid4())
    records = [encode(Entry(number, event)) for number, event in enumerate(whole_call(), 1)]
    left.file_for(1).write_bytes(b"".join(records))
    left.release()
    living = SpoolFolder.create(tmp_path / "spool", uuid4())
    (tmp_path / "spool" / "old.damaged").write_bytes(b"")

    found = json.loads(run("--json"))
    by_id = {row["instance"]: row for row in found["spools"]}
    gone = by_id[str(left.instance_id)]
    assert (gone["process"], gone["events"], gone["bytes"]) == ("gone", 5, sum(map(len, records)))
    assert 0 <= gone["newest_seconds"] < 60
    assert by_id[str(living.instance_id)]["process"] == "runs"
    assert found["damaged"] == [str(tmp_path / "spool" / "old.damaged")]

    text = run()
    assert f"instance={left.instance_id}  process=gone  events=5" in text
    assert "damaged  " in text
    assert "parcel" not in text
    living.release()
