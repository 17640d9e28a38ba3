"""Whole calls over real sockets, against a small server in the same loop."""

from __future__ import annotations

import asyncio
import base64
from itertools import pairwise

import numpy as np
import pytest
from twilio.request_validator import RequestValidator

from telephony.simulator import wire
from telephony.simulator.carrier import Carrier
from telephony.simulator.conditions import LineConditions, Stall
from telephony.simulator.heard import EventKind, HeardCall, Utterance
from telephony.simulator.measure import turns
from telephony.simulator.phone import Phone
from telephony.simulator.twiml import TwimlError
from telephony.simulator.webhook import WebhookFailed
from tests.telephony.simulator.conftest import ACCOUNT, TOKEN
from tests.telephony.simulator.media_server import MediaServer, Stream, serve, tone

STREAM = (
    '<Connect action="HTTP/after"><Stream url="WS/media" statusCallback="HTTP/stream">'
    '<Parameter name="token" value="t-1"/></Stream></Connect>'
)


async def listens(phone: Phone) -> None:
    await phone.wait(30.0)


async def closes(stream: Stream) -> None:
    await stream.until("start")


async def waits(stream: Stream) -> None:
    await stream.until("stop")


async def test_a_turn_and_a_barge_in(server: MediaServer, carrier: Carrier, hello: Utterance) -> None:
    async def caller(phone: Phone) -> None:
        await phone.wait(0.2)
        spoken = await phone.say(hello)
        assert await phone.until(lambda now: phone.playout.first_heard(spoken.end, now) is not None, 5.0)
        await phone.wait(0.3)
        await phone.say(hello)
        await phone.wait(0.2)

    call = await carrier.place_call(caller)
    assert call.hung_up_by == "caller"
    assert call.violations == ()
    assert call.counts.gaps == 0
    assert len(call.caller) == len(call.agent) == pytest.approx(call.duration * 8000, abs=1)
    first, second = turns(call)
    assert first.response == pytest.approx(0.31, abs=0.06)  # 0.3 s of silence, and the last 20 ms frame
    assert second.barge_in
    assert second.clear_after == pytest.approx(0.21, abs=0.06)  # ten frames
    assert second.talked_over == pytest.approx(second.clear_after, abs=0.06)


async def test_the_webhook_is_twilios(server: MediaServer, carrier: Carrier) -> None:
    server.agent = closes
    server.twiml = f"<Response>{STREAM}</Response>"
    call = await carrier.place_call(listens, from_number="+15550009999")
    assert call.hung_up_by == "agent"
    path, form = server.forms[0]
    assert path == "voice"
    assert form["CallSid"] == call.call_sid
    assert len(call.call_sid) == 34
    assert form["AccountSid"] == ACCOUNT
    assert (form["From"], form["Caller"]) == ("+15550009999", "+15550009999")
    assert (form["CallStatus"], form["Direction"], form["ApiVersion"]) == ("ringing", "inbound", "2010-04-01")
    validator = RequestValidator(TOKEN)
    for (path, sent), (_, headers) in zip(server.forms, _posts(server), strict=True):
        assert validator.validate(f"{server.origin}/{path}", sent, headers["x-twilio-signature"])
        assert headers["i-twilio-idempotency-token"]
    upgrade = next(headers for path, headers in server.headers if path == "media")
    url = f"{server.origin.replace('http', 'ws')}/media"
    assert validator.compute_signature(url, {}) == upgrade["x-twilio-signature"]
    assert "sec-websocket-extensions" not in upgrade


def _posts(server: MediaServer) -> list[tuple[str, dict[str, str]]]:
    return [(path, headers) for path, headers in server.headers if path != "media"]


async def test_the_stream_is_twilios(server: MediaServer, carrier: Carrier, hello: Utterance) -> None:
    async def caller(phone: Phone) -> None:
        await phone.say(hello)
        await phone.press("1#", gap=0.05)
        await phone.wait(0.1)

    server.agent = waits
    call = await carrier.place_call(caller)
    messages = server.streams[0].messages
    assert [message["event"] for message in messages[:3]] == ["connected", "start", "media"]
    assert messages[1]["start"]["customParameters"] == {"token": "t-1"}
    assert messages[1]["start"]["callSid"] == call.call_sid
    assert messages[-1]["event"] == "stop"
    assert [int(message["sequenceNumber"]) for message in messages[1:]] == list(range(1, len(messages)))
    media = [message["media"] for message in messages if message["event"] == "media"]
    assert [int(body["chunk"]) for body in media] == list(range(1, len(media) + 1))
    assert [int(body["timestamp"]) for body in media] == list(range(0, 20 * len(media), 20))
    sent = b"".join(base64.b64decode(body["payload"]) for body in media)
    assert len(sent) == 160 * len(media)
    spoken = base64.b64decode("".join(hello.frames[:1]))
    begin = round(call.spoken[0].begin * 8000)
    assert sent[begin : begin + 160] == spoken
    assert sent[:begin] == b"\xff" * begin
    assert [message["dtmf"]["digit"] for message in messages if message["event"] == "dtmf"] == ["1", "#"]
    assert np.array_equal(call.caller[begin : begin + 3200], hello.samples)


async def test_frames_keep_to_an_absolute_schedule(server: MediaServer, carrier: Carrier) -> None:
    server.agent = waits
    await carrier.place_call(lambda phone: phone.wait(1.0))
    stream = server.streams[0]
    begin = stream.arrivals[1]  # "start"
    late = [arrival - begin - 0.02 * count for count, arrival in enumerate(stream.arrivals[2:-1], start=1)]
    assert len(late) == pytest.approx(50, abs=2)
    assert min(late) > -0.005
    assert late[-1] < 0.05


async def test_the_agent_hangs_up_and_the_action_says_what_next(
    server: MediaServer, carrier: Carrier
) -> None:
    server.agent = closes
    server.twiml = f"<Response>{STREAM}</Response>"
    server.answers["after"] = "<Response><Say>Bye</Say><Dial>+15557777</Dial><Hangup/></Response>"
    call = await carrier.place_call(listens)
    assert call.hung_up_by == "agent"
    assert call.dialled == ("+15557777",)
    assert [form["CallStatus"] for path, form in server.forms if path == "after"] == ["in-progress"]
    events = [form["StreamEvent"] for path, form in server.forms if path == "stream"]
    assert sorted(events) == ["stream-started", "stream-stopped"]
    assert len(call.twiml) == 2
    assert {request.status for request in call.requests} == {200}


async def test_the_caller_hangs_up(server: MediaServer, carrier: Carrier) -> None:
    codes: list[int] = []

    async def agent(stream: Stream) -> None:
        await stream.until("stop")
        closing = await stream.socket.receive()
        codes.append(closing["code"])

    server.agent = agent
    server.twiml = f"<Response>{STREAM}</Response>"
    call = await carrier.place_call(lambda phone: phone.wait(0.1))
    assert call.hung_up_by == "caller"
    assert codes == [1000]
    assert [form["CallStatus"] for path, form in server.forms if path == "after"] == ["completed"]


async def test_status_callbacks_in_order(server: MediaServer) -> None:
    server.agent = closes
    events = ("initiated", "ringing", "answered", "completed")
    async with Carrier(
        server.webhook, ACCOUNT, TOKEN, status_callback=f"{server.origin}/status", status_events=events
    ) as carrier:
        await carrier.place_call(listens)
    forms = sorted(
        (form for path, form in server.forms if path == "status"), key=lambda form: form["SequenceNumber"]
    )
    assert [form["CallStatus"] for form in forms] == ["initiated", "ringing", "in-progress", "completed"]
    assert forms[-1]["CallDuration"] == "0"
    assert "CallDuration" not in forms[0]


async def test_a_call_goes_through_two_streams(server: MediaServer, carrier: Carrier) -> None:
    async def agent(stream: Stream) -> None:
        await stream.until("start")
        await stream.play(tone(0.1))
        await stream.mark("end")
        await stream.until("mark")

    server.agent = agent
    server.twiml = f"<Response>{STREAM}</Response>"
    server.answers["after"] = '<Response><Connect><Stream url="WS/media"/></Connect></Response>'
    call = await carrier.place_call(listens)
    assert call.hung_up_by == "agent"
    assert len(server.streams) == 2
    assert server.streams[0].sid != server.streams[1].sid
    assert server.streams[1].messages[1]["start"]["customParameters"] == {}
    assert np.count_nonzero(np.abs(call.agent) > 300) > 1200
    assert [event.kind for event in call.events].count(EventKind.STREAM_STARTED) == 2


async def test_redirected_by_the_carriers_api(server: MediaServer, carrier: Carrier) -> None:
    server.agent = waits
    server.twiml = f"<Response>{STREAM}</Response>"
    placed = asyncio.create_task(carrier.place_call(listens))
    await server.connected.wait()
    sid = server.forms[0][1]["CallSid"]
    live = carrier.live(sid)
    assert live is not None
    live.redirect("<Response><Dial>+15551234</Dial></Response>")
    call = await placed
    assert call.dialled == ("+15551234",)
    assert [path for path, _ in server.forms if path == "after"] == []
    assert carrier.live(sid) is None


async def test_completed_by_the_carriers_api(server: MediaServer, carrier: Carrier) -> None:
    server.agent = waits
    placed = asyncio.create_task(carrier.place_call(listens))
    await server.connected.wait()
    live = carrier.live(server.forms[0][1]["CallSid"])
    assert live is not None
    live.complete()
    assert (await placed).hung_up_by == "agent"
    assert server.streams[0].messages[-1]["event"] == "stop"


async def test_a_dial_reports_its_outcome(server: MediaServer) -> None:
    server.twiml = '<Response><Dial action="HTTP/dialled">+15550001</Dial></Response>'
    async with Carrier(server.webhook, ACCOUNT, TOKEN, dial_outcome="no-answer") as carrier:
        call = await carrier.place_call(listens)
    form = next(form for path, form in server.forms if path == "dialled")
    assert form["DialCallStatus"] == "no-answer"
    assert form["DialBridged"] == "false"
    assert call.hung_up_by == "agent"


async def test_a_rejected_call(server: MediaServer, carrier: Carrier) -> None:
    server.twiml = '<Response><Reject reason="busy"/></Response>'
    call = await carrier.place_call(listens)
    assert call.hung_up_by == "rejected"
    assert call.duration == 0.0
    assert server.streams == []


async def test_redirect_and_pause_verbs(server: MediaServer, carrier: Carrier) -> None:
    server.twiml = '<Response><Pause length="0.05"/><Redirect>HTTP/again</Redirect></Response>'
    server.answers["again"] = "<Response><Say>Closed</Say></Response>"
    call = await carrier.place_call(listens)
    assert [event.detail for event in call.events] == ["Closed"]


async def test_errors_of_the_webhook(server: MediaServer, carrier: Carrier) -> None:
    server.status = 403
    with pytest.raises(WebhookFailed, match="HTTP 403") as refused:
        await carrier.place_call(listens)
    assert refused.value.status == 403
    server.status = 200
    server.twiml = "<html/>"
    with pytest.raises(TwimlError, match="expected <Response>"):
        await carrier.place_call(listens)
    async with Carrier("http://127.0.0.1:9/voice", ACCOUNT, TOKEN) as nowhere:
        with pytest.raises(WebhookFailed, match="no answer") as unreachable:
            await nowhere.place_call(listens)
    assert unreachable.value.retryable


async def test_a_refused_upgrade(server: MediaServer, carrier: Carrier) -> None:
    server.refuse = True
    server.twiml = (
        '<Response><Connect><Stream url="WS/media" statusCallback="HTTP/stream"/></Connect></Response>'
    )
    call = await carrier.place_call(listens)
    assert call.hung_up_by == "carrier"
    assert call.violations[0].code == wire.HANDSHAKE_ERROR
    assert "403" in call.violations[0].reason
    assert [form["StreamEvent"] for path, form in server.forms if path == "stream"] == ["stream-error"]


async def test_invalid_messages_are_counted_and_the_call_goes_on(
    server: MediaServer, carrier: Carrier
) -> None:
    async def agent(stream: Stream) -> None:
        await stream.until("start")
        await stream.socket.send_text("not json")
        await stream.send({"event": "media", "streamSid": "MZother", "media": {"payload": "////"}})
        await stream.play(b"RIFF" + tone(0.1))
        await stream.mark("good")
        await stream.until("mark")

    server.agent = agent
    call = await carrier.place_call(listens)
    assert [fault.code for fault in call.violations] == [
        wire.INVALID_MESSAGE,
        wire.INVALID_MESSAGE,
        wire.NOT_PLAYABLE,
    ]
    assert [event.detail for event in call.events if event.kind is EventKind.MARK_ECHOED] == ["good"]


async def test_a_binary_message_ends_the_stream(server: MediaServer, carrier: Carrier) -> None:
    async def agent(stream: Stream) -> None:
        await stream.until("start")
        await stream.socket.send_bytes(b"\xff" * 160)
        await stream.until("stop")

    server.agent = agent
    server.twiml = f"<Response>{STREAM}</Response>"
    call = await carrier.place_call(listens)
    assert call.violations[0].code == wire.PROTOCOL_ERROR
    errors = [form for path, form in server.forms if form.get("StreamEvent") == "stream-error"]
    assert errors[0]["StreamError"].startswith("31924")


async def test_delays_jitter_and_lost_marks(server: MediaServer, carrier: Carrier) -> None:
    async def agent(stream: Stream) -> None:
        await stream.until("start")
        await stream.mark("lost")
        await stream.until("stop")

    server.agent = agent
    conditions = LineConditions(to_agent=0.05, to_caller=0.05, jitter=0.04, lost_marks=1.0)
    call = await carrier.place_call(lambda phone: phone.wait(0.5), conditions=conditions)
    messages = server.streams[0].messages
    assert [int(message["sequenceNumber"]) for message in messages[1:]] == list(range(1, len(messages)))
    assert [event.kind for event in call.events].count(EventKind.MARK_PLACED) == 1
    assert [event.kind for event in call.events].count(EventKind.MARK_ECHOED) == 0
    assert server.streams[0].arrivals[2] - server.streams[0].arrivals[1] > 0.065


async def test_marks_come_back_after_both_delays(server: MediaServer, carrier: Carrier) -> None:
    times: list[float] = []

    async def agent(stream: Stream) -> None:
        await stream.until("start")
        times.append(asyncio.get_running_loop().time())
        await stream.play(tone(0.1))
        await stream.mark("m")
        await stream.until("mark")
        times.append(asyncio.get_running_loop().time())

    server.agent = agent
    conditions = LineConditions(to_agent=0.05, to_caller=0.05, mark_delay=0.1)
    await carrier.place_call(listens, conditions=conditions)
    assert times[1] - times[0] == pytest.approx(0.3, abs=0.03)


async def test_a_stalled_carrier_reads_nothing(server: MediaServer, carrier: Carrier) -> None:
    async def agent(stream: Stream) -> None:
        await stream.until("start")
        for number in range(30):
            await stream.mark(str(number))
            await asyncio.sleep(0.02)
        await stream.until("stop")

    server.agent = agent
    conditions = LineConditions(stalls=(Stall(at=0.1, seconds=0.3),))
    call = await carrier.place_call(lambda phone: phone.wait(0.8), conditions=conditions)
    placed = [event.at for event in call.events if event.kind is EventKind.MARK_PLACED]
    assert len(placed) == 30
    assert max(after - before for before, after in pairwise(placed)) == pytest.approx(0.3, abs=0.06)


async def test_deflate_can_be_offered(server: MediaServer) -> None:
    server.agent = closes
    async with Carrier(server.webhook, ACCOUNT, TOKEN, offer_deflate=True) as carrier:
        call = await carrier.place_call(listens)
    upgrade = next(headers for path, headers in server.headers if path == "media")
    assert "permessage-deflate" in upgrade["sec-websocket-extensions"]
    assert call.violations == ()


async def test_public_urls_are_signed_and_reached_through_another_origin(server: MediaServer) -> None:
    server.agent = closes
    server.twiml = '<Response><Connect><Stream url="wss://voice.example.com/media"/></Connect></Response>'
    url = "https://voice.example.com/voice"
    async with Carrier(url, ACCOUNT, TOKEN, via=server.origin) as carrier:
        call = await carrier.place_call(listens)
    assert call.hung_up_by == "agent"
    (_, hook), (_, upgrade) = server.headers
    validator = RequestValidator(TOKEN)
    assert hook["host"] == upgrade["host"] == "voice.example.com"
    assert validator.validate(url, server.forms[0][1], hook["x-twilio-signature"])
    assert validator.compute_signature("wss://voice.example.com/media", {}) == upgrade["x-twilio-signature"]


async def test_a_call_has_a_longest_duration(server: MediaServer, carrier: Carrier) -> None:
    server.agent = waits
    call = await carrier.place_call(listens, max_seconds=0.3)
    assert call.hung_up_by == "carrier"
    assert server.streams[0].messages[-1]["event"] == "stop"


async def test_what_the_caller_raises_comes_out_once_the_call_is_over(
    server: MediaServer, carrier: Carrier
) -> None:
    async def caller(phone: Phone) -> None:
        raise RuntimeError("dropped the phone")

    server.agent = waits
    with pytest.raises(RuntimeError, match="dropped the phone"):
        await carrier.place_call(caller)
    assert server.streams[0].messages[-1]["event"] == "stop"


async def test_many_calls_and_one_failure_among_them(server: MediaServer, carrier: Carrier) -> None:
    async def fails(phone: Phone) -> None:
        raise RuntimeError("no")

    server.agent = waits
    outcomes = await carrier.place_calls(
        5, lambda index: fails if index == 2 else (lambda phone: phone.wait(0.1)), spread_seconds=0.1
    )
    assert [type(outcome) for outcome in outcomes] == [
        HeardCall,
        HeardCall,
        RuntimeError,
        HeardCall,
        HeardCall,
    ]
    assert len({form["From"] for path, form in server.forms if path == "voice"}) == 5
    assert all(len(outcome.agent) == 0 for outcome in outcomes if isinstance(outcome, HeardCall))


async def test_ten_minutes_of_audio_overflow() -> None:
    async def agent(stream: Stream) -> None:
        await stream.until("start")
        for _ in range(11):
            await stream.play(b"\xff" * 480_000)
        await stream.clear()
        await stream.mark("m")
        await stream.until("mark")

    async with serve(MediaServer(agent=agent)) as server, Carrier(server.webhook, ACCOUNT, TOKEN) as carrier:
        call = await carrier.place_call(listens)
    assert [fault.code for fault in call.violations] == [wire.BUFFER_OVERFLOW]
    assert call.counts.samples_overflowed == pytest.approx(480_000, abs=8000)
    assert call.counts.samples_cleared == pytest.approx(4_800_000, abs=8000)


def test_a_plan_that_makes_no_sense() -> None:
    with pytest.raises(ValueError, match="negative"):
        LineConditions(to_agent=-1.0)
    with pytest.raises(ValueError, match="share"):
        LineConditions(lost_marks=2.0)
