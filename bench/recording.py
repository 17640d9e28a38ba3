"""What recording costs and how exact it is: CPU of the event loop, of the writer's thread, memory, length.

python -m bench.recording [--minutes 10]

A leg without a network sends frames with up to 60 ms of jitter, the agent speaks half of the time and is
interrupted now and then, and the recording pauses three times. The same is done with and without a tape; what
both differ by is the tape's. The CPU of the writer's thread is told by that thread's own clock.
"""

from __future__ import annotations

import argparse
import random
import threading
import time
import tracemalloc
from collections.abc import Callable, Coroutine, Generator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np

from app.recordings import flac
from app.recordings.tape import Tape, Taped
from app.recordings.writer import RecordingWriter
from telephony.errors import HangupCause
from telephony.events import AudioReceived, HungUp, LegEvent, MarkPlayed
from telephony.media.frame import FRAME_SAMPLES, SAMPLE_RATE, Samples
from telephony.ports import CallLeg, LegInfo
from telephony.simulator.report import table

_ROUNDS = 5
_PIECE = 5 * FRAME_SAMPLES


class _Leg:
    """Takes what is played; ``sink`` takes what happens. Its ``run`` waits for ever."""

    def __init__(self) -> None:
        self.info = LegInfo("bench", "CAbench", "inbound", "+15550100001", "+15550100000")
        self.sink: Callable[[LegEvent], None] = lambda event: None
        self.running: Coroutine[None, None, None] | None = None

    async def run(self, sink: Callable[[LegEvent], None]) -> None:
        self.sink = sink
        await _Forever()

    def play(self, samples: Samples) -> None: ...

    def mark(self, name: str) -> None: ...

    def clear(self) -> None: ...

    def hang_up(self, cause: HangupCause) -> None: ...


class _Forever:
    def __await__(self) -> Generator[None, None, None]:
        yield


class _Call:
    """A call of so many seconds, second by second, in time of its own."""

    def __init__(self, seconds: int, seed: int) -> None:
        self.now = 0.0
        self.seconds = seconds
        chance = random.Random(seed)
        voice = np.random.default_rng(seed).normal(0, 3000, SAMPLE_RATE).astype(np.int16)
        self._frames = [
            voice[begin : begin + FRAME_SAMPLES] for begin in range(0, SAMPLE_RATE, FRAME_SAMPLES)
        ]
        self._pieces = [voice[begin : begin + _PIECE] for begin in range(0, SAMPLE_RATE, _PIECE)]
        self._late = [chance.uniform(0, 0.06) for _ in range(1000)]

    def second(self, number: int, leg: CallLeg, report: Callable[[LegEvent], None]) -> None:
        """One second: 50 frames, and in every other five seconds 10 pieces and their marks."""
        speaks = number // 5 % 2
        for index in range(50):
            spoken = number * 50 + index
            self.now = max(self.now, (spoken + 1) * 0.02 + self._late[spoken % 1000])
            report(AudioReceived(self._frames[index], spoken * FRAME_SAMPLES))
            if speaks and index % 5 == 0:
                leg.play(self._pieces[index // 5])
                if index % 20 == 0:
                    leg.mark(f"{spoken}")
                    report(MarkPlayed(f"{spoken - 20}"))
        if number % 60 == 39:
            leg.clear()


def hold(call: _Call, tape: Tape | None, leg: _Leg, after: Callable[[int], None]) -> float:
    """Hold it, with a tape or without; returns the CPU seconds of one of its seconds.

    ``after`` is called after each second, uncounted.
    """
    part: CallLeg = tape or leg
    leg.running = part.run(lambda event: None)
    leg.running.send(None)  # up to where it waits
    cpu = 0.0
    for number in range(call.seconds):
        began = time.thread_time()
        call.second(number, part, leg.sink)
        if tape is not None and number % 200 == 100:
            tape.pause()
        if tape is not None and number % 200 == 110:
            tape.resume()
        cpu += time.thread_time() - began
        after(number)
    return cpu / call.seconds


def measure(seconds: int, folder: Path, seed: int) -> tuple[float, float, float, float, int]:
    """CPU without, with, of the thread, in seconds a second; the error of the length; bytes of the file."""
    bare = hold(_Call(seconds, seed), None, _Leg(), lambda number: None)
    writer, spent = RecordingWriter(folder, 600.0), list[float]()
    writer.start()
    writer._work.put(lambda: spent.append(time.thread_time()))
    call, leg, results = _Call(seconds, seed), _Leg(), list[Taped]()
    key = f"2026/01/01/{seed}.flac"
    sink = writer.open(key)
    tape = Tape(leg, lambda: sink, lambda: call.now, results.append)
    tape.begin()
    taped = hold(call, tape, leg, lambda number: None)
    leg.sink(HungUp(HangupCause.CALLER))
    writer._work.put(lambda: spent.append(time.thread_time()))
    if not writer.stop(60):
        raise SystemExit("the writer did not come to its end within 60 s")
    path = folder / key
    error = abs(flac.length(path) / SAMPLE_RATE - call.now)
    return bare, taped, (spent[1] - spent[0]) / seconds, error, path.stat().st_size


def growth(seconds: int, folder: Path) -> tuple[int, int]:
    """Bytes that one call's recording holds after its first minute, and the most that it holds later."""
    writer = RecordingWriter(folder, 600.0)
    writer.start()
    call, leg = _Call(seconds, 99), _Leg()
    sink = writer.open("2026/01/01/memory.flac")
    tape = Tape(leg, lambda: sink, lambda: call.now, lambda taped: None)
    tape.begin()
    sizes: list[int] = []

    def look(number: int) -> None:
        written = threading.Event()
        writer._work.put(written.set)
        written.wait(10)
        if number % 10 == 9:
            sizes.append(tracemalloc.get_traced_memory()[0])

    tracemalloc.start()
    hold(call, tape, leg, look)
    tracemalloc.stop()
    leg.sink(HungUp(HangupCause.CALLER))
    writer.stop(60)
    return sizes[5], max(sizes[6:])


def main() -> int:
    """Print the table; the exit status is 1 when a bar is missed: 20 ms, 0.3 ms a second, flat memory."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=int, default=10, help="of one call (10)")
    seconds = parser.parse_args().minutes * 60
    with TemporaryDirectory() as folder:
        runs = [measure(seconds, Path(folder), seed) for seed in range(_ROUNDS)]
        first, later = growth(seconds, Path(folder))
    without, taped, thread = (median(run[column] for run in runs) * 1e3 for column in range(3))
    error = max(run[3] for run in runs) * 1e3
    rows = [
        ("the events alone", f"{without:.3f} ms a second", f"{without * 60:.1f} ms a call-minute"),
        ("with the tape", f"{taped:.3f} ms a second", f"{taped * 60:.1f} ms a call-minute"),
        ("the tape", f"{taped - without:.3f} ms a second", f"{(taped - without) * 60:.1f} ms a call-minute"),
        ("the writer's thread", f"{thread:.3f} ms a second", f"{thread * 60:.1f} ms a call-minute"),
        ("length, at most wrong by", f"{error:.2f} ms", f"of {seconds} s"),
        ("memory after a minute; most later", f"{first / 1e3:.0f} kB", f"{later / 1e3:.0f} kB"),
        ("file", f"{runs[0][4] / seconds / 1e3:.1f} kB a second", "of white noise"),
    ]
    print(table(("recording", "", ""), rows))
    return 0 if error <= 20 and taped - without <= 0.3 and later < first + 200_000 else 1


if __name__ == "__main__":
    raise SystemExit(main())
