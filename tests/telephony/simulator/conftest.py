"""A server to call, and voices to call with."""

from __future__ import annotations

from collections.abc import AsyncIterator

import numpy as np
import pytest

from telephony.simulator.carrier import Carrier
from telephony.simulator.heard import Utterance
from tests.telephony.simulator.media_server import MediaServer, serve

ACCOUNT = "AC" + "0" * 32
TOKEN = "0123456789abcdef"


@pytest.fixture
async def server() -> AsyncIterator[MediaServer]:
    async with serve(MediaServer()) as running:
        yield running


@pytest.fixture
async def carrier(server: MediaServer) -> AsyncIterator[Carrier]:
    async with Carrier(server.webhook, ACCOUNT, TOKEN) as running:
        yield running


@pytest.fixture
def hello() -> Utterance:
    """0.4 s of a tone."""
    return Utterance.of((8000 * np.sin(np.arange(3200) / 4)).astype(np.int16), "hello")
