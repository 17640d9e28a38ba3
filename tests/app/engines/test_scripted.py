from __future__ import annotations

import json

import pytest
import yaml

from app.engines.llm.script import Script
from app.engines.llm.scripted import ScriptedLanguageModel
from app.engines.ports import Delta, Expectation, Message, ReplyRequest, TextDelta, ToolCall, ToolSpec
from app.voice.profile import AgentProfile
from config.settings import AGENTS

TOOLS = tuple(ToolSpec(name, "", {}) for name in ("look_up", "transfer_call", "end_call"))
SCRIPT = Script.model_validate({
    "no_match": ["First?", "Second?"],
    "intents": {
        "track": {
            "phrases": ["where is my parcel"],
            "slot": {
                "name": "number", "length": 5, "ask": "Number?", "retry": "All five?",
                "read_back": "Number {number}.",
            },
            "lookup": {
                "table": "parcels", "key": "number", "found": "It is {state}.", "missing": "No {number}.",
            },
        },
        "hours": {"phrases": ["opening hours"], "say": "Nine to five."},
        "person": {"phrases": ["speak to a person"], "say": "One moment.", "then": "transfer"},
        "bye": {"phrases": ["goodbye"], "say": "Goodbye.", "then": "hang_up"},
        "again": {"phrases": ["say that again"], "say": "I said nothing.", "then": "repeat"},
    },
})  # fmt: skip
TABLE = {"12345": {"state": "here"}}


class Talk:
    """A conversation with the script: ``say`` gives the deltas of all rounds that answer."""

    def __init__(self, script: Script = SCRIPT, tools: tuple[ToolSpec, ...] = TOOLS) -> None:
        self.script, self.tools = script, tools
        self.messages = [Message("system", "x"), Message("assistant", "Hello.")]

    async def ask(self) -> list[Delta]:
        request = ReplyRequest(self.messages, self.tools, self.script)
        return [delta async for delta in ScriptedLanguageModel().reply(request)]

    async def say(self, text: str, heard: int | None = None) -> list[Delta]:
        """``heard``: of each round's text, so many characters were heard."""
        self.messages.append(Message("user", text))
        deltas: list[Delta] = []
        while True:
            made = await self.ask()
            deltas += made
            calls = tuple(delta for delta in made if isinstance(delta, ToolCall))
            self.messages.append(Message("assistant", text_of(made).strip()[:heard], calls))
            for call in calls:
                row = TABLE.get(call.arguments.get("key", ""))
                self.messages.append(Message("tool", json.dumps(row), tool_call_id=call.id))
            if not any(call.name == "look_up" for call in calls):
                return deltas


def text_of(deltas: list[Delta]) -> str:
    return "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))


def tools_of(deltas: list[Delta]) -> list[str]:
    return [delta.name for delta in deltas if isinstance(delta, ToolCall)]


def expected(deltas: list[Delta]) -> list[Expectation]:
    return [delta for delta in deltas if isinstance(delta, Expectation)]


async def test_the_number_is_asked_for_read_back_and_looked_up() -> None:
    talk = Talk()
    asked = await talk.say("where is my parcel")
    assert text_of(asked) == "Number?"
    assert expected(asked) == [Expectation("digits", 5)]
    found = await talk.say("one two three four five")
    assert text_of(found) == "Number 1 2 3 4 5. It is here."
    assert [delta for delta in found if isinstance(delta, ToolCall)] == [
        ToolCall("look_up-12345", "look_up", {"table": "parcels", "key": "12345"})
    ]


async def test_a_number_given_with_the_question_is_not_asked_for() -> None:
    assert text_of(await Talk().say("where is my parcel one two three four five")).endswith("It is here.")


async def test_a_number_alone_belongs_to_the_only_subject() -> None:
    assert text_of(await Talk().say("12345")).endswith("It is here.")


async def test_wrong_number_of_digits_asks_again_and_listens_for_digits() -> None:
    talk = Talk()
    await talk.say("where is my parcel")
    again = await talk.say("one two three four five six seven")
    assert (text_of(again), expected(again)) == ("All five?", [Expectation("digits", 5)])
    assert text_of(await talk.say("one two three four five")).endswith("It is here.")


async def test_a_question_with_part_of_the_number_asks_for_all_of_it() -> None:
    assert text_of(await Talk().say("where is my parcel one two three")) == "All five?"
    assert text_of(await Talk().say("one question where is my parcel")) == "Number?"


async def test_a_number_in_two_breaths_is_joined() -> None:
    talk = Talk()
    await talk.say("where is my parcel")
    await talk.say("one two three")
    assert text_of(await talk.say("four five")).endswith("It is here.")


async def test_an_unknown_number_is_told_and_asked_for_again() -> None:
    talk = Talk()
    missing = await talk.say("where is my parcel nine nine nine nine nine")
    assert text_of(missing) == "Number 9 9 9 9 9. No 9 9 9 9 9."
    assert expected(missing) == [Expectation("digits", 5)]
    assert text_of(await talk.say("one two three four five")).endswith("It is here.")


async def test_the_subject_may_change_while_a_number_is_asked_for() -> None:
    talk = Talk()
    await talk.say("where is my parcel")
    hours = await talk.say("sorry what are your opening hours")
    assert text_of(hours) == "Nine to five."
    assert expected(hours) == []
    assert text_of(await talk.say("one two three four five")).endswith("It is here.")


@pytest.mark.parametrize("heard", [0, 4])
async def test_a_reply_cut_short_does_not_change_where_the_talk_stands(heard: int) -> None:
    talk = Talk()
    await talk.say("where is my parcel", heard=heard)
    assert text_of(await talk.say("one two three four five", heard=heard)).endswith("It is here.")
    assert text_of(await talk.say("opening hours")) == "Nine to five."


async def test_a_result_that_was_talked_over_is_still_told() -> None:
    talk = Talk()
    await talk.say("where is my parcel one two three four five", heard=0)
    assert text_of(await talk.say("mumble")) == "It is here."


async def test_a_result_that_was_told_is_not_told_again_unasked() -> None:
    talk = Talk()
    await talk.say("where is my parcel one two three four five")
    assert text_of(await talk.say("mumble")) == "First?"


async def test_what_fits_nothing_is_asked_about_in_other_words() -> None:
    talk = Talk()
    assert [text_of(await talk.say(text)) for text in ("foo", "bar", "baz")] == [
        "First?",
        "Second?",
        "Second?",
    ]
    await talk.say("opening hours")
    assert text_of(await talk.say("foo")) == "First?"


@pytest.mark.parametrize(("text", "said", "tool"), [
    ("goodbye", "Goodbye.", "end_call"),
    ("speak to a person", "One moment.", "transfer_call"),
])  # fmt: skip
async def test_the_call_ends_after_the_sentence_and_the_model_has_nothing_to_add(
    text: str, said: str, tool: str
) -> None:
    talk = Talk()
    deltas = await talk.say(text)
    assert text_of(deltas) == said
    assert isinstance(deltas[-1], ToolCall)
    assert tools_of(deltas) == [tool]
    assert await talk.ask() == []


async def test_repeat_says_the_answer_before_once_more() -> None:
    talk = Talk()
    assert text_of(await talk.say("say that again")) == "I said nothing."
    await talk.say("where is my parcel")
    await talk.say("one two")
    again = await talk.say("please say that again")
    assert (text_of(again), expected(again)) == ("Number?", [Expectation("digits", 5)])
    await talk.say("one two three four five")
    assert text_of(await talk.say("say that again")) == "It is here."


async def test_tools_that_are_not_offered_are_not_called() -> None:
    assert tools_of(await Talk(tools=()).say("goodbye")) == []
    assert text_of(await Talk(tools=()).say("where is my parcel 12345")) == "No 1 2 3 4 5."


@pytest.mark.parametrize(
    "result", ["", "null", "{}", "[]", "no such table", '{"error": "unknown table"}', "3"]
)
async def test_any_other_result_counts_as_nothing_found(result: str) -> None:
    call = ToolCall("1", "look_up", {})
    talk = Talk()
    talk.messages += [
        Message("user", "where is my parcel 12345"),
        Message("assistant", "", (call,)),
        Message("tool", result, tool_call_id="1"),
    ]
    assert text_of(await talk.ask()) == "No 1 2 3 4 5."


async def test_nothing_is_said_before_the_caller_spoke() -> None:
    assert await Talk().ask() == []


async def test_a_reply_comes_word_by_word() -> None:
    deltas = await Talk().say("opening hours")
    assert deltas == [TextDelta("Nine"), TextDelta(" to"), TextDelta(" five.")]


async def test_the_parcel_agent_answers_all_its_own_phrases() -> None:
    profile = AgentProfile.model_validate(
        yaml.safe_load((AGENTS / "parcel.yaml").read_text(encoding="utf-8"))
    )
    for intent in profile.script.intents.values():
        for phrase in intent.phrases:
            deltas = await Talk(profile.script).say(phrase)
            known = {intent.say, intent.slot.ask if intent.slot else ""}
            assert text_of(deltas) in known, phrase
