"""Where messages may go: no address of the private network, however it is written."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address

import pytest

from app.webhooks.guard import Guard, Refused, is_public

PRIVATE = [
    "127.0.0.1", "127.9.9.9", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1",
    "169.254.169.254", "100.64.0.1", "100.100.100.200", "192.0.0.192", "198.18.0.1", "192.0.2.1",
    "198.51.100.7", "203.0.113.9", "224.0.0.1", "240.0.0.1", "255.255.255.255",
    "::", "::1", "fe80::1", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1",
    "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a00:1", "2002:7f00:1::", "2002:a9fe:a9fe::1",
    "2001:0:7f00:1::", "100::1",
]  # fmt: skip
PUBLIC = ["8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700:4700::1111", "64:ff9b::808:808"]


def resolving(*addresses: str) -> Guard:
    return allowing((), *addresses)


def allowing(allow: Sequence[str], *addresses: str) -> Guard:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return addresses

    return Guard(allow, resolve)


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_known(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_known(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize("address", PRIVATE)
async def test_a_name_that_leads_there_is_refused(address: str) -> None:
    with pytest.raises(Refused, match="TRUNKLINE_WEBHOOKS__ALLOW"):
        await resolving("8.8.8.8", address).target("https://crm.example.com/hook")


@pytest.mark.parametrize("address", PRIVATE)
def test_the_address_itself_is_refused(address: str) -> None:
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(Refused):
        Guard().check_url(f"https://{host}/hook")


@pytest.mark.parametrize(
    "url",
    [
        "http://crm.example.com/",
        "ftp://crm.example.com/",
        "https://",
        "https://name:word@crm.example.com/",
        "https://crm.example.com/#part",
        "https://crm.example.com:99999/",
        "https://crm example.com/",
        "https://crm.example.com/" + "x" * 2000,
        "https://ünï.example.com/",
        "file:///etc/passwd",
        "https://[::1",
    ],
)
def test_what_is_no_url_of_a_receiver_is_refused(url: str) -> None:
    with pytest.raises(Refused):
        Guard().check_url(url)


async def test_other_ways_to_write_an_address_are_resolved_and_refused() -> None:
    """The system's resolver reads 2130706433, 0x7f.1 and 127.1 as addresses: what it answers is checked."""
    for host in ("2130706433", "0x7f.1", "127.1", "localhost"):
        with pytest.raises((Refused, OSError)):
            await Guard().target(f"https://{host}/")


async def test_the_connection_goes_to_the_address_that_was_checked() -> None:
    target = await resolving("8.8.8.8", "1.1.1.1").target("https://crm.example.com:8443/a?b=c")
    assert target.pinned_url == "https://8.8.8.8:8443/a?b=c"
    assert (target.host, target.host_header) == ("crm.example.com", "crm.example.com:8443")
    six = await resolving("2606:4700:4700::1111").target("https://crm.example.com/")
    assert six.pinned_url == "https://[2606:4700:4700::1111]:443/"


@pytest.mark.parametrize(
    ("allow", "url", "address"),
    [
        ("10.1.0.0/16", "https://crm.internal/", "10.1.2.3"),
        ("crm.internal", "http://crm.internal/", "10.9.9.9"),
        ("127.0.0.1", "http://127.0.0.1:9000/", "127.0.0.1"),
        ("fd00::/8", "https://crm.internal/", "fd00::7"),
    ],
)
async def test_what_the_operator_allows_may_be_told(allow: str, url: str, address: str) -> None:
    assert (await allowing((allow,), address).target(url)).address == address


async def test_what_is_allowed_is_no_more_than_that() -> None:
    guard = allowing(("10.1.0.0/16",), "10.1.2.3", "10.2.0.1")
    with pytest.raises(Refused):
        await guard.target("https://crm.internal/")


@pytest.mark.parametrize("entry", ["", "10.0.0.0/99", "https://crm.internal"])
def test_what_is_no_host_cannot_be_allowed(entry: str) -> None:
    with pytest.raises(ValueError, match="TRUNKLINE_WEBHOOKS__ALLOW"):
        Guard((entry,))


async def test_a_name_without_an_address_is_refused() -> None:
    with pytest.raises(Refused):
        await resolving().target("https://crm.example.com/")
