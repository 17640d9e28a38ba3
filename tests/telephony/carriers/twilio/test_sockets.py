"""The media socket, over the wire. Numbers in names are the cases of the telephony reference, 7.2-7.5."""

from __future__ import annotations

import asyncio
import base64
import json
import socket as sockets
from typing import Any

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

from telephony.errors import HangupCause
from telephony.events import AudioReceived, DtmfReceived, MachineDetected, MarkPlayed
from telephony.media import g711
from telephony.media.frame import silence
from tests.telephony.carriers.twilio.conftest import PUBLIC_SOCKET, FarEnd, Stream, call_sid, sign

FRAME = bytes([0xFF]) * 160


async def closed_with(stream: Stream, seconds: float = 5.0) -> int:
    """The close code that the server sends."""
    async with asyncio.timeout(seconds):
        with pytest.raises(ConnectionClosed) as closed:
            await _drain(stream)
    assert closed.value.rcvd is not None, "the server broke off without a close frame"
    return int(closed.value.rcvd.code)


async def _drain(stream: Stream) -> None:
    while True:
        await stream.socket.recv()


async def alive(far_end: FarEnd, stream: Stream) -> None:
    """The next good message still works."""
    before = len(far_end.handler.events)
    await stream.media(FRAME)
    await far_end.handler.saw(lambda: len(far_end.handler.events) > before)


@pytest.mark.parametrize(
    "signature",
    ["", "bm9uc2Vuc2U=", sign("https://voice.example.com/media/twilio", {})],
    ids=["none", "wrong", "over https instead of wss"],
)
async def test_27_an_unsigned_upgrade_is_refused_before_it_is_accepted(
    far_end: FarEnd, signature: str
) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with far_end.socket(signature=signature):
            pass
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize("url", ["/media/twilio", "/media/twilio/", ":443/media/twilio"])
async def test_27_a_signed_upgrade_is_accepted(far_end: FarEnd, url: str) -> None:
    async with far_end.socket(signature=sign(PUBLIC_SOCKET + url, {})):
        pass


async def test_28_compression_is_not_negotiated(far_end: FarEnd) -> None:
    extensions = [ClientPerMessageDeflateFactory()]
    async with far_end.socket(extensions=extensions) as socket:
        assert socket.response is not None
        assert "Sec-WebSocket-Extensions" not in socket.response.headers


@pytest.mark.parametrize("first", [None, {"event": "connected", "protocol": "Call", "version": "1.0.0"}])
async def test_29_30_a_socket_without_a_start_is_closed(
    far_end: FarEnd, first: dict[str, Any] | None
) -> None:
    async with far_end.socket() as socket:
        if first:
            await socket.send(json.dumps(first))
        assert await closed_with(Stream(socket, "", "")) == 1008
    assert far_end.handler.legs == []


async def test_31_media_before_start_is_ignored(far_end: FarEnd) -> None:
    sid, token = await far_end.ring()
    async with far_end.socket() as socket:
        stream = Stream(socket, sid, token)
        await stream.media(b"\x00" * 160)
        await stream.begin()
        await alive(far_end, stream)
        (event,) = far_end.handler.events
        assert isinstance(event, AudioReceived)
        assert event.at == 0


@pytest.mark.parametrize("what", ["token", "call", "account", "no parameters"])
async def test_32_a_start_that_is_not_ours_is_refused(far_end: FarEnd, what: str) -> None:
    sid, token = await far_end.ring()
    changes: dict[str, dict[str, Any]] = {
        "token": {"customParameters": {"token": "forged"}},
        "call": {"callSid": call_sid()},
        "account": {"accountSid": "AC" + "9" * 32},
        "no parameters": {"customParameters": None},
    }
    async with far_end.socket() as socket:
        stream = Stream(socket, sid, token)
        await stream.begin(**changes[what])
        assert await closed_with(stream) == 1008
    assert far_end.handler.legs == []


@pytest.mark.parametrize("far_end", [{"token_seconds": 0.2}], indirect=True)
async def test_32_a_token_expires(far_end: FarEnd) -> None:
    sid, token = await far_end.ring()
    await asyncio.sleep(0.3)
    async with far_end.socket() as socket:
        stream = Stream(socket, sid, token)
        await stream.begin()
        assert await closed_with(stream) == 1008


async def test_33_a_second_start_changes_nothing(far_end: FarEnd) -> None:
    async with far_end.stream() as stream:
        await stream.begin()
        await alive(far_end, stream)
    assert len(far_end.handler.legs) == 1


async def test_34_a_token_opens_one_socket(far_end: FarEnd) -> None:
    async with far_end.stream() as first, far_end.socket() as socket:
        second = Stream(socket, first.call_sid, first.token)
        await second.begin()
        assert await closed_with(second) == 1008
        await alive(far_end, first)


@pytest.mark.parametrize(
    "media",
    [
        {"encoding": "audio/x-l16", "sampleRate": 8000, "channels": 1},
        {"encoding": "audio/x-mulaw", "sampleRate": 16000, "channels": 1},
        {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 2},
    ],
)
async def test_35_audio_we_cannot_play_is_refused(far_end: FarEnd, media: dict[str, Any]) -> None:
    sid, token = await far_end.ring()
    async with far_end.socket() as socket:
        stream = Stream(socket, sid, token)
        await stream.begin(mediaFormat=media)
        assert await closed_with(stream) == 1003


async def test_35_numbers_may_come_as_strings(far_end: FarEnd) -> None:
    media = {"encoding": "audio/x-mulaw", "sampleRate": "8000", "channels": "1"}
    async with far_end.stream(mediaFormat=media) as stream:
        await alive(far_end, stream)


NONSENSE = {
    "not json": "hello",
    "array": "[]",
    "string": '"x"',
    "null": "null",
    "deep": "[" * 1000 + "]" * 1000,
    "deeper": "[" * 60_000,
    "no event": "{}",
    "event is a list": '{"event": []}',
    "unknown event": '{"event": "surprise"}',
    "media is a number": '{"event": "media", "streamSid": "SID", "media": 5}',
    "no payload": '{"event": "media", "streamSid": "SID", "media": {}}',
    "payload is a list": '{"event": "media", "streamSid": "SID", "media": {"payload": []}}',
    "payload is not base64": '{"event": "media", "streamSid": "SID", "media": {"payload": "!!!!"}}',
    "payload is empty": '{"event": "media", "streamSid": "SID", "media": {"payload": ""}}',
    "payload is not ascii": '{"event": "media", "streamSid": "SID", "media": {"payload": "ÄÄÄÄ"}}',
    "outbound": '{"event": "media", "streamSid": "SID", "media": {"track": "outbound", "payload": "/w=="}}',
    "mark without a name": '{"event": "mark", "streamSid": "SID", "mark": {}}',
    "other stream": '{"event": "media", "streamSid": "MZother", "media": {"payload": "/w=="}}',
    "stop of another stream": '{"event": "stop", "streamSid": "MZother"}',
}


@pytest.mark.parametrize("message", NONSENSE.values(), ids=NONSENSE.keys())
async def test_36_37_38_42_nonsense_is_ignored(far_end: FarEnd, message: str) -> None:
    async with far_end.stream() as stream:
        await stream.socket.send(message.replace("SID", stream.sid))
        await alive(far_end, stream)
        assert len(far_end.handler.events) == 1


async def test_39_a_binary_frame_is_ignored(far_end: FarEnd) -> None:
    async with far_end.stream() as stream:
        await stream.socket.send(b"\x00\x01")
        await alive(far_end, stream)


async def test_40_every_sample_is_used_in_order(far_end: FarEnd) -> None:
    sizes = [1, 159, 161, 4000, 160]
    sent = bytes(np.arange(sum(sizes), dtype=np.uint64).astype(np.uint8))
    async with far_end.stream() as stream:
        start = 0
        for size in sizes:
            await stream.media(sent[start : start + size], timestamp=start // 8)
            start += size
        await far_end.handler.saw(lambda: len(far_end.handler.events) == len(sizes))
    audio = [event for event in far_end.handler.events if isinstance(event, AudioReceived)]
    assert np.array_equal(np.concatenate([event.samples for event in audio]), g711.decode(sent))
    assert [event.at for event in audio] == [0, 1, 160, 321, 4321]


@pytest.mark.parametrize(("timestamp", "at"), [(0, 160), (1020, 8160), (10**30, 160), (-5, 160), ("x", 160)])
async def test_lost_audio_is_a_gap_and_nonsense_is_not(far_end: FarEnd, timestamp: Any, at: int) -> None:
    async with far_end.stream() as stream:
        await stream.media(FRAME, timestamp=0)
        await stream.media(FRAME, timestamp=timestamp)
        await far_end.handler.saw(lambda: len(far_end.handler.events) == 2)
    second = far_end.handler.events[1]
    assert isinstance(second, AudioReceived)
    assert second.at == at


async def test_41_an_oversized_message_ends_the_call_cleanly(far_end: FarEnd) -> None:
    async with far_end.stream() as stream:
        await stream.socket.send("x" * 300_000)
        assert await closed_with(stream) == 1009
        await far_end.handler.saw(lambda: bool(far_end.handler.causes))
    assert far_end.handler.causes == [HangupCause.CARRIER_ERROR]


@pytest.mark.parametrize(
    ("digit", "counts"), [("1", True), ("#", True), ("A", True), ("10", False), ("", False)]
)
async def test_45_keys(far_end: FarEnd, digit: str, counts: bool) -> None:
    async with far_end.stream() as stream:
        await stream.send("dtmf", dtmf={"track": "inbound_track", "digit": digit})
        await alive(far_end, stream)
    keys = [event for event in far_end.handler.events if isinstance(event, DtmfReceived)]
    assert keys == ([DtmfReceived(digit)] if counts else [])


async def test_47_what_we_send_is_what_twilio_takes(far_end: FarEnd) -> None:
    async with far_end.stream() as stream:
        leg = far_end.handler.legs[0]
        leg.play(silence(801))
        leg.mark('1."odd"')
        leg.clear()
        leg.play(np.full(160, 1000, dtype=np.int16))
        messages = [await stream.received() for _ in range(3)]
        assert all(message["streamSid"] == stream.sid for message in messages)
        # What was queued and not yet written is dropped by ``clear``; its mark still comes, after it.
        assert [message["event"] for message in messages] == ["clear", "mark", "media"]
        assert messages[1]["mark"]["name"] == '1."odd"'
        await stream.send("mark", mark=messages[1]["mark"])
        await far_end.handler.saw(lambda: MarkPlayed('1."odd"') in far_end.handler.events)


async def test_47_silence_is_0xff_and_never_full_scale(far_end: FarEnd) -> None:
    async with far_end.stream() as stream:
        far_end.handler.legs[0].play(silence(800))
        message = await stream.received()
        assert base64.b64decode(message["media"]["payload"]) == bytes([0xFF]) * 800


async def test_53_a_carrier_that_stops_reading_is_let_go(far_end: FarEnd) -> None:
    async with far_end.stream() as stream:
        stream.socket.transport.pause_reading()
        raw = stream.socket.transport.get_extra_info("socket")
        assert isinstance(raw, sockets.socket) or raw is not None
        leg = far_end.handler.legs[0]

        async def talk() -> None:
            while not far_end.handler.causes:
                leg.play(silence(8000))
                await stream.media(FRAME)
                await asyncio.sleep(0.002)

        async with asyncio.timeout(20):
            await talk()
    assert far_end.handler.causes == [HangupCause.CARRIER_STALLED]


async def test_55_stop_ends_the_leg_once(far_end: FarEnd) -> None:
    async with far_end.stream() as stream:
        await stream.send("stop", stop={"callSid": stream.call_sid})
        assert await closed_with(stream) == 1000
    assert far_end.handler.causes == [HangupCause.CALLER]


async def test_a_socket_that_just_closes_ends_the_leg_too(far_end: FarEnd) -> None:
    async with far_end.stream():
        pass
    await far_end.handler.saw(lambda: bool(far_end.handler.causes))
    assert far_end.handler.causes == [HangupCause.CALLER]


async def test_a_connection_that_breaks_is_the_carriers_fault(far_end: FarEnd) -> None:
    async with far_end.stream() as stream:
        stream.socket.transport.abort()
        await far_end.handler.saw(lambda: bool(far_end.handler.causes))
    assert far_end.handler.causes == [HangupCause.CARRIER_ERROR]


async def test_hanging_up_closes_the_socket(far_end: FarEnd) -> None:
    async with far_end.stream() as stream:
        far_end.handler.legs[0].hang_up(HangupCause.AGENT)
        assert await closed_with(stream) == 1000
    assert far_end.handler.causes == [HangupCause.AGENT]
    far_end.handler.legs[0].play(silence(160))  # nothing happens after the end


async def test_a_flood_is_cut_off(far_end: FarEnd) -> None:
    async with far_end.stream() as stream:
        for _ in range(600):
            await stream.media(FRAME)
        assert await closed_with(stream) == 1008
    assert far_end.handler.causes == [HangupCause.CARRIER_ERROR]


async def test_a_silent_socket_is_let_go(far_end: FarEnd) -> None:
    async with far_end.stream() as stream:
        assert await closed_with(stream, 6.0) == 1008
    assert far_end.handler.causes == [HangupCause.CARRIER_STALLED]


async def test_21_the_carrier_says_that_the_call_is_over(far_end: FarEnd) -> None:
    async with far_end.stream() as stream:
        await far_end.post("status", {"CallSid": stream.call_sid, "CallStatus": "completed"})
        assert await closed_with(stream) == 1000
    assert far_end.handler.causes == [HangupCause.CALLER]


@pytest.mark.parametrize(
    ("answered_by", "counts"), [("machine_end_beep", True), ("human", False), ("unknown", False)]
)
async def test_24_an_answering_machine_is_reported_to_the_conversation(
    far_end: FarEnd, answered_by: str, counts: bool
) -> None:
    async with far_end.stream() as stream:
        await far_end.post("amd", {"CallSid": stream.call_sid, "AnsweredBy": answered_by})
        await alive(far_end, stream)
    assert (MachineDetected() in far_end.handler.events) is counts
