"""What adapters cost over their libraries, printed as a table with ``-s``, and what 200 uses leave behind.

The bars: 15 ms more to the first result, and 10 % more CPU than the library with the conversion from or to
the telephone's 8 kHz added to it. Where a loopback server or a model of next to no weights makes the library
cheaper than it ever is, a part of a millisecond is 10 %, which a shared machine cannot tell from its noise:
there an absolute bar counts too. The models of real shape show what an adapter adds to real work.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts.overhead import hearing, replying, speaking
from tests.contracts.overhead.measure import (
    MOST_ADDED_CPU,
    Case,
    Overhead,
    Row,
    compare,
    table,
)
from tests.contracts.probe import leaves_nothing
from tests.peers.apart import Addresses

LIKE_REAL: dict[str, Case] = {
    "faster_whisper_shape": hearing.whisper_shape,
    "piper_shape": speaking.piper_shape,
}
"""With models whose decoding takes as long as that of real ones."""
CASES: dict[str, Case] = {
    "faster_whisper": hearing.whisper_tiny,
    "sherpa_onnx": hearing.sherpa_onnx,
    "vosk": hearing.vosk,
    "openai_compatible_stt": hearing.openai_compatible,
    "wyoming_stt": hearing.wyoming,
    "openai_compatible_llm": replying.openai_compatible,
    "openai_compatible_tts": speaking.openai_compatible,
    "wyoming_tts": speaking.wyoming,
    "edge": speaking.edge,
    "piper": speaking.piper,
    "fallback": replying.fallback,
}
BATCH, BATCHES = 10, 20


@pytest.fixture(scope="module")
def measured() -> Iterator[list[tuple[Row, Overhead]]]:
    measured: list[tuple[Row, Overhead]] = []
    yield measured
    sys.stdout.write(f"\n{table(measured)}\n")


@pytest.mark.parametrize("case", [*CASES.values(), *LIKE_REAL.values()], ids=[*CASES, *LIKE_REAL])
async def test_an_adapter_costs_little_more_than_its_library(
    case: Case, addresses: Addresses, measured: list[tuple[Row, Overhead]], tmp_path: Path
) -> None:
    expensive: list[str] = []
    async with case(addresses, tmp_path) as rows:
        for row in rows:
            overhead, cheap = await compare(row)
            measured.append((row, overhead))
            if not cheap:
                cpu = f"{MOST_ADDED_CPU:.0%} or {1000 * row.most_cpu:g} ms of CPU"
                expensive.append(f"more than {cpu} or {row.most_seconds:g} s:\n{table([(row, overhead)])}")
    assert not expensive, "\n".join(expensive)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_two_hundred_uses_leave_nothing(case: Case, addresses: Addresses, tmp_path: Path) -> None:
    """Of an engine that goes on; of five uses one is cancelled on its way, one at its first result."""
    async with case(addresses, tmp_path) as rows:
        for use in {row.ways.ours: row.ways.ours.use for row in rows}.values():

            async def batch() -> None:
                first = 0.0
                for number in range(BATCH):
                    if 0 < number % 5 < 4:
                        first = await use()  # noqa: B023 - called in this round of the loop
                    else:
                        task = asyncio.ensure_future(use())  # noqa: B023
                        await asyncio.sleep(first if number % 5 else 0.0003 * (number + 1))
                        task.cancel()
                        await asyncio.wait([task])
                # Not cancelled: what such a use keeps, a connection for the next, is there each time.
                await use()  # noqa: B023

            await leaves_nothing(batch, BATCHES)
