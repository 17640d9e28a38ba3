"""The HTTP client's proxies and certificates, which it takes from the environment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from app.engines.errors import EngineUnavailable

_VARIABLES = "ALL_PROXY, HTTPS_PROXY, HTTP_PROXY, SSL_CERT_FILE and SSL_CERT_DIR"


@contextmanager
def environment_of(user: str) -> Iterator[None]:
    """To make a client in. Raises ``EngineUnavailable`` of ``user``, with the variables, not their values."""
    try:
        yield
    except ImportError:
        told = "the environment names a SOCKS proxy: install the package socksio, or unset ALL_PROXY"
        raise EngineUnavailable(user, told) from None
    except (OSError, ValueError) as error:  # certificates; a proxy's URL
        problem = f"the proxy or the certificates of the environment cannot be used ({type(error).__name__})"
        raise EngineUnavailable(user, f"{problem}; check {_VARIABLES}") from None
