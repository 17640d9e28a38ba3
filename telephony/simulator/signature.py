"""``X-Twilio-Signature``: HMAC-SHA1 of the URL and the form, made as Twilio makes it.

Source: Twilio, "Webhooks security", and its test vectors.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import urlsplit

HEADER = "X-Twilio-Signature"


def sign(auth_token: str, url: str, form: Mapping[str, str] | None = None) -> str:
    """The signature of a request for ``url`` with form fields, or none for a GET or an upgrade.

    The fragment is never signed. A port is dropped for https and kept for http, ws and wss.
    """
    text = signed_url(url) + "".join(f"{name}{value}" for name, value in sorted((form or {}).items()))
    digest = hmac.new(auth_token.encode(), text.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


def signed_url(url: str) -> str:
    """The form of a URL that is signed."""
    url = url.partition("#")[0]
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    if parts.scheme == "https" and parts.port is not None:
        host = host.rpartition(":")[0]
    prefix, _, rest = url.partition("://")
    return f"{prefix}://{host}{rest[len(parts.netloc) :]}"
