"""Copies for a moment: nobody else takes them, and those of killed processes are found."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from app.recordings.scratch import delete_left, scratch_file


def left(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file()]


def test_a_copy_is_private_and_goes_at_the_end(tmp_path: Path) -> None:
    with scratch_file(tmp_path) as path:
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700
    assert left(tmp_path) == []


def test_a_copy_can_become_a_recording(tmp_path: Path) -> None:
    with scratch_file(tmp_path) as path:
        path.write_bytes(b"whole")
        path.rename(tmp_path / "kept.flac")
    assert left(tmp_path) == [tmp_path / "kept.flac"]


def test_what_a_killed_process_left_is_deleted_and_what_is_used_is_not(tmp_path: Path) -> None:
    script = """
import sys, time
from pathlib import Path
from app.recordings.scratch import scratch_file
with scratch_file(Path(sys.argv[1])):
    print("made", flush=True)
    time.sleep(60)
"""
    assert delete_left(tmp_path) == 0
    with scratch_file(tmp_path) as mine:
        with subprocess.Popen([sys.executable, "-c", script, tmp_path], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline()
            assert delete_left(tmp_path) == 0
            os.kill(process.pid, signal.SIGKILL)
        assert len(left(tmp_path)) == 2
        assert delete_left(tmp_path) == 1
        assert left(tmp_path) == [mine]
