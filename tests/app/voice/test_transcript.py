from __future__ import annotations

from app.engines.ports import Message, ToolCall
from app.voice.said import Said
from app.voice.transcript import Round, Transcript


def test_the_model_sees_what_was_heard_and_no_more() -> None:
    transcript = Transcript("Be brief.")
    turn = transcript.open_turn(Said("where is it"))
    turn.rounds[-1].text = "It is in the van. It will come at four."
    turn.heard_chars = len("It is in the van.")
    turn.interrupted = True
    assert list(transcript.messages()) == [
        Message("system", "Be brief."),
        Message("user", "where is it"),
        Message("assistant", "It is in the van."),
    ]
    assert turn.reply_text == "It is in the van. It will come at four."


def test_a_reply_of_which_nothing_was_heard_is_not_in_the_context() -> None:
    transcript = Transcript("")
    turn = transcript.open_turn(Said("hello"))
    turn.rounds[-1].text = "Hello to you."
    assert list(transcript.messages()) == [Message("user", "hello")]


def test_tool_calls_stand_with_their_results_and_a_cut_runs_over_the_rounds() -> None:
    transcript = Transcript("")
    turn = transcript.open_turn(Said("one two three"))
    call = ToolCall("c1", "look_up", {"key": "123"})
    turn.rounds[-1].text = "One moment. "
    turn.rounds[-1].calls.append(call)
    turn.rounds[-1].results["c1"] = '{"found": true}'
    turn.rounds.append(Round("It is on its way. Anything else?"))
    turn.heard_chars = len("One moment. It is on its way.")
    assert list(transcript.messages()) == [
        Message("user", "one two three"),
        Message("assistant", "One moment.", tool_calls=(call,)),
        Message("tool", '{"found": true}', tool_call_id="c1"),
        Message("assistant", "It is on its way."),
    ]


def test_a_call_that_was_never_answered_is_left_out() -> None:
    transcript = Transcript("")
    turn = transcript.open_turn(Said("x"))
    turn.rounds[-1].calls.append(ToolCall("c1", "look_up", {}))
    assert list(transcript.messages()) == [Message("user", "x")]


def test_only_the_newest_turn_can_be_withdrawn() -> None:
    transcript = Transcript("")
    first, second = transcript.open_turn(Said("a")), transcript.open_turn(Said("b"))
    transcript.withdraw(first)
    assert transcript.turns == [first, second]
    transcript.withdraw(second)
    assert transcript.turns == [first]
