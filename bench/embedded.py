"""Response latency of the embedded engines: the demonstration call, several times, over the wire."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import uvloop

from bench.load import Target
from bench.server import PrivateServer
from config.settings import ROOT
from telephony.simulator.caller import scripted_caller
from telephony.simulator.carrier import Carrier
from telephony.simulator.measure import HeardTurn, Percentiles, turns
from telephony.simulator.report import milliseconds, table
from telephony.simulator.script import load

SCRIPT = ROOT / "demo" / "call.yaml"


async def call_repeatedly(target: Target, calls: int) -> list[HeardTurn]:
    """The turns of so many demonstration calls, one after the other."""
    caller = await scripted_caller(load(SCRIPT))
    measured: list[HeardTurn] = []
    async with Carrier(target.url, target.account_sid, target.auth_token) as carrier:
        for _ in range(calls):
            measured += turns(await carrier.place_call(caller))
    return measured


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status: 1 when a turn was not answered."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.embedded", description="Response latency of the embedded engines."
    )
    parser.add_argument("--calls", type=int, default=5, help="demonstration calls, one after the other")
    options = parser.parse_args(arguments)
    with PrivateServer(profile="embedded") as server:
        target = Target(server.webhook, server.account_sid, server.auth_token)
        measured = uvloop.run(call_repeatedly(target, options.calls))
    responses = [turn.response for turn in measured if turn.response is not None]
    barge_ins = [turn.clear_after for turn in measured if turn.clear_after is not None]
    rows = [
        _row(name, Percentiles.of(values))
        for name, values in (("response", responses), ("barge-in to clear", barge_ins))
    ]
    print(table(("ms", "turns", "p50", "p95", "max"), rows))
    return 1 if len(responses) < len(measured) else 0


def _row(name: str, found: Percentiles | None) -> tuple[str, ...]:
    if found is None:
        return (name, "0", "-", "-", "-")
    times = (found.p50, found.p95, found.longest)
    return (name, str(found.count), *(milliseconds(seconds) for seconds in times))


if __name__ == "__main__":
    raise SystemExit(main())
