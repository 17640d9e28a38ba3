"""The HTTP side, over the wire. Numbers in names are the cases of the telephony reference, section 7.1."""

from __future__ import annotations

import asyncio
import json
from xml.etree import ElementTree

import pytest

from tests.telephony.carriers.twilio.conftest import (
    ACCOUNT,
    PUBLIC,
    PUBLIC_SOCKET,
    SHARED_KEY,
    FarEnd,
    body_hash,
    call_sid,
    sign,
    token_of,
)

CALL = {"From": "+15550100001", "To": "+15550100000", "CallStatus": "ringing", "Direction": "inbound"}
SETTINGS = "X-Twilio-Webhooks-Signature-Settings"


async def test_8_a_genuine_call_is_connected_to_the_socket(far_end: FarEnd) -> None:
    answer = await far_end.post("incoming", {"CallSid": call_sid(), **CALL})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/xml")
    assert answer.elapsed.total_seconds() < 1
    root = ElementTree.fromstring(answer.text)
    stream = root.find("Connect/Stream")
    assert root.tag == "Response"
    assert stream is not None
    assert stream.attrib["url"] == f"{PUBLIC_SOCKET}/media/twilio"
    assert stream.attrib["statusCallback"] == f"{PUBLIC}/voice/twilio/stream-status"
    assert len(token_of(answer.text)) >= 32


@pytest.mark.parametrize("signature", ["", "bm9uc2Vuc2U=", "L/OH5YylLD5NRKLltdqwSvS0BnU=", "ä"])
async def test_9_a_forged_call_is_refused_and_leaves_nothing(far_end: FarEnd, signature: str) -> None:
    answer = await far_end.post("incoming", {"CallSid": call_sid(), **CALL}, signature=signature)
    assert answer.status_code == 403
    assert "Response" not in answer.text
    assert "TRUNKLINE_TWILIO__AUTH_TOKEN" in answer.text
    assert far_end.handler.reserved == []


async def test_9_a_signature_of_another_token_is_refused(far_end: FarEnd) -> None:
    params = {"AccountSid": ACCOUNT, "CallSid": call_sid(), **CALL}
    forged = sign(f"{PUBLIC}/voice/twilio/incoming", params, key="54321")
    answer = await far_end.post("incoming", params, signature=forged)
    assert answer.status_code == 403


async def test_another_account_is_refused_even_when_signed(far_end: FarEnd) -> None:
    answer = await far_end.post("incoming", {"CallSid": call_sid(), "AccountSid": "AC" + "9" * 32, **CALL})
    assert answer.status_code == 403


async def test_10_the_order_of_parameters_does_not_matter(far_end: FarEnd) -> None:
    answer = await far_end.post("incoming", {"CallSid": call_sid(), **CALL}, shuffle=True)
    assert answer.status_code == 200


async def test_11_unknown_and_empty_parameters_are_part_of_the_signature(far_end: FarEnd) -> None:
    more = {"NewThing": " spaces kept ", "CallerCity": "", "Ünïcode": "ß", "CallToken": '{"a":1}'}
    answer = await far_end.post("incoming", {"CallSid": call_sid(), **CALL, **more})
    assert answer.status_code == 200


async def test_12_duplicate_parameters_are_signed_once_each_sorted(far_end: FarEnd) -> None:
    answer = await far_end.post("incoming", {"CallSid": call_sid(), **CALL, "X": ["b", "a", "b"]})
    assert answer.status_code == 200


@pytest.mark.parametrize("forged", ["evil.example.com", "voice.example.com"])
async def test_13_only_the_public_origin_counts(far_end: FarEnd, forged: str) -> None:
    headers = {"X-Forwarded-Proto": "http", "X-Forwarded-Host": forged, "Host": "internal:8000"}
    answer = await far_end.post("incoming", {"CallSid": call_sid(), **CALL}, headers=headers)
    assert answer.status_code == 200
    evil = sign(f"https://{forged}:1/voice/twilio/incoming", {"AccountSid": ACCOUNT, **CALL})
    answer = await far_end.post("incoming", CALL, headers=headers, signature=evil)
    assert answer.status_code == 403


async def test_13_the_raw_query_is_signed_as_it_was_sent(far_end: FarEnd) -> None:
    answer = await far_end.post("incoming", {"CallSid": call_sid(), **CALL}, target="?x=a%20b&y=1+2")
    assert answer.status_code == 200


async def test_14_a_fragment_is_not_part_of_the_signature(far_end: FarEnd) -> None:
    params = {"AccountSid": ACCOUNT, "CallSid": call_sid(), **CALL}
    url = f"{PUBLIC}/voice/twilio/incoming"
    assert (await far_end.post("incoming", params, signature=sign(url, params))).status_code == 200
    assert (await far_end.post("incoming", params, signature=sign(url + "#rc=2", params))).status_code == 403


async def test_the_default_port_may_or_may_not_be_signed(far_end: FarEnd) -> None:
    params = {"AccountSid": ACCOUNT, "CallSid": call_sid(), **CALL}
    with_port = sign(f"{PUBLIC}:443/voice/twilio/incoming", params)
    assert (await far_end.post("incoming", params, signature=with_port)).status_code == 200
    other_port = sign(f"{PUBLIC}:8443/voice/twilio/incoming", params)
    assert (await far_end.post("incoming", params, signature=other_port)).status_code == 403


async def test_15_a_json_body_is_bound_by_its_hash(far_end: FarEnd) -> None:
    body = json.dumps({"AccountSid": ACCOUNT, "CallSid": call_sid(), "CallStatus": "ringing"}).encode()

    async def post(stated: str | None) -> int:
        target = "/voice/twilio/status" + (f"?bodySHA256={stated}" if stated is not None else "")
        headers = {
            "Content-Type": "application/json",
            "X-Twilio-Signature": sign(PUBLIC + target, {}),
        }
        return (await far_end.client.post(far_end.base + target, content=body, headers=headers)).status_code

    assert await post(body_hash(body)) == 204
    assert await post(body_hash(b"another")) == 403
    assert await post("ß") == 403
    assert await post(None) == 403


async def test_16_the_shared_key_scheme_and_no_way_around_it(far_end: FarEnd) -> None:
    params = {"AccountSid": ACCOUNT, "CallSid": call_sid(), **CALL}
    url = f"{PUBLIC}/voice/twilio/incoming"
    strong = sign(url, params, key=SHARED_KEY, algorithm="sha256")

    async def status(settings: str, signature: str) -> int:
        answer = await far_end.post("incoming", params, signature=signature, headers={SETTINGS: settings})
        return answer.status_code

    assert await status("key=key1,algorithm=HMAC_SHA256", strong) == 200
    assert await status("key=unknown,algorithm=HMAC_SHA256", strong) == 403
    assert await status("key=key1,algorithm=HMAC_MD5", strong) == 403
    assert await status("key=key1", strong) == 403
    assert await status("key=key1,algorithm=HMAC_SHA256", sign(url, params)) == 403  # never falls back
    assert await status("key=key1,algorithm=HMAC_SHA1", sign(url, params)) == 403


async def test_17_a_get_webhook_signs_its_url_alone(far_end: FarEnd) -> None:
    target = f"/voice/twilio/incoming?AccountSid={ACCOUNT}&CallSid={call_sid()}&From=%2B15550100001"
    headers = {"X-Twilio-Signature": sign(PUBLIC + target, {})}
    answer = await far_end.client.get(far_end.base + target, headers=headers)
    assert answer.status_code == 200
    assert "<Stream" in answer.text


async def test_18_a_retry_gets_the_same_answer(far_end: FarEnd) -> None:
    params = {"CallSid": call_sid(), **CALL}
    headers = {"I-Twilio-Idempotency-Token": "t1"}
    first = await far_end.post("incoming", params, headers=headers)
    second = await far_end.post("incoming", params, headers=headers)
    assert first.text == second.text


async def test_19_the_same_call_posted_twice_at_once_is_one_call(far_end: FarEnd) -> None:
    params = {"CallSid": call_sid(), **CALL}
    answers = await asyncio.gather(*(far_end.post("incoming", params) for _ in range(8)))
    assert len({answer.text for answer in answers}) == 1


async def test_21_a_status_never_goes_back(far_end: FarEnd) -> None:
    sid = call_sid()
    for status, sequence in (("completed", "3"), ("in-progress", "2"), ("completed", "3")):
        answer = await far_end.post(
            "status", {"CallSid": sid, "CallStatus": status, "SequenceNumber": sequence}
        )
        assert answer.status_code == 204
    assert [detail["status"] for _, _, detail in far_end.handler.notes] == ["completed"]


async def test_22_seconds_are_seconds(far_end: FarEnd) -> None:
    fields = {"CallSid": call_sid(), "CallStatus": "completed", "CallDuration": "61", "Duration": "2"}
    await far_end.post("status", fields)
    assert far_end.handler.notes[0][2]["seconds"] == 61


async def test_25_a_recording_that_never_was(far_end: FarEnd) -> None:
    for status in ("absent", "failed"):
        answer = await far_end.post("recording", {"CallSid": call_sid(), "RecordingStatus": status})
        assert answer.status_code == 204
    assert [detail["status"] for _, name, detail in far_end.handler.notes] == ["absent", "failed"]


@pytest.mark.parametrize("status", ["no-answer", "busy", "failed", "canceled"])
async def test_26_when_nobody_takes_the_dial_the_agent_does(far_end: FarEnd, status: str) -> None:
    sid, token = await far_end.ring()
    answer = await far_end.post("after", {"CallSid": sid, "DialCallStatus": status, **CALL})
    assert "<Stream" in answer.text
    assert token_of(answer.text) != token


async def test_after_a_finished_conversation_the_call_ends(far_end: FarEnd) -> None:
    answer = await far_end.post("after", {"CallSid": call_sid()})
    assert answer.text.endswith("<Response><Hangup /></Response>")


async def test_a_call_that_goes_on_elsewhere_is_put_through(far_end: FarEnd) -> None:
    sid = call_sid()
    far_end.handler.goes_on[sid] = "+4930654321"
    answer = await far_end.post("after", {"CallSid": sid})
    assert "<Number>+4930654321</Number>" in answer.text
    assert "/voice/twilio/after" in answer.text  # where the carrier comes back to
    assert "<Dial" not in (await far_end.post("after", {"CallSid": sid})).text


async def test_58_when_full_or_draining_a_polite_sentence(far_end: FarEnd) -> None:
    far_end.handler.admits = False
    answer = await far_end.post("incoming", {"CallSid": call_sid(), **CALL})
    assert answer.status_code == 200
    assert "<Say>All lines are busy.</Say><Hangup />" in answer.text


@pytest.mark.parametrize("far_end", [{"fallback_number": "+15550100999"}], indirect=True)
async def test_58_or_the_fallback_number(far_end: FarEnd) -> None:
    far_end.handler.admits = False
    answer = await far_end.post("incoming", {"CallSid": call_sid(), **CALL})
    dial = ElementTree.fromstring(answer.text).find("Dial")
    assert dial is not None
    assert dial.attrib["answerOnBridge"] == "true"
    number = dial.find("Number")
    assert number is not None
    assert number.text == "+15550100999"


async def test_bodies_are_bounded(far_end: FarEnd) -> None:
    answer = await far_end.post("incoming", {"CallSid": call_sid(), "Big": "x" * 70_000})
    assert answer.status_code == 413
    assert "65536" in answer.text


@pytest.mark.parametrize("body", [b"\xff\xfe", b"a=%ff%fe&b", b"&".join([b"a=1"] * 2000)])
async def test_a_body_that_is_no_form_is_refused_clearly(far_end: FarEnd, body: bytes) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded", "X-Twilio-Signature": "x"}
    answer = await far_end.client.post(f"{far_end.base}/voice/twilio/incoming", content=body, headers=headers)
    assert answer.status_code in {400, 403}


@pytest.mark.parametrize("sid", ["", "CA with spaces", "CA" + "0" * 80, 'CA"};{'])
async def test_a_call_without_an_id_is_refused(far_end: FarEnd, sid: str) -> None:
    answer = await far_end.post("incoming", {"CallSid": sid, **CALL})
    assert answer.status_code == 400
    assert "CallSid" in answer.text


async def test_the_path_is_signed_so_no_slash_is_added(far_end: FarEnd) -> None:
    answer = await far_end.client.post(f"{far_end.base}/voice/twilio/incoming/")
    assert answer.status_code == 404


_SENTENCES = ["All lines are busy.", "We are closed for today."]


@pytest.mark.parametrize("far_end", [{"busy_sentence": iter(_SENTENCES).__next__}], indirect=True)
async def test_the_sentence_for_busy_lines_is_asked_for_each_time(far_end: FarEnd) -> None:
    far_end.handler.admits = False
    for sentence in _SENTENCES:
        answer = await far_end.post("incoming", {"CallSid": call_sid(), **CALL})
        assert f"<Say>{sentence}</Say>" in answer.text
