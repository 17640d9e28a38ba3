"""Twilio's REST API, as far as calls and numbers need it. The library blocks, so it runs in a thread."""

from __future__ import annotations

import asyncio
from typing import Any

from telephony.carriers.twilio.signature import TwilioCredentials
from telephony.errors import CarrierError

GONE = frozenset({20404, 21220})  # "not found", "call is not in-progress": the call has ended already


class TwilioRest:
    """Requests of one account. ``api_url``: another origin than Twilio's own, for a test's server."""

    def __init__(self, credentials: TwilioCredentials, api_url: str = "") -> None:
        self._credentials = credentials
        self._api_url = api_url

    async def redirect(self, call_sid: str, twiml: str) -> bool:
        """Replace what a live call does. False when the call has ended already.

        Raises:
            CarrierError: Twilio refused for another reason, or could not be reached.
        """
        try:
            await asyncio.to_thread(lambda: self._client().calls(call_sid).update(twiml=twiml))
        except Exception as error:  # noqa: BLE001 - translated at the library's edge
            if getattr(error, "code", None) in GONE or getattr(error, "status", None) == 404:
                return False
            raise carrier_error("redirect the call", error) from None
        return True

    async def connect_number(self, number: str, *, voice_url: str, status_url: str) -> str:
        """Point a bought number's voice webhook at us. Returns the number's sid.

        Raises:
            CarrierError: the account has no such number, Twilio refused, or could not be reached.
        """
        return await asyncio.to_thread(self._connect_number, number, voice_url, status_url)

    def _connect_number(self, number: str, voice_url: str, status_url: str) -> str:
        try:
            found = self._client().incoming_phone_numbers.list(phone_number=number, limit=1)
            if found:
                sid: str = found[0].sid
                found[0].update(
                    voice_url=voice_url,
                    voice_method="POST",
                    status_callback=status_url,
                    status_callback_method="POST",
                )
                return sid
        except Exception as error:  # noqa: BLE001 - translated at the library's edge
            raise carrier_error("set the number's webhook", error) from None
        raise CarrierError(
            f"the Twilio account {self._credentials.account_sid} has no number {number}; "
            "buy it in the console, or check the number and TRUNKLINE_TWILIO__ACCOUNT_SID"
        )

    def _client(self) -> Any:
        return open_client(self._credentials, self._api_url)


def open_client(credentials: TwilioCredentials, api_url: str) -> Any:
    """Twilio's own client of an account."""
    from twilio.rest import Client  # noqa: PLC0415 - 0.2 s that only a request pays

    client = Client(credentials.account_sid, credentials.auth_token)
    if api_url:
        client.api.base_url = api_url
    return client


def carrier_error(action: str, error: Exception) -> CarrierError:
    """What an exception of Twilio's library means."""
    status, code = getattr(error, "status", None), getattr(error, "code", None)
    if status is None:  # a page that could not be fetched carries its answer as an argument only
        status = next((part.status_code for part in error.args if hasattr(part, "status_code")), None)
    if status == 401:
        return CarrierError(
            f"Twilio refused to {action}: account sid or auth token is wrong (TRUNKLINE_TWILIO__ACCOUNT_SID, "
            "TRUNKLINE_TWILIO__AUTH_TOKEN)"
        )
    if status is not None:
        return CarrierError(
            f"Twilio refused to {action}: HTTP {status}, error {code} (see https://www.twilio.com/docs/api/errors)",
            retryable=status in {429, 500, 502, 503, 504},
        )
    return CarrierError(
        f"Twilio could not be reached to {action} ({type(error).__name__}); check the network", retryable=True
    )
