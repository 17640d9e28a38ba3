"""Capacity: response and barge-in latency against the number of simultaneous calls.

    python -m bench.load --calls 1,50,100,150,200 --seconds 60

starts a private server in the ``bench`` profile on one core and calls it from the other. With ``--url``
it measures a server that is already running, whose account is taken from TRUNKLINE_TWILIO__ACCOUNT_SID and
TRUNKLINE_TWILIO__AUTH_TOKEN, and its CPU time when ``--pid`` is given.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import platform
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

import uvloop

from bench.server import PrivateServer, Usage, two_cores, usage_of
from bench.talk import Habits, Measurements, talker, utterances
from telephony.simulator.carrier import Carrier
from telephony.simulator.conditions import LineConditions
from telephony.simulator.heard import HeardCall
from telephony.simulator.measure import Percentiles
from telephony.simulator.report import milliseconds, table

RESULTS = Path(__file__).parent / "results"
GRACE_SECONDS = 30.0  # for a caller's last turn and the hang-up, beyond the round


@dataclass(frozen=True, slots=True)
class Target:
    """The server under test. ``pid`` is 0 when its CPU time cannot be read."""

    url: str
    account_sid: str
    auth_token: str = field(repr=False)
    pid: int = 0
    via: str = ""


@dataclass(frozen=True, slots=True)
class Round:
    """What one number of calls gave. Seconds, unless named otherwise."""

    calls: int
    together: bool
    seconds: float
    response: Percentiles | None
    barge_in: Percentiles | None
    talked_over: Percentiles | None
    unanswered: int
    uncleared: int
    failed: int
    violations: int
    gaps: int
    server_cpu: float | None  # share of one core
    server_cpu_per_call_minute: float | None  # CPU seconds
    server_megabytes: float | None
    server_megabytes_per_call: float | None
    client_cpu: float  # share of one core
    server_waited: float | None  # share of the time in which another program had the server's core
    client_waited: float  # the same for the client
    client_late: float  # worst lateness of a caller's frame; beyond 0.02 the client is the bottleneck
    first_failure: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """A whole measurement, as written to ``bench/results``."""

    began: str
    machine: str
    python: str
    habits: Habits
    rounds: list[Round]


async def run_round(target: Target, calls: int, seconds: float, habits: Habits) -> Round:
    """Hold ``calls`` calls and measure for ``seconds`` once all of them are talking."""
    ramp = 1.0 if habits.together else max(2.0, min(15.0, calls / 15))
    idle = _usage(target)
    begin = perf_counter() + ramp + 3.0
    results = Measurements(begin, begin + seconds)
    said = utterances(habits.noise)
    async with Carrier(target.url, target.account_sid, target.auth_token, via=target.via) as carrier:
        placed = asyncio.create_task(
            carrier.place_calls(
                calls,
                lambda index: talker(index, said, habits, results),
                spread_seconds=ramp,
                conditions=lambda _index: LineConditions(noise=habits.noise),
                max_seconds=ramp + seconds + GRACE_SECONDS,
            )
        )
        await asyncio.sleep(results.begin - perf_counter())
        own, before = usage_of(os.getpid()), _usage(target)
        await asyncio.sleep(results.end - perf_counter())
        own_after, after = usage_of(os.getpid()), _usage(target)
        outcomes = await placed
    heard = [outcome for outcome in outcomes if isinstance(outcome, HeardCall)]
    failures = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    ended_early = [call for call in heard if call.hung_up_by != "caller"]
    cpu = after.cpu_seconds - before.cpu_seconds if before and after else None
    return Round(
        calls=calls,
        together=habits.together,
        seconds=seconds,
        response=Percentiles.of(results.responses),
        barge_in=Percentiles.of(results.barge_ins),
        talked_over=Percentiles.of(results.talked_over),
        unanswered=results.unanswered,
        uncleared=results.uncleared,
        failed=len(failures) + len(ended_early),
        violations=sum(len(call.violations) for call in heard),
        gaps=sum(call.counts.gaps for call in heard),
        server_cpu=cpu / seconds if cpu is not None else None,
        server_cpu_per_call_minute=cpu / (calls * seconds / 60) if cpu is not None else None,
        server_megabytes=after.rss_bytes / 1e6 if after else None,
        server_megabytes_per_call=(after.rss_bytes - idle.rss_bytes) / 1e6 / calls
        if after and idle
        else None,
        client_cpu=(own_after.cpu_seconds - own.cpu_seconds) / seconds,
        server_waited=(after.waited_seconds - before.waited_seconds) / seconds if before and after else None,
        client_waited=(own_after.waited_seconds - own.waited_seconds) / seconds,
        client_late=max((call.counts.late for call in heard), default=0.0),
        first_failure=_first_failure(failures, ended_early),
    )


async def run_load(
    target: Target,
    numbers: Sequence[int],
    seconds: float,
    habits: Habits,
    progress: Callable[[Round], None] = lambda _round: None,
) -> Report:
    """Rounds of rising numbers of calls. Use on a loop of uvloop; the client then costs half."""
    began = datetime.now(UTC)
    gc.collect()
    gc.freeze()
    rounds = []
    for number in numbers:
        measured = await run_round(target, number, seconds, habits)
        rounds.append(measured)
        progress(measured)
        await asyncio.sleep(2.0)
    return Report(began.isoformat(timespec="seconds"), _machine(), platform.python_version(), habits, rounds)


def write_report(report: Report, folder: Path = RESULTS) -> Path:
    """The report as JSON; returns the file."""
    folder.mkdir(parents=True, exist_ok=True)
    stamp = datetime.fromisoformat(report.began).strftime("%Y%m%dT%H%M%SZ")
    path = folder / f"{stamp}.json"
    path.write_text(json.dumps(asdict(report), indent=1) + "\n", encoding="utf-8")
    return path


def render(report: Report) -> str:
    """The table of a report: milliseconds, and each p95 over that of the first round."""
    head = (
        "calls", "response p50", "p95", "p99", "max", "p95 / 1st", "barge-in p50", "p95", "max",
        "missed", "failed", "skips", "CPU", "CPU s/call-min", "MB/call", "client CPU", "late", "waited",
    )  # fmt: skip
    first = report.rounds[0].response if report.rounds else None
    return table(head, [_row(measured, first) for measured in report.rounds])


def _row(measured: Round, first: Percentiles | None) -> tuple[str, ...]:
    response, barge = measured.response, measured.barge_in
    ratio = f"{response.p95 / first.p95:.2f}" if response and first else "-"
    return (
        f"{measured.calls}{' together' if measured.together else ''}",
        *_cells(response, "p50", "p95", "p99", "longest"),
        ratio,
        *_cells(barge, "p50", "p95", "longest"),
        str(measured.unanswered + measured.uncleared),
        str(measured.failed),
        str(measured.gaps),
        _share(measured.server_cpu),
        _number(measured.server_cpu_per_call_minute, 3),
        _number(measured.server_megabytes_per_call, 3),
        _share(measured.client_cpu),
        milliseconds(measured.client_late),
        f"{_share(measured.server_waited)}, {_share(measured.client_waited)}",
    )


def _cells(values: Percentiles | None, *names: str) -> tuple[str, ...]:
    return tuple(milliseconds(getattr(values, name)) if values else "-" for name in names)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _first_failure(failures: Sequence[Exception], ended_early: Sequence[HeardCall]) -> str:
    if failures:
        return f"{type(failures[0]).__name__}: {failures[0]}"
    if ended_early:
        faults = "; ".join(fault.reason for fault in ended_early[0].violations[:3])
        return f"hung up by the {ended_early[0].hung_up_by} {faults}".rstrip()
    return ""


def _usage(target: Target) -> Usage | None:
    return usage_of(target.pid) if target.pid else None


def _machine() -> str:
    return f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status: 1 when calls failed."""
    options = _parser().parse_args(arguments)
    habits = Habits(barge_every=options.barge_every, together=options.together, noise=options.noise or None)
    numbers = [int(number) for number in options.calls.split(",")]
    with ExitStack() as stack:
        target = _target(options, stack, max(numbers))
        report = uvloop.run(run_load(target, numbers, options.seconds, habits, _show_progress))
    print(render(report))
    print(f"written to {write_report(report)}")
    return 1 if any(measured.failed for measured in report.rounds) else 0


def _target(options: argparse.Namespace, stack: ExitStack, most: int) -> Target:
    if not options.url:
        core, other = two_cores()
        server = stack.enter_context(PrivateServer(cores=(core, other), max_calls=most + 50))
        os.sched_setaffinity(0, {other})
        return Target(server.webhook, server.account_sid, server.auth_token, server.pid)
    account = os.environ.get("TRUNKLINE_TWILIO__ACCOUNT_SID", "")
    token = os.environ.get("TRUNKLINE_TWILIO__AUTH_TOKEN", "")
    if not account or not token:
        raise SystemExit(
            "--url needs TRUNKLINE_TWILIO__ACCOUNT_SID and TRUNKLINE_TWILIO__AUTH_TOKEN in the environment"
        )
    return Target(options.url, account, token, options.pid, options.via)


def _show_progress(measured: Round) -> None:
    response = measured.response
    p95 = milliseconds(response.p95) if response else "-"
    failure = f"  {measured.failed} failed: {measured.first_failure}" if measured.failed else ""
    print(f"{measured.calls} calls: response p95 {p95} ms{failure}", file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.load", description="Latency and capacity over the wire."
    )
    parser.add_argument(
        "--url", default="", help="webhook of a running server; without it, a private one is started"
    )
    parser.add_argument("--via", default="", help="origin to connect to in place of the one that --url names")
    parser.add_argument(
        "--pid", type=int, default=0, help="process of the running server, for its CPU time and memory"
    )
    parser.add_argument("--calls", default="1,50,100,150,200", help="simultaneous calls of each round")
    parser.add_argument("--seconds", type=float, default=60.0, help="measured time of each round")
    parser.add_argument(
        "--barge-every", type=int, default=3, help="each caller barges in on every n-th turn; 0: never"
    )
    parser.add_argument(
        "--noise", type=float, default=-55.0, help="noise on the caller's line, dBFS; 0: none"
    )
    parser.add_argument(
        "--together", action="store_true", help="all callers begin their turns at the same moment"
    )
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
