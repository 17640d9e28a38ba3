"""Messages signed so that their receiver knows them to be ours: https://www.standardwebhooks.com."""

from __future__ import annotations

import base64
import secrets
from datetime import datetime
from uuid import UUID

from standardwebhooks import Webhook

SECRET_BYTES = 32
PREFIX = "whsec_"


def new_secret() -> str:
    """``whsec_`` and 32 random bytes in base64."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def message_id(delivery_id: UUID) -> str:
    """The same on every try, so that a receiver can tell what it has already."""
    return f"msg_{delivery_id.hex}"


def headers(secret: str, delivery_id: UUID, at: datetime, body: bytes) -> dict[str, str]:
    """The headers of one try. ``secret``: one or more with spaces between, each of which signs.

    ``at``: now, aware UTC; receivers refuse what is more than five minutes off.
    """
    identity = message_id(delivery_id)
    signatures = [Webhook(one).sign(identity, at, body.decode()) for one in secret.split()]
    return {
        "webhook-id": identity,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
