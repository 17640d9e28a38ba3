"""Media Streams messages, both directions."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.media import g711
from telephony.simulator import wire

SID = "MZ" + "0" * 32


def test_messages_are_numbered_as_twilio_numbers_them() -> None:
    writer = wire.StreamWriter(SID, "CA1", "AC1")
    assert json.loads(writer.connected()) == {"event": "connected", "protocol": "Call", "version": "1.0.0"}
    assert json.loads(writer.start({"token": 'a"b'})) == {
        "event": "start",
        "sequenceNumber": "1",
        "start": {
            "accountSid": "AC1",
            "streamSid": SID,
            "callSid": "CA1",
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": {"token": 'a"b'},
        },
        "streamSid": SID,
    }
    assert json.loads(writer.media(wire.SILENT_FRAME)) == {
        "event": "media",
        "sequenceNumber": "2",
        "media": {"track": "inbound", "chunk": "1", "timestamp": "0", "payload": wire.SILENT_FRAME},
        "streamSid": SID,
    }
    assert json.loads(writer.dtmf("#")) == {
        "event": "dtmf",
        "sequenceNumber": "3",
        "dtmf": {"track": "inbound_track", "digit": "#"},
        "streamSid": SID,
    }
    assert json.loads(writer.media("x"))["media"]["timestamp"] == "20"
    assert json.loads(writer.mark('m"1')) == {
        "event": "mark",
        "sequenceNumber": "5",
        "mark": {"name": 'm"1'},
        "streamSid": SID,
    }
    assert json.loads(writer.stop()) == {
        "event": "stop",
        "sequenceNumber": "6",
        "stop": {"accountSid": "AC1", "callSid": "CA1"},
        "streamSid": SID,
    }


def test_frames_are_20_ms_and_filled_up_with_silence() -> None:
    assert len(base64.b64decode(wire.SILENT_FRAME)) == 160
    frames = wire.frame_payloads(np.full(170, 1000, dtype=np.int16))
    assert [len(frame) for frame in frames] == [216, 216]
    assert base64.b64decode(frames[1])[10:] == bytes([g711.SILENCE]) * 150
    assert wire.frame_payloads(np.zeros(0, dtype=np.int16)) == ()


def body(**changes: Any) -> dict[str, Any]:
    message = {
        "event": "media",
        "streamSid": SID,
        "media": {"payload": base64.b64encode(b"\xff" * 7).decode()},
    }
    return {name: value for name, value in (message | changes).items() if value is not None}


def read(message: object) -> wire.FromServer:
    return wire.read(json.dumps(message).encode(), SID)


def test_good_messages() -> None:
    assert read(body()) == wire.PlayAudio(b"\xff" * 7)
    assert read({"event": "mark", "streamSid": SID, "mark": {"name": "a"}}) == wire.PlaceMark("a")
    assert read({"event": "clear", "streamSid": SID}) == wire.ClearAudio()


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ([], "not a JSON object"),
        (None, "not a JSON object"),
        ("media", "not a JSON object"),
        (body(event="speak"), "unknown event"),
        (body(event=3), "unknown event"),
        (body(event=None), "unknown event"),
        (body(streamSid="MZ1"), "streamSid"),
        (body(streamSid=None), "streamSid"),
        (body(media=None), "missing"),
        (body(media=None, mark={"name": "x"}), "missing"),
        (body(media="abc"), "not an object"),
        (body(media={}), "media.payload"),
        (body(media={"payload": ""}), "media.payload"),
        (body(media={"payload": 5}), "media.payload"),
        (body(media={"payload": "a"}), "not base64"),
        (body(media={"payload": "////\n"}), "not base64"),
        (body(media={"payload": "\u00ff"}), "not base64"),
        (body(media={"payload": "////", "track": "outbound"}), "beside"),
        (body(sequenceNumber="1"), "unexpected"),
        ({"event": "mark", "streamSid": SID, "mark": {}}, "mark.name"),
        ({"event": "clear", "streamSid": SID, "clear": {}}, "unexpected"),
    ],
)
def test_what_twilio_warns_about(message: object, reason: str) -> None:
    answer = read(message)
    assert isinstance(answer, wire.Invalid)
    assert answer.code == wire.INVALID_MESSAGE
    assert reason in answer.reason


def test_audio_that_would_be_played_as_noise_is_played_and_flagged() -> None:
    for payload in (b"RIFF....WAVE", b"\xff" * 20 + b"\x00" * 20):
        answer = read(body(media={"payload": base64.b64encode(payload).decode()}))
        assert isinstance(answer, wire.PlayAudio)
        assert answer.payload == payload
        assert answer.flaw


def test_truncated_at_every_byte() -> None:
    whole = json.dumps(body()).encode()
    for length in range(len(whole)):
        assert isinstance(wire.read(whole[:length], SID), wire.Invalid)


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    assert isinstance(wire.read(data, SID), wire.Invalid)


@given(
    st.recursive(
        st.none() | st.booleans() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_json(value: object) -> None:
    for event in ("media", "mark", "clear"):
        wire.read(json.dumps({"event": event, "streamSid": SID, event: value}).encode(), SID)


def test_line_noise_has_its_level_and_is_never_digital_silence() -> None:
    frames = wire.line_noise(-55.0)
    samples = g711.decode(b"".join(base64.b64decode(frame) for frame in frames)).astype(float)
    assert 20 * np.log10(np.sqrt((samples**2).mean()) / 32768) == pytest.approx(-55, abs=1.0)
    assert all(frame != wire.SILENT_FRAME for frame in frames)
