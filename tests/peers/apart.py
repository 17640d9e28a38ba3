"""Servers in a process of their own, so that their work is not counted as their client's.

``python -m tests.peers.apart`` prints where they are and serves until its input ends.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.peers.apertium_server import ApertiumPeer
from tests.peers.edge_server import EdgeServer
from tests.peers.openai_audio import Answer, OpenAIAudioServer, Request, transcript
from tests.peers.openai_audio import hum as openai_hum
from tests.peers.openai_server import DONE, OpenAIServer, chunk
from tests.peers.wyoming_server import WyomingServer
from tests.peers.wyoming_server import hum as wyoming_hum

DELTAS = 40
REPOSITORY = Path(__file__).resolve().parents[2]
HEARD = "where is my parcel please"


@dataclass(frozen=True)
class Addresses:
    """Of OpenAI's chat and audio, of Wyoming for both, of Edge and Apertium."""

    chat: str
    audio: str
    wyoming: str
    edge: str
    apertium: str


@contextmanager
def peers_apart() -> Iterator[Addresses]:
    """The servers, which end with the block."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.peers.apart"],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield Addresses(**json.loads(process.stdout.readline()))
        finally:
            process.stdin.close()
            process.wait(10)


def _answer(request: Request) -> Answer:
    if request.path.endswith("/speech"):
        return openai_hum(request)
    words = [{"word": word, "start": 0.3 * n, "end": 0.3 * n + 0.2} for n, word in enumerate(HEARD.split())]
    segments = [{"id": 0, "avg_logprob": -0.2, "no_speech_prob": 0.01, "text": HEARD}]
    return transcript(HEARD, language="english", duration=3.0, segments=segments, words=words)


def _ignore_leavers(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Clients may go away in the middle of an answer."""
    if not isinstance(context.get("exception"), ConnectionError):
        loop.default_exception_handler(context)


async def _serve() -> None:
    asyncio.get_running_loop().set_exception_handler(_ignore_leavers)
    said = [chunk(f" word{number}") for number in range(DELTAS)]
    async with (
        OpenAIServer([chunk(role="assistant"), *said, chunk(finish="stop"), DONE]).running() as chat,
        OpenAIAudioServer(_answer).running() as audio,
        WyomingServer(texts=[HEARD], speech=wyoming_hum).running() as wyoming,
        EdgeServer().running() as edge,
        ApertiumPeer().running() as apertium,
    ):
        where = Addresses(chat.url, audio.url, wyoming.url, edge.url, apertium.url)
        sys.stdout.write(f"{json.dumps(asdict(where))}\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve())
