"""Twilio's signature, against the vectors it publishes and its own library."""

from __future__ import annotations

import pytest
from twilio.request_validator import RequestValidator

from telephony.simulator.signature import sign, signed_url


def test_the_published_vector() -> None:
    form = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+14158675310",
        "Digits": "1234",
        "From": "+14158675310",
        "To": "+18005551212",
    }
    assert sign("12345", "https://example.com/myapp.php?foo=1&bar=2", form) == "L/OH5YylLD5NRKLltdqwSvS0BnU="


@pytest.mark.parametrize(
    ("url", "signature"),
    [
        ("wss://voice.example.com/media", "jFDHVhI8XO69C49uXR3xmdZPylY="),
        ("wss://voice.example.com/media/", "BXF4dPv/qKwfALEQ/o2fVPPvK/c="),
    ],
)
def test_an_upgrade_is_signed_without_a_form(url: str, signature: str) -> None:
    assert sign("12345", url) == signature


@pytest.mark.parametrize(
    ("url", "signed"),
    [
        ("https://h.example:8443/x?a=1#rc=2", "https://h.example/x?a=1"),
        ("http://127.0.0.1:8000/x#rc=2", "http://127.0.0.1:8000/x"),
        ("ws://127.0.0.1:8000/media", "ws://127.0.0.1:8000/media"),
        ("https://user:secret@h.example/x", "https://h.example/x"),
        ("https://h.example", "https://h.example"),
    ],
)
def test_what_of_a_url_is_signed(url: str, signed: str) -> None:
    assert signed_url(url) == signed


def test_twilios_library_accepts_it() -> None:
    form = {"To": "+1", "From": " anonymous ", "Empty": "", "lower": "x", "Upper": "ü"}
    url = "http://127.0.0.1:8000/voice?x=a%20b"
    assert RequestValidator("token").validate(url, form, sign("token", url, form))
