"""A long run of calls: does the server's memory stay flat, and its latency?

    python -m bench.soak --minutes 30 --calls 40

Calls of about a minute follow each other at a steady number; memory, descriptors and latency are recorded
every half minute. The exit status is 1 when calls failed, or when memory grew by more than ``--growth``
megabytes from the first third of the run to the last.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from time import perf_counter

import psutil
import uvloop

from bench.load import RESULTS, Target
from bench.server import PrivateServer, two_cores
from bench.talk import Habits, Measurements, talker, utterances
from telephony.simulator.carrier import Carrier
from telephony.simulator.conditions import LineConditions
from telephony.simulator.heard import HeardCall
from telephony.simulator.measure import Percentiles
from telephony.simulator.report import milliseconds, table

EVERY_SECONDS = 30.0
MAX_MINUTES = 24 * 60.0


@dataclass(frozen=True, slots=True)
class Sample:
    """The server at one moment, and what was measured since the moment before. Seconds and megabytes."""

    at: float
    megabytes: float
    descriptors: int
    threads: int
    cpu: float
    calls_ended: int
    failed: int
    response: Percentiles | None


@dataclass(slots=True)
class _Tally:
    ended: int = 0
    failed: int = 0
    first_failure: str = ""


async def soak(target: Target, calls: int, minutes: float, call_seconds: float) -> list[Sample]:
    """Keep ``calls`` calls going for ``minutes``; one sample each half minute."""
    end = perf_counter() + min(minutes, MAX_MINUTES) * 60
    results = Measurements(perf_counter(), end)
    tally = _Tally()
    async with (
        Carrier(target.url, target.account_sid, target.auth_token, via=target.via) as carrier,
        asyncio.TaskGroup() as group,
    ):
        lines = [
            group.create_task(_line(carrier, index, calls, call_seconds, results, tally))
            for index in range(calls)
        ]
        samples = await _watch(psutil.Process(target.pid), end, results, tally)
        for line in lines:
            await line
    if tally.first_failure:
        print(f"first failure: {tally.first_failure}", file=sys.stderr)
    return samples


async def _line(
    carrier: Carrier, index: int, calls: int, call_seconds: float, results: Measurements, tally: _Tally
) -> None:
    """One caller after the other, until the run ends."""
    habits = Habits()
    said = utterances(habits.noise)
    await asyncio.sleep(call_seconds * index / calls)
    while perf_counter() < results.end - call_seconds:
        one = Measurements(results.begin, perf_counter() + call_seconds)
        try:
            heard = await carrier.place_call(
                talker(index, said, habits, one),
                conditions=LineConditions(noise=habits.noise),
                keep_audio=False,
                max_seconds=call_seconds + 60,
            )
        except Exception as error:  # noqa: BLE001 - a soak goes on; failures are counted and fail the run
            tally.failed += 1
            tally.first_failure = tally.first_failure or f"{type(error).__name__}: {error}"
            await asyncio.sleep(1.0)
            continue
        _count(heard, tally)
        results.responses.extend(one.responses)


def _count(heard: HeardCall, tally: _Tally) -> None:
    tally.ended += 1
    if heard.hung_up_by != "caller" or heard.violations:
        tally.failed += 1
        faults = "; ".join(fault.reason for fault in heard.violations[:3])
        tally.first_failure = tally.first_failure or f"hung up by the {heard.hung_up_by} {faults}"


async def _watch(process: psutil.Process, end: float, results: Measurements, tally: _Tally) -> list[Sample]:
    began, samples = perf_counter(), list[Sample]()
    before = process.cpu_times()
    while perf_counter() < end:
        await asyncio.sleep(min(EVERY_SECONDS, max(0.1, end - perf_counter())))
        now = process.cpu_times()
        responses, results.responses = results.responses, []
        samples.append(
            Sample(
                at=perf_counter() - began,
                megabytes=process.memory_info().rss / 1e6,
                descriptors=process.num_fds(),
                threads=process.num_threads(),
                cpu=now.user + now.system - before.user - before.system,
                calls_ended=tally.ended,
                failed=tally.failed,
                response=Percentiles.of(responses),
            )
        )
        before = now
        print("  ".join(_row(samples[-1])), file=sys.stderr, flush=True)
    return samples


def growth(samples: Sequence[Sample]) -> float:
    """Megabytes between the medians of the first third (without the first sample) and of the last third."""
    settled = samples[1:] or samples
    third = max(1, len(settled) // 3)
    first = median(sample.megabytes for sample in settled[:third])
    return median(sample.megabytes for sample in settled[-third:]) - first


def _row(sample: Sample) -> tuple[str, ...]:
    response = sample.response
    return (
        f"{sample.at:.0f} s",
        f"{sample.megabytes:.1f}",
        str(sample.descriptors),
        str(sample.threads),
        f"{sample.cpu:.1f}",
        str(sample.calls_ended),
        str(sample.failed),
        milliseconds(response.p50) if response else "-",
        milliseconds(response.p95) if response else "-",
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.soak", description="Memory and latency over a long run."
    )
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--calls", type=int, default=40, help="calls held at any time")
    parser.add_argument("--call-seconds", type=float, default=60.0, help="length of each call")
    parser.add_argument("--growth", type=float, default=20.0, help="megabytes of growth that fail the run")
    options = parser.parse_args(arguments)
    core, other = two_cores()
    with PrivateServer(cores=(core, other), max_calls=options.calls + 20) as server:
        os.sched_setaffinity(0, {other})
        target = Target(server.webhook, server.account_sid, server.auth_token, server.pid)
        samples = uvloop.run(soak(target, options.calls, options.minutes, options.call_seconds))
    head = ("time", "MB", "fds", "threads", "CPU s", "calls", "failed", "p50", "p95")
    print(table(head, [_row(sample) for sample in samples]))
    grown = growth(samples)
    print(f"memory grew by {grown:.1f} MB; written to {_write(samples)}")
    return 1 if grown > options.growth or samples[-1].failed else 0


def _write(samples: Sequence[Sample], folder: Path = RESULTS) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"soak-{datetime.now(UTC).strftime('%Y%m%dT%H%M%SZ')}.json"
    path.write_text(json.dumps([asdict(sample) for sample in samples], indent=1) + "\n", encoding="utf-8")
    return path


if __name__ == "__main__":
    raise SystemExit(main())
