"""A language model is asked about a call: its answer fits the schema, or there is none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from app.engines.errors import EngineError
from app.engines.ports import LanguageModel, ToolCall
from app.postcall import judge as judging
from app.postcall.judge import TOOL, Judge, transcript_of
from app.postcall.patterns import mismatch
from app.postcall.schema import (
    classification_schema,
    score_schema,
    sentiment_schema,
    summary_schema,
    wrong_date,
)
from app.postcall.steps import StepFailed
from app.voice.after_call import AfterCall, AskedField, Criterion, Disposition
from tests.app.postcall.calls import finished, said
from tests.fakes.language_model import FakeLanguageModel, Step

CALL = finished(said("where is my parcel", "It is on its way."), cause="caller")


def report(**arguments: Any) -> ToolCall:
    return ToolCall("1", TOOL, arguments)


def judge(*replies: Sequence[Step], seconds: float = 5.0) -> tuple[Judge, FakeLanguageModel]:
    model = FakeLanguageModel(replies)
    return Judge([model], seconds), model


async def test_the_answer_is_the_tools_arguments() -> None:
    asked, model = judge([report(summarise="A parcel was asked for.")])
    answer = await asked.ask(CALL, "Summarise.", summary_schema())
    assert answer == {"summarise": "A parcel was asked for."}
    (request,) = model.requests
    assert request.tools[0].parameters == summary_schema()
    assert "Summarise." in request.messages[0].text
    assert request.messages[1].text == transcript_of(CALL)


@pytest.mark.parametrize("text", ['{"summarise": "So."}', 'Sure:\n```json\n{"summarise": "So."}\n```'])
async def test_an_answer_that_is_written_down_counts_too(text: str) -> None:
    asked, _ = judge([text])
    assert await asked.ask(CALL, "", summary_schema()) == {"summarise": "So."}


async def test_it_is_told_what_is_wrong_and_may_correct_it() -> None:
    asked, model = judge([report(summary="x")], ["I cannot."], [report(summarise="So.")])
    assert await asked.ask(CALL, "", summary_schema()) == {"summarise": "So."}
    assert "required" in model.requests[1].messages[-1].text
    assert "not used" in model.requests[2].messages[-1].text


async def test_after_some_tries_there_is_no_answer_and_nothing_of_the_call_in_the_error() -> None:
    asked, model = judge(*[[report(summarise=7)]] * 5)
    with pytest.raises(StepFailed) as caught:
        await asked.ask(CALL, "", summary_schema())
    assert len(model.requests) == judging.TRIES
    assert "parcel" not in str(caught.value)
    assert "type" in str(caught.value)


async def test_the_next_model_is_asked_when_one_fails() -> None:
    failing: LanguageModel = FakeLanguageModel([[EngineError("first", "no connection")]])
    slow: LanguageModel = FakeLanguageModel([[5.0]])
    good: LanguageModel = FakeLanguageModel([[report(summarise="So.")]])
    assert await Judge([failing, slow, good], 0.1).ask(CALL, "", summary_schema()) == {"summarise": "So."}
    failing_again: LanguageModel = FakeLanguageModel([[EngineError("first", "no connection")]])
    with pytest.raises(StepFailed, match=r"no connection.*MODEL_SECONDS"):
        await Judge([failing_again, FakeLanguageModel([[5.0]])], 0.1).ask(CALL, "", summary_schema())


async def test_what_the_schema_cannot_say_is_checked_besides() -> None:
    fields = (
        AskedField(name="day", title="The day", type="date"),
        AskedField(name="code", title="The code", pattern="[A-Z]{2}"),
    )
    schema = classification_schema(AfterCall(fields=fields))
    asked, model = judge(
        [report(fields={"day": "2026-02-30", "code": "AB"})],
        [report(fields={"day": "2026-02-28", "code": "abc"})],
        [report(fields={"day": None, "code": "AB"})],
    )

    async def check(report: dict[str, Any]) -> str:
        return wrong_date(fields, report["fields"]) or await mismatch(fields, report["fields"])

    answer = await asked.ask(CALL, "", schema, check)
    assert answer == {"fields": {"day": None, "code": "AB"}}
    assert "no date" in model.requests[1].messages[-1].text
    assert "does not match" in model.requests[2].messages[-1].text


def test_schemas_hold_the_model_to_the_profile() -> None:
    after = AfterCall(
        dispositions=(Disposition(name="sold", title="Something was sold"),),
        fields=(AskedField(name="size", title="Size", type="choice", choices=("s", "l")),),
    )
    schema = classification_schema(after)
    assert schema["properties"]["disposition"]["enum"] == ["sold", "other"]
    assert schema["properties"]["fields"]["properties"]["size"]["enum"] == ["s", "l", None]
    assert sentiment_schema([0, 3])["properties"]["turns"]["required"] == ["0", "3"]
    scores = score_schema(
        [Criterion(name="polite", title="Polite?"), Criterion(name="w", title="?", kind="scale")]
    )
    assert scores["properties"]["polite"]["properties"]["value"] == {"type": "integer", "enum": [0, 1]}
    assert scores["properties"]["w"]["properties"]["value"]["maximum"] == 1


def test_a_long_transcript_loses_its_middle() -> None:
    call = finished(*[said("word " * 400) for _ in range(60)])
    text = transcript_of(call)
    assert len(text) < judging.MOST_CHARACTERS + 100
    assert "left out" in text
