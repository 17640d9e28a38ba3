"""Calls that were answered with TwiML and whose socket has not come yet: their one-time tokens."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from telephony.ports import LegInfo


@dataclass(slots=True)
class _Pending:
    info: LegInfo
    digest: bytes
    document: str
    expires: float
    used: bool = False


class PendingCalls:
    """Issues a token a call, good for one socket, for the call it was made for, for a while.

    Time is an argument, in seconds of any monotonic clock. A process knows only its own tokens: carriers
    reach the process that answered the webhook (docs/decisions/0002).
    """

    def __init__(self, lifetime: float) -> None:
        self._lifetime = lifetime
        self._calls: dict[str, _Pending] = {}  # by CallSid, oldest first

    def document(self, info: LegInfo, write: Callable[[str], str], now: float) -> str:
        """The TwiML for this call: ``write(token)`` at the first request, the same again until it expires."""
        self._forget(now)
        known = self._calls.get(info.carrier_call_id)
        if known is None:
            token = secrets.token_urlsafe(32)
            known = _Pending(info, _digest(token), write(token), now + self._lifetime)
            self._calls[info.carrier_call_id] = known
        return known.document

    def claim(self, token: str, call_sid: str, now: float) -> LegInfo | None:
        """Who is calling, if ``token`` is this call's and is used for the first time; else ``None``."""
        self._forget(now)
        known = self._calls.get(call_sid)
        if known is None or known.used or not hmac.compare_digest(known.digest, _digest(token)):
            return None
        known.used = True
        return known.info

    def discard(self, call_sid: str) -> None:
        """Forget a call, so that its next document carries a new token."""
        self._calls.pop(call_sid, None)

    def _forget(self, now: float) -> None:
        while self._calls:
            oldest = next(iter(self._calls))
            if self._calls[oldest].expires > now:
                return
            del self._calls[oldest]


def _digest(token: str) -> bytes:
    return sha256(token.encode()).digest()
