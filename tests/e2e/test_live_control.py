"""Operators and running calls: seen, spoken into, ended; through the API of whichever process."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import httpx

from bench.talk import utterances
from telephony.simulator.caller import finished
from telephony.simulator.carrier import Carrier
from telephony.simulator.phone import Phone
from tests.e2e.conftest import stored_calls


async def test_an_operator_speaks_into_a_call_and_ends_it(carrier: Carrier, api: httpx.AsyncClient) -> None:
    on_line = asyncio.Event()

    async def caller(phone: Phone) -> None:
        on_line.set()
        await phone.until(lambda _: False, 20)  # listens until it is hung up on

    async def operator() -> UUID:
        await on_line.wait()
        call_id = await _running_call(api)
        answer = await api.post(f"/live/{call_id}/say", json={"say": "A colleague is listening."})
        assert answer.status_code == 202, answer.text
        assert answer.json() == {"call_id": str(call_id), "command": "operator_say"}
        await asyncio.sleep(4)  # the timed voice needs 1.4 s for it
        (await api.post(f"/live/{call_id}/hang-up", json={"say": "Goodbye."})).raise_for_status()
        return call_id

    async with asyncio.TaskGroup() as tasks:
        calling = tasks.create_task(carrier.place_call(caller))
        operating = tasks.create_task(operator())
    heard = calling.result()

    stored = (await stored_calls(api, {heard.call_sid}))[heard.call_sid]
    assert stored["id"] == str(operating.result())
    assert [turn["heard_text"] for turn in stored["turns"]] == ["A colleague is listening.", "Goodbye."]
    assert (stored["cause"], stored["outcome"]) == ("agent", "success")
    names = [event["name"] for event in stored["events"]]
    assert names.index("operator_say") < names.index("operator_hang_up")
    over = await api.post(f"/live/{stored['id']}/say", json={"say": "Too late."})
    assert over.status_code == 409
    audit = (await api.get("/audit", params={"resource": "live", "resource_id": stored["id"]})).json()
    assert [entry["after"] for entry in audit["entries"]] == [
        {"command": "operator_hang_up"},
        {"command": "operator_say"},
    ]


async def test_a_sentence_waits_until_the_caller_has_spoken(carrier: Carrier, api: httpx.AsyncClient) -> None:
    said = utterances()[0]
    speaking = asyncio.Event()

    async def caller(phone: Phone) -> None:
        await phone.wait(1.0)
        spoken = phone.speak(said)
        await phone.wait(0.8)  # the agent has heard by now that somebody speaks
        speaking.set()
        await phone.until(finished(phone, spoken.end, 4.0), 22)

    async def operator() -> None:
        await speaking.wait()
        call_id = await _running_call(api)
        (await api.post(f"/live/{call_id}/say", json={"say": "One more thing."})).raise_for_status()

    async with asyncio.TaskGroup() as tasks:
        calling = tasks.create_task(carrier.place_call(caller))
        tasks.create_task(operator())
    stored = (await stored_calls(api, {calling.result().call_sid}))[calling.result().call_sid]
    heard = " ".join(turn["heard_text"] for turn in stored["turns"])
    assert heard.count("One more thing.") == 1


async def test_a_call_that_is_not_there(api: httpx.AsyncClient) -> None:
    answer = await api.post(f"/live/{uuid4()}/hang-up", json={})
    assert answer.status_code == 404


async def _running_call(api: httpx.AsyncClient) -> UUID:
    async with asyncio.timeout(5):
        while True:
            calls = (await api.get("/live")).raise_for_status().json()["calls"]
            if calls:
                return UUID(calls[0]["id"])
            await asyncio.sleep(0.05)
