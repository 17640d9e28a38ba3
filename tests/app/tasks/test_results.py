"""What a language model, and the recording, make of the work after a call."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import numpy as np
from sqlalchemy import text

from app.db.session import Database
from app.engines.errors import EngineError
from app.engines.ports import ToolCall
from app.outbox.repository import owe
from app.postcall.judge import TOOL
from app.recordings import flac
from app.recordings.blocks import AGENT, CALLER
from app.recordings.keys import key_of
from app.tasks.post_call import work_after
from app.tasks.tools import Tools
from app.voice.after_call import AfterCall
from app.voice.events import CallerWord, RecordingFinished
from app.voice.profile import AgentProfile
from tests.app.calls.events import ended, started, turn
from tests.app.tasks.conftest import Stored, make_agent, states
from tests.fakes.language_model import FakeLanguageModel

NOW = datetime.now(UTC).replace(microsecond=0)
AFTER = {
    "dispositions": [{"name": "sold", "title": "Something was ordered"}],
    "fields": [{"name": "size", "title": "Size", "type": "choice", "choices": ["small", "large"]}],
    "rubric": [
        {"name": "polite", "title": "Was polite", "weight": 3},
        {"name": "bye", "title": "Said goodbye", "rule": "said", "phrases": ["goodbye"]},
    ],
}


def report(**arguments: Any) -> list[ToolCall]:
    return [ToolCall("1", TOOL, arguments)]


async def results(database: Database, call_id: UUID) -> dict[str, Any]:
    query = text("SELECT step, result FROM call_steps WHERE call_id = :call")
    async with database.transaction() as session:
        return {row.step: row.result for row in await session.execute(query, {"call": call_id})}


async def ended_call(store: Stored, **turns: Any) -> UUID:
    begun = started(at=NOW - timedelta(seconds=30))
    await store(begun, turn(begun.call_id, at=NOW, **turns), ended(begun.call_id, at=NOW))
    return begun.call_id


async def test_a_model_judges_what_the_profile_asks(database: Database, store: Stored, tools: Tools) -> None:
    await make_agent(database, AgentProfile(name="parcel", after=AfterCall.model_validate(AFTER)))
    call_id = await ended_call(store)
    model = FakeLanguageModel(
        [
            report(summarise="A parcel was asked for."),
            report(disposition="sold", reason="It was.", fields={"size": "large"}),
            report(overall="positive", turns={"0": "positive"}),
            report(polite={"value": 1, "reason": "Yes."}),
        ]
    )
    tools._models = [model]
    await work_after(call_id, tools)
    found = await results(database, call_id)
    assert found["summarise"] == {"text": "A parcel was asked for.", "by": "model"}
    assert (found["classify"]["disposition"], found["classify"]["fields"]) == ("sold", {"size": "large"})
    assert found["judge_sentiment"]["overall"] == "positive"
    assert found["score"]["score"] == 75.0
    async with database.transaction() as session:
        row = (await session.execute(text("SELECT disposition, sentiment, score FROM calls"))).one()
    assert tuple(row) == ("sold", "positive", 75.0)
    assert len(model.requests) == 4


async def test_without_one_rules_judge_and_leave_out_what_they_cannot(
    database: Database, store: Stored, tools: Tools
) -> None:
    await make_agent(database, AgentProfile(name="parcel", after=AfterCall.model_validate(AFTER)))
    call_id = await ended_call(store)
    await work_after(call_id, tools)
    found = await results(database, call_id)
    assert found["summarise"]["by"] == "rules"
    assert found["classify"] == {
        "disposition": None, "reason": "no rule fits", "fields": {"size": None}, "by": "rules",
    }  # fmt: skip
    values = {line["name"]: line["value"] for line in found["score"]["criteria"]}
    assert values == {"polite": None, "bye": 0.0}
    assert found["score"]["score"] == 0.0


async def test_a_model_that_is_away_is_asked_again_and_named(
    database: Database, store: Stored, tools: Tools
) -> None:
    call_id = await ended_call(store)
    tools._models = [FakeLanguageModel(otherwise=[EngineError("fake", "no connection to the server")])]
    await work_after(call_id, tools)
    assert (await states(database, call_id))["summarise"] == "waiting"
    async with database.transaction() as session:
        error = await session.scalar(text("SELECT error FROM call_steps WHERE step = 'summarise'"))
    assert "no connection" in str(error)


async def test_the_recording_is_kept_and_silent_where_personal_data_was_said(
    database: Database, store: Stored, tools: Tools
) -> None:
    await make_agent(database, AgentProfile(name="parcel", after=AfterCall(redact=True)))
    begun = started(at=NOW - timedelta(seconds=30))
    call_id = begun.call_id
    key = key_of(call_id, begun.at)
    path = tools.places.folder / key
    path.parent.mkdir(parents=True)
    loud = np.full((8000 * 30, 2), 9000, dtype=np.int16)
    flac.rewrite(path, iter(np.split(loud, 30)))
    words = [
        "my",
        "card",
        "number",
        "is",
        "four",
        "one",
        "one",
        "one",
        "one",
        "one",
        "one",
        "one",
        "one",
        "one",
        "one",
        "one",
        "one",
        "one",
        "one",
        "one",
    ]
    spoken = tuple(CallerWord(word, 1 + 0.5 * n, 1.4 + 0.5 * n) for n, word in enumerate(words))
    said = replace(turn(call_id, at=NOW, text=" ".join(words)), caller_words=spoken, caller_ended=12.0)
    in_step = ((0.0, 0.0, 0.0),)
    taped = RecordingFinished(call_id, NOW, key, "flac", 2, 8000, 30.0, (), "kept", shifts=(in_step, in_step))
    await store(begun, said, taped, ended(call_id, at=NOW))
    await work_after(call_id, tools)
    assert set((await states(database, call_id)).values()) == {"done", "skipped"}
    async with database.transaction() as session:
        row = (await session.execute(text("SELECT * FROM recordings"))).one()
    assert (row.state, row.store, row.redacted, row.duration_seconds) == ("kept", "local", True, 30.0)
    sound = np.concatenate(list(flac.blocks(path)))
    number = slice(int(8000 * 3.1), int(8000 * 8.5))
    assert not sound[number, CALLER].any()
    assert sound[number, AGENT].all()
    assert sound[: 8000 * 2, CALLER].all()
    assert row.size_bytes == path.stat().st_size

    # Found again from what was found before: the words say it no more.
    flac.rewrite(path, iter(np.split(loud, 30)))
    async with database.transaction() as session:
        await session.execute(text("UPDATE call_steps SET state = 'waiting', due_at = now()"))
        await owe(session, [call_id])
    await work_after(call_id, tools)
    sound = np.concatenate(list(flac.blocks(path)))
    assert not sound[number, CALLER].any()
