"""Recordings that Twilio makes of a call: both channels, nothing trimmed, so that they stay in step with the
call.

Sources: Twilio, "Recordings resource", "Recording a call in progress" (``Calls/{sid}/Recordings``: create,
update), "Recording status callback". The library blocks, so it runs in a thread; the media is streamed by
httpx.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx

from telephony.carriers.twilio.rest import GONE, carrier_error, open_client
from telephony.carriers.twilio.signature import TwilioCredentials
from telephony.errors import CarrierError

_API = "https://api.twilio.com"
_TIMEOUT = httpx.Timeout(60.0, connect=10.0)
_PART_BYTES = 256 * 1024

T = TypeVar("T")


class TwilioRecordings:
    """Recordings of one account. ``origin`` is ours, for callbacks; ``api_url`` that of a test's server."""

    def __init__(self, credentials: TwilioCredentials, origin: str, api_url: str = "") -> None:
        self._credentials = credentials
        self._callback = f"{origin}/voice/twilio/recording"
        self._api_url = api_url

    async def start(self, carrier_call_id: str) -> str:
        """Record a live call; returns the recording's SID. Raises ``CarrierError``."""
        recording = await self._ask(
            "record the call",
            lambda client: client.calls(carrier_call_id).recordings.create(
                recording_channels="dual",
                recording_track="both",
                trim="do-not-trim",
                recording_status_callback=self._callback,
                recording_status_callback_method="POST",
                recording_status_callback_event=["completed", "absent"],
            ),
        )
        return str(recording.sid)

    async def pause(self, carrier_call_id: str, recording: str) -> None:
        """Record silence, which keeps the time. Raises ``CarrierError``."""
        await self._update(carrier_call_id, recording, "pause", status="paused", pause_behavior="silence")

    async def resume(self, carrier_call_id: str, recording: str) -> None:
        """Record again. Raises ``CarrierError``."""
        await self._update(carrier_call_id, recording, "resume", status="in-progress")

    async def stop(self, carrier_call_id: str, recording: str) -> None:
        """Record no more. A call that has ended is no error. Raises ``CarrierError``."""
        await self._update(carrier_call_id, recording, "stop", status="stopped")

    async def find(self, carrier_call_id: str) -> str:
        """The SID of a call's recording; empty when there is none. Raises ``CarrierError``."""
        found = await self._ask(
            "find the call's recording",
            lambda client: client.recordings.list(call_sid=carrier_call_id, limit=1),
        )
        return str(found[0].sid) if found else ""

    async def delete(self, recording: str) -> None:
        """Delete a recording; one that is gone is no error. Raises ``CarrierError``."""
        await self._ask(
            "delete a recording", lambda client: client.recordings(recording).delete(), accepted=GONE
        )

    async def fetch(self, recording: str, path: Path, most_bytes: int) -> None:
        """Write a recording's WAV to ``path``, mode 0600. Raises ``CarrierError`` and ``OSError``.

        Twilio answers 404 until the recording is ready, so that one is worth another try.
        """
        account = self._credentials.account_sid
        url = f"{self._api_url or _API}/2010-04-01/Accounts/{account}/Recordings/{recording}.wav"
        auth = (account, self._credentials.auth_token)
        try:
            async with (
                httpx.AsyncClient(auth=auth, timeout=_TIMEOUT, follow_redirects=True) as client,
                client.stream("GET", url, params={"RequestedChannels": "2"}) as answer,
            ):
                if answer.status_code != 200:
                    raise CarrierError(
                        f"Twilio did not give a recording: HTTP {answer.status_code}; perhaps not ready yet",
                        retryable=answer.status_code in {404, 429, 500, 502, 503, 504},
                    )
                await _write(answer, path, most_bytes)
        except httpx.HTTPError as error:
            raise CarrierError(
                f"Twilio could not be reached for a recording ({type(error).__name__}); check the network",
                retryable=True,
            ) from None

    async def _update(self, call: str, recording: str, verb: str, **change: str) -> None:
        await self._ask(
            f"{verb} the recording",
            lambda client: client.calls(call).recordings(recording).update(**change),
            accepted=GONE if verb == "stop" else frozenset(),
        )

    async def _ask(
        self, action: str, request: Callable[[Any], T], accepted: frozenset[int] = frozenset()
    ) -> T | Any:
        try:
            return await asyncio.to_thread(lambda: request(open_client(self._credentials, self._api_url)))
        except Exception as error:  # noqa: BLE001 - translated at the library's edge
            if getattr(error, "code", None) in accepted or (
                accepted and getattr(error, "status", None) == 404
            ):
                return None
            raise carrier_error(action, error) from None


async def _write(answer: httpx.Response, path: Path, most_bytes: int) -> None:
    fd = await asyncio.to_thread(os.open, path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    size = 0
    with os.fdopen(fd, "wb") as file:
        async for part in answer.aiter_bytes(_PART_BYTES):
            size += len(part)
            if size > most_bytes:
                raise CarrierError(f"the carrier's recording is larger than {most_bytes} bytes")
            await asyncio.to_thread(file.write, part)
