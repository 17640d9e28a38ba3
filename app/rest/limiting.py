"""How often a client may ask: so many requests a minute of each key, far fewer of an address without one.

A key is counted for itself once a request with it was let in. Until then, and after it was refused, its
requests count for their address: trying out keys is slow.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import IPv6Address, ip_address
from typing import Any

import structlog
from fastapi.security.utils import get_authorization_scheme_param
from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage, RedisStorage, Storage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from redis.asyncio import ConnectionPool
from redis.exceptions import RedisError
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import TooManyRequests, problem_response
from app.metrics import REST_LIMITED, REST_LIMITS_FAILED

_KNOWN_KEYS = 10_000
_REDIS_SECONDS = 0.25
_REDIS_FAILURES = (RedisError, OSError, TimeoutError)
_AGAIN_SECONDS = 30.0  # after Redis failed, until it is asked again

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a request is let in, and what is left of its share of ``limit`` requests a minute."""

    admitted: bool
    limit: int
    remaining: int
    reset_seconds: float


class RateLimits:
    """Counts requests: in this process, or in ``redis_url`` for all of them (``""``: in this one).

    Where Redis does not answer, this process counts for itself.
    """

    def __init__(
        self,
        key_requests: int = 600,
        other_requests: int = 60,
        redis_url: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``key_requests`` of a key and ``other_requests`` of an address without one, a minute."""
        self._of_key = RateLimitItemPerMinute(key_requests, namespace="key")
        self._of_address = RateLimitItemPerMinute(other_requests, namespace="address")
        self._own = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._pool = _pool(redis_url) if redis_url else None
        self._shared = SlidingWindowCounterRateLimiter(_storage(self._pool)) if self._pool else None
        self._known: OrderedDict[str, None] = OrderedDict()
        self._clock = clock
        self._shared_again = 0.0

    async def take(self, key: str | None, address: str) -> Verdict:
        """Count a request. ``key``: a digest of what it was sent with; ``address``: of its client."""
        known = key is not None and key in self._known
        item = self._of_key if known else self._of_address
        name = key if known and key is not None else _network(address)
        if self._shared is not None and self._clock() >= self._shared_again:
            try:
                return await self._hit(self._shared, item, name)
            except _REDIS_FAILURES as error:
                self._shared_again = self._clock() + _AGAIN_SECONDS
                REST_LIMITS_FAILED.inc()
                _log.warning("requests are counted by each process: Redis fails", error=type(error).__name__)
        return await self._hit(self._own, item, name)

    def learn(self, key: str, *, valid: bool) -> None:
        """What came of a request with this key."""
        if not valid:
            self._known.pop(key, None)
            return
        self._known[key] = None
        self._known.move_to_end(key)
        if len(self._known) > _KNOWN_KEYS:
            self._known.popitem(last=False)

    async def close(self) -> None:
        """Close the connections to Redis."""
        if self._pool is not None:
            await self._pool.aclose()

    @staticmethod
    async def _hit(
        limiter: SlidingWindowCounterRateLimiter, item: RateLimitItemPerMinute, name: str
    ) -> Verdict:
        admitted = await limiter.hit(item, name)
        stats = await limiter.get_window_stats(item, name)
        reset = max(0.0, stats.reset_time - time.time())
        return Verdict(admitted, item.amount, max(0, stats.remaining), reset)


class RateLimiting:
    """Refuses with 429 what ``limits`` does not admit; tells every client what it has left.

    The headers are those of draft-ietf-httpapi-ratelimit-headers-10.
    """

    def __init__(self, app: ASGIApp, limits: RateLimits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        key = _key(Headers(scope=scope).get("authorization", ""))
        client = scope.get("client")
        verdict = await self._limits.take(key, client[0] if client else "")

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                if key is not None:
                    refused = message["status"] == HTTPStatus.UNAUTHORIZED
                    if refused or "identity" in state:
                        self._limits.learn(key, valid=not refused)
                _tell(MutableHeaders(scope=message), verdict)
            await send(message)

        if verdict.admitted:
            await self._app(scope, receive, told)
            return
        REST_LIMITED.inc()
        problem = TooManyRequests(
            f"more than {verdict.limit} requests a minute; wait as long as Retry-After says",
            verdict.reset_seconds,
        )
        answer = problem_response(problem.status, problem.detail, headers=problem.headers)
        _tell(answer.headers, verdict)
        await answer(scope, receive, send)


def _tell(headers: MutableHeaders, verdict: Verdict) -> None:
    headers["RateLimit-Policy"] = f'"requests";q={verdict.limit};w=60'
    headers["RateLimit"] = f'"requests";r={verdict.remaining};t={math.ceil(verdict.reset_seconds)}'


def _key(authorization: str) -> str | None:
    """A digest of the bearer key, read as FastAPI does: what is counted by must not be the key itself."""
    scheme, key = get_authorization_scheme_param(authorization)
    if scheme.lower() != "bearer" or not key:
        return None
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _network(address: str) -> str:
    """An address as it is counted: of IPv6 the network of 64 bits, which one client has for itself."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(parsed, IPv6Address):
        return str(IPv6Address(int(parsed) >> 64 << 64))
    return str(parsed)


def _pool(url: str) -> ConnectionPool:
    return ConnectionPool.from_url(url, socket_timeout=_REDIS_SECONDS, socket_connect_timeout=_REDIS_SECONDS)


def _storage(pool: ConnectionPool) -> Storage:
    options: Any = {"connection_pool": pool}
    return RedisStorage("async+redis://", implementation="redispy", key_prefix="trunkline-limits", **options)
