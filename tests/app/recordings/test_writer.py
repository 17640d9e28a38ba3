"""Files: whole, private, bounded in memory, readable after a kill, failed alone."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
import tracemalloc
from pathlib import Path
from uuid import UUID, uuid4

import numpy as np
import pytest
from prometheus_client import REGISTRY

from app.recordings import flac
from app.recordings.blocks import Block
from app.recordings.leftover import Mended, complete_left
from app.recordings.writer import FileSink, RecordingWriter
from telephony.media.frame import SAMPLE_RATE
from tests.app.recordings.recorded import noise, whole

KEY = "2026/02/28/00000000-0000-4000-8000-000000000001.flac"


def failures(reason: str) -> float:
    return REGISTRY.get_sample_value("trunkline_recordings_failed_total", {"reason": reason}) or 0.0


def completed(folder: Path, *, known: bool = True) -> list[Mended]:
    """What is completed in a folder, where all calls are known, or none."""

    async def is_known(_: UUID) -> bool:
        return known

    async def work() -> list[Mended]:
        return [mended async for mended in complete_left(folder, is_known)]

    return asyncio.run(work())


def block(second: int, seed: int = 0) -> Block:
    begin = second * SAMPLE_RATE
    voice = noise(1.0, seed + second)
    return Block(begin, begin + SAMPLE_RATE, [(begin, voice)], [(begin, voice[::-1].copy())])


def test_a_recording_is_whole_and_private(tmp_path: Path) -> None:
    writer = RecordingWriter(tmp_path)
    writer.start()
    sink = writer.open(KEY)
    for second in range(3):
        sink.write(block(second))
    sink.close()
    assert writer.stop(10)
    path = tmp_path / KEY
    assert flac.length(path) == 3 * SAMPLE_RATE
    assert np.array_equal(whole(path)[:, 0], np.concatenate([noise(1.0, second) for second in range(3)]))
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert not sink.failed


def test_what_is_discarded_leaves_nothing(tmp_path: Path) -> None:
    writer = RecordingWriter(tmp_path)
    writer.start()
    sink = writer.open(KEY)
    sink.write(block(0))
    sink.discard()
    assert writer.stop(10)
    assert not [file for file in tmp_path.rglob("*") if file.is_file()]


def test_a_disk_that_stalls_fails_the_recording_and_nobody_waits(tmp_path: Path) -> None:
    before = failures("stalled")
    writer = RecordingWriter(tmp_path, queue_seconds=5)
    stalled = threading.Event()
    writer.start()
    writer._work.put(stalled.wait)  # type: ignore[arg-type]
    sinks = [writer.open(f"2026/02/28/{uuid4()}.flac") for _ in range(2)]
    for second in range(8):
        sinks[0].write(block(second))
    sinks[1].write(block(0))
    assert [sink.failed for sink in sinks] == [True, False]
    assert failures("stalled") == before + 1
    for sink in sinks:
        sink.close()
    stalled.set()
    assert writer.stop(10)
    assert len(list(tmp_path.rglob("*.flac"))) == 1  # of the first nothing was written before it failed


def test_a_full_disk_fails_the_recording_and_keeps_what_was_written(tmp_path: Path) -> None:
    """In a process that may write files of 300 kB only."""
    script = """
import resource, signal, sys
from pathlib import Path
from app.recordings.writer import RecordingWriter
from tests.app.recordings.test_writer import KEY, block
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
writer = RecordingWriter(Path(sys.argv[1]))
writer.start()
sink = writer.open(KEY)
for second in range(20):
    sink.write(block(second))
sink.close()
assert writer.stop(10)
print(sink.failed)
"""
    ran = subprocess.run([sys.executable, "-c", script, tmp_path], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "True"
    (part,) = tmp_path.rglob("*.flac*")
    heard = np.concatenate(list(flac.blocks(part)))[:, 0]
    assert len(heard) > 5 * SAMPLE_RATE
    said = np.concatenate([noise(1.0, second) for second in range(20)])
    assert np.array_equal(heard, said[: len(heard)])


def test_a_killed_process_leaves_what_is_completed_at_the_next_start(tmp_path: Path) -> None:
    script = """
import sys, time
from pathlib import Path
from app.recordings.writer import RecordingWriter
from tests.app.recordings.test_writer import KEY, block
writer = RecordingWriter(Path(sys.argv[1]))
writer.start()
sink = writer.open(KEY)
for second in range(10):
    sink.write(block(second))
while sink._written < 80_000:
    time.sleep(0.01)
print("written", flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", script, tmp_path], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        assert completed(tmp_path) == []  # somebody writes it
        os.kill(process.pid, signal.SIGKILL)
    path = tmp_path / KEY
    assert not path.exists()
    (mended,) = completed(tmp_path)
    assert (mended.key, str(mended.call_id)) == (KEY, path.stem)
    assert mended.seconds > 9.4  # libFLAC holds back less than 4096 samples
    said = np.concatenate([noise(1.0, second) for second in range(10)])
    heard = whole(path)[:, 0]
    assert np.array_equal(heard, said[: len(heard)])
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert completed(tmp_path) == []


def test_a_file_cut_at_any_byte_gives_its_whole_frames(tmp_path: Path) -> None:
    path = tmp_path / KEY
    writer = flac.FlacWriter(path)
    for second in range(2):
        writer.write(next(block(second).pcm(SAMPLE_RATE)))
    writer.finish()
    content = path.read_bytes()
    said = whole(path)
    path.unlink()
    for cut in (0, 3, 41, 42, 80, 1000, len(content) // 2, len(content) - 1):
        flac.part_of(path).write_bytes(content[:cut])
        try:
            samples = flac.complete(path)
        except flac.NotAudio:
            assert cut < 20_000  # less than two frames
            assert not path.exists()
            continue
        assert np.array_equal(whole(path), said[:samples])
        assert samples >= (cut / len(content)) * len(said) - 2 * flac.FRAME
        path.unlink()


def test_what_is_left_of_no_call_is_deleted_a_day_after(tmp_path: Path) -> None:
    path = tmp_path / KEY
    writer = flac.FlacWriter(path)
    writer.write(next(block(0).pcm(SAMPLE_RATE)))
    writer.abandon()
    part = flac.part_of(path)
    assert completed(tmp_path, known=False) == []
    assert part.exists()  # its events may come still
    day_ago = time.time() - 25 * 3600
    os.utime(part, (day_ago, day_ago))
    assert completed(tmp_path, known=False) == []
    assert list(path.parent.iterdir()) == []


def test_leftovers_that_cannot_be_read_are_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "2026/02/28"
    folder.mkdir(parents=True)
    (folder / "notes.flac.part").write_bytes(b"not ours")
    assert completed(tmp_path) == []
    assert (folder / "notes.flac.part").exists()


def test_memory_does_not_grow_with_the_recording(tmp_path: Path) -> None:
    writer = RecordingWriter(tmp_path, queue_seconds=600)
    writer.start()
    sink = writer.open(KEY)

    def minute(first: int) -> int:
        for second in range(first, first + 60):
            sink.write(block(second))
            _wait_for(sink, second + 1)
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        after_one = minute(0)
        tracemalloc.reset_peak()
        after_four = max(minute(first) for first in (60, 120, 180))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    sink.close()
    assert writer.stop(10)
    assert after_four - after_one < 50_000
    assert peak - after_one < 1_000_000


def _wait_for(sink: FileSink, seconds: int) -> None:
    waiting = threading.Event()
    while sink._written < seconds * SAMPLE_RATE:
        waiting.wait(0.001)


@pytest.mark.parametrize("content", [b"", b"no audio at all"])
def test_a_file_without_audio_says_so(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.flac"
    path.write_bytes(content)
    with pytest.raises(flac.NotAudio):
        flac.length(path)
