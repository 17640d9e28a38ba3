"""TwiML: what the simulator carries out, and how it says what it does not."""

from __future__ import annotations

import pytest

from telephony.simulator import twiml

BASE = "https://voice.example.com/voice/incoming"


def test_a_stream_with_everything() -> None:
    document = """<?xml version="1.0" encoding="UTF-8"?>
    <Response><!-- greeting --><Connect action="/voice/after">
      <Stream url="wss://voice.example.com/media" name="main" statusCallback="https://voice.example.com/s">
        <Parameter name="token" value="a&amp;b"/></Stream></Connect></Response>"""
    assert twiml.read(document, BASE) == (
        twiml.Connect(
            url="wss://voice.example.com/media",
            parameters={"token": "a&b"},
            name="main",
            action="https://voice.example.com/voice/after",
            status_callback="https://voice.example.com/s",
        ),
    )


def test_the_other_verbs() -> None:
    document = (
        "<Response><Say>Please <emphasis>hold</emphasis></Say><Pause length='2'/><Dial>+15550001</Dial>"
        "<Dial timeout='5' action='after'><Number>+1</Number><Sip>sip:a@b</Sip></Dial>"
        "<Redirect>/again</Redirect><Reject reason='busy'/><Hangup/></Response>"
    )
    assert twiml.read(document, BASE) == (
        twiml.Say("Please hold"),
        twiml.Pause(2.0),
        twiml.Dial(("+15550001",)),
        twiml.Dial(("+1", "sip:a@b"), action="https://voice.example.com/voice/after", timeout=5.0),
        twiml.Redirect("https://voice.example.com/again"),
        twiml.Reject("busy"),
        twiml.Hangup(),
    )


def test_a_relative_stream_url() -> None:
    (connect,) = twiml.read("<Response><Connect><Stream url='/m'/></Connect></Response>", BASE)
    assert isinstance(connect, twiml.Connect)
    assert connect.url == "wss://voice.example.com/m"


def stream(inside: str = "", url: str = "wss://h/m") -> str:
    return f"<Response><Connect><Stream url='{url}'>{inside}</Stream></Connect></Response>"


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ("", "not XML"),
        ("{}", "not XML"),
        ("<Response>", "not XML"),
        ("<response/>", "expected <Response>"),
        ("<Response><Gather/></Response>", "does not do <Gather>"),
        ("<Response><connect/></Response>", "does not do <connect>"),
        ("<Response><Connect/></Response>", "exactly one <Stream>"),
        ("<!DOCTYPE x><Response/>", "document type"),
        (f"<Response>{' ' * 70_000}</Response>", "larger than"),
        (stream(url="https://h/m"), "not a WebSocket URL"),
        (stream(url="wss://h/m?call=1"), "query string"),
        (stream("<Parameter value='x'/>"), "only <Parameter name value>"),
        (stream(f"<Parameter name='a' value='{'x' * 500}'/>"), "longer than 500"),
        ("<Response><Dial/></Response>", "names no number"),
        ("<Response><Pause length='long'/></Response>", "not a number"),
    ],
)
def test_errors_say_what_is_wrong(document: str, says: str) -> None:
    with pytest.raises(twiml.TwimlError, match=says):
        twiml.read(document, BASE)
