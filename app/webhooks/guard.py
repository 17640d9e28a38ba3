"""Which addresses may be told about calls: public ones, and what the operator allows besides.

Whoever may write a webhook's URL must not reach through it what only this machine can: its own services, the
private network, the cloud's metadata. A name is resolved here, all of its addresses are checked, and the
connection goes to one that was checked, so that a name that changes its mind in between gains nothing.

Sources: IANA's special-purpose address registries (RFC 6890), RFC 6052 (NAT64), RFC 3056 (6to4), RFC 4380.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias
from urllib.parse import urlsplit

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network
Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
"""A host's addresses, as text. Raises ``OSError``."""

LONGEST_URL = 2000

_NAT64 = ip_network("64:ff9b::/96")
_SIX_TO_FOUR = ip_network("2002::/16")
_TEREDO = ip_network("2001::/32")
# Besides what Python calls not global: some versions miss one or another of these.
_NEVER = tuple(
    ip_network(network)
    for network in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
        "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15",
        "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
        "::/127", "64:ff9b:1::/48", "100::/64", "2001:db8::/32", "3fff::/20", "5f00::/16", "fc00::/7",
        "fe80::/10", "fec0::/10", "ff00::/8",
    )
)  # fmt: skip


class Refused(Exception):
    """This address is not told anything. The text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a message goes: ``url`` as it was given, its host, and an address of it that was checked."""

    url: str
    host: str
    port: int
    address: str

    @property
    def pinned_url(self) -> str:
        """The URL with the address in place of the host."""
        parts = urlsplit(self.url)
        address = f"[{self.address}]" if ":" in self.address else self.address
        return parts._replace(netloc=f"{address}:{self.port}").geturl()

    @property
    def host_header(self) -> str:
        """The host as the receiver knows it."""
        return urlsplit(self.url).netloc


async def resolve(host: str, port: int) -> Sequence[str]:
    """The system's answer. Raises ``OSError``."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Guard:
    """Decides where messages may go."""

    def __init__(self, allow: Sequence[str] = (), resolve: Resolve = resolve) -> None:
        """``allow``: hosts, addresses and networks that may be told besides public ones, also by http.

        Raises ``ValueError`` for what is none of these.
        """
        self._hosts: set[str] = set()
        self._networks: list[Network] = []
        self._resolve = resolve
        for entry in allow:
            try:
                self._networks.append(ip_network(entry, strict=False))
            except ValueError:
                if "/" in entry or ":" in entry or not entry:
                    raise ValueError(
                        f"TRUNKLINE_WEBHOOKS__ALLOW: {entry!r} is no host, address or network"
                    ) from None
                self._hosts.add(entry.lower().rstrip("."))

    def check_url(self, url: str) -> tuple[str, int]:
        """A URL's host and port, as far as can be told without asking anybody. Raises ``Refused``."""
        if len(url) > LONGEST_URL or any(character <= " " for character in url) or not url.isascii():
            raise Refused(f"the URL must be ASCII without spaces, of at most {LONGEST_URL} characters")
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            raise Refused("the URL cannot be read; write it as https://host/path") from None
        if parts.scheme not in {"http", "https"} or not host:
            raise Refused("the URL must begin with https:// and name a host")
        if parts.username is not None or parts.password is not None or parts.fragment:
            raise Refused("the URL must hold no name, password or fragment; messages are signed instead")
        literal = _literal(host)
        allowed = self._allows_host(host) or (literal is not None and self._allows(literal))
        if parts.scheme == "http" and not allowed:
            raise Refused("the URL must begin with https://; http is for hosts in TRUNKLINE_WEBHOOKS__ALLOW")
        if literal is not None and not allowed:
            self._check(host, literal)
        return host, port or (443 if parts.scheme == "https" else 80)

    async def target(self, url: str) -> Target:
        """Where to send to. Raises ``Refused``, and ``OSError`` where the name cannot be resolved."""
        host, port = self.check_url(url)
        addresses = [_literal(found) for found in await self._resolve(host, port)]
        known = [address for address in addresses if address is not None]
        if not known or len(known) < len(addresses):
            raise Refused(f"{host} has no address that can be checked")
        if not self._allows_host(host):
            for address in known:
                self._check(host, address)
        return Target(url, host, port, str(known[0]))

    def _check(self, host: str, address: Address) -> None:
        if not is_public(address) and not self._allows(address):
            raise Refused(
                f"{host} has an address that is not public; if it is meant, add it to "
                "TRUNKLINE_WEBHOOKS__ALLOW of the web process and the worker"
            )

    def _allows(self, address: Address) -> bool:
        return any(
            each in network
            for each in (address, *_inside(address))
            for network in self._networks
            if network.version == each.version
        )

    def _allows_host(self, host: str) -> bool:
        return host.lower().rstrip(".") in self._hosts


def is_public(address: Address) -> bool:
    """Whether an address is one of the public internet, and what it stands for too."""
    if any(address in network for network in _NEVER if network.version == address.version):
        return False
    within = _inside(address)
    if within:
        return all(is_public(each) for each in within)
    return address.is_global and not address.is_multicast


def _inside(address: Address) -> tuple[IPv4Address, ...]:
    """The IPv4 addresses that an IPv6 address leads to."""
    if isinstance(address, IPv4Address):
        return ()
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    if address in _NAT64:
        return (IPv4Address(int(address) & 0xFFFFFFFF),)
    if address in _SIX_TO_FOUR and address.sixtofour is not None:
        return (address.sixtofour,)
    if address in _TEREDO and address.teredo is not None:
        return address.teredo
    if int(address) >> 32 == 0:  # ::a.b.c.d, out of use since RFC 4291
        return (IPv4Address(int(address)),)
    return ()


def _literal(host: str) -> Address | None:
    """The address that a host's name is; ``None``: it is a name."""
    try:
        return ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return None
