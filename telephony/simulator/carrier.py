"""The carrier: places calls to a webhook, one or hundreds at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from types import TracebackType
from typing import Self

from telephony.simulator.call import Call, CallerFn, CallPlan, DialOutcome
from telephony.simulator.conditions import PERFECT, LineConditions
from telephony.simulator.heard import HeardCall
from telephony.simulator.rest import RestAccount, serve_rest
from telephony.simulator.webhook import WebhookClient

CALLER_NUMBER = "+15550100001"
AGENT_NUMBER = "+15550100000"


class Carrier:
    """An account at the carrier whose number points to ``webhook_url``. An async context manager.

    ``via`` is an origin (``http://127.0.0.1:8000``) to connect to when the URLs name a public one that
    does not lead here; signatures stay those of the named URLs. ``offer_deflate`` offers
    permessage-deflate on the media socket. The token is used for signatures and never shown.
    """

    def __init__(
        self,
        webhook_url: str,
        account_sid: str,
        auth_token: str,
        *,
        from_number: str = CALLER_NUMBER,
        to_number: str = AGENT_NUMBER,
        via: str = "",
        verify_tls: bool = True,
        offer_deflate: bool = False,
        status_callback: str = "",
        status_events: tuple[str, ...] = ("completed",),
        dial_outcome: DialOutcome = "completed",
    ) -> None:
        self._client = WebhookClient(auth_token, via=via, verify_tls=verify_tls)
        self._auth_token = auth_token
        self._live: dict[str, Call] = {}
        self._plan = CallPlan(
            webhook_url=webhook_url,
            account_sid=account_sid,
            from_number=from_number,
            to_number=to_number,
            via=via,
            verify_tls=verify_tls,
            offer_deflate=offer_deflate,
            status_callback=status_callback,
            status_events=status_events,
            dial_outcome=dial_outcome,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.close()

    async def place_call(
        self,
        caller: CallerFn,
        *,
        from_number: str = "",
        to_number: str = "",
        conditions: LineConditions = PERFECT,
        max_seconds: float = 600.0,
        keep_audio: bool = True,
    ) -> HeardCall:
        """One call, from the webhook to the last callback.

        ``keep_audio=False`` leaves the audio out of the result; a caller under load frees it on the way
        with ``phone.playout.forget``. Raises ``WebhookFailed``, ``TwimlError``, or what the caller raised.
        """
        plan = replace(
            self._plan,
            from_number=from_number or self._plan.from_number,
            to_number=to_number or self._plan.to_number,
            conditions=conditions,
            max_seconds=max_seconds,
            keep_audio=keep_audio,
        )
        call = Call(plan, self._client)
        self._live[call.sid] = call
        try:
            return await call.run(caller)
        finally:
            del self._live[call.sid]

    async def place_calls(
        self,
        number: int,
        caller: Callable[[int], CallerFn],
        *,
        spread_seconds: float = 0.0,
        conditions: Callable[[int], LineConditions] = lambda _index: PERFECT,
        max_seconds: float = 600.0,
        keep_audio: bool = False,
    ) -> list[HeardCall | Exception]:
        """``number`` calls at once, begun evenly over ``spread_seconds``.

        ``caller(i)`` is what the i-th caller does. A call that fails leaves its exception in its place.
        """

        async def one(index: int) -> HeardCall:
            await asyncio.sleep(spread_seconds * index / number)
            return await self.place_call(
                caller(index),
                from_number=f"+1555{2_000_000 + index:07d}",
                conditions=conditions(index),
                max_seconds=max_seconds,
                keep_audio=keep_audio,
            )

        results = await asyncio.gather(*(one(index) for index in range(number)), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException) and not isinstance(result, Exception):
                raise result
        return [result for result in results if isinstance(result, (HeardCall, Exception))]

    @asynccontextmanager
    async def rest_api(self, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
        """Serve the REST API for this account's live calls; gives its origin. Raises ``OSError``."""
        account = RestAccount(self._plan.account_sid, self._auth_token, self.live)
        async with serve_rest(account, host, port) as origin:
            yield origin

    def live(self, call_sid: str) -> Call | None:
        """A call in progress, as the REST API finds it."""
        return self._live.get(call_sid)


async def place_call(
    webhook_url: str, account_sid: str, auth_token: str, caller: CallerFn, *, via: str = ""
) -> HeardCall:
    """One call with everything at its defaults; see ``Carrier``."""
    async with Carrier(webhook_url, account_sid, auth_token, via=via) as carrier:
        return await carrier.place_call(caller)
