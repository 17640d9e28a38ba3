"""Telephony's errors: whose fault it was, and why a call ended."""

from __future__ import annotations

from enum import StrEnum


class HangupCause(StrEnum):
    """Why a leg ended, as signalling saw it."""

    CALLER = "caller"  # the far end hung up
    AGENT = "agent"  # we hung up, in order
    TRANSFERRED = "transferred"
    MAX_DURATION = "max_duration"
    NO_INPUT = "no_input"
    CARRIER_ERROR = "carrier_error"  # the carrier broke off, or broke the protocol
    CARRIER_STALLED = "carrier_stalled"  # the carrier stopped reading or sending
    SERVER_ERROR = "server_error"  # our fault
    SERVER_SHUTDOWN = "server_shutdown"


class TelephonyError(Exception):
    """Base of what telephony raises."""


class LocalProtocolError(TelephonyError):
    """We asked for something the protocol does not allow now: a bug on our side."""


class RemoteProtocolError(TelephonyError):
    """The peer sent something the protocol does not allow. ``close_code`` is what a socket is closed with."""

    def __init__(self, message: str, *, close_code: int = 1008) -> None:
        super().__init__(message)
        self.close_code = close_code


class CarrierError(TelephonyError):
    """The carrier refused or failed a request of ours. ``retryable``: the same request may succeed later."""

    def __init__(self, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.retryable = retryable
