from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.voice.diagram import DOCUMENT, document
from app.voice.profile import TurnTaking
from app.voice.turn import MARK_GRACE, TABLE, Command, Input, State, TurnMachine, diagram

TIMING = TurnTaking(endpoint_seconds=0.3, endpoint_max_seconds=2.0, no_input_seconds=8, reply_seconds=5)


def machine(*inputs: Input, at: float = 10.0) -> TurnMachine:
    turn = TurnMachine(TIMING)
    turn.start(at)
    for each in inputs:
        turn.handle(each, at)
    return turn


SPEAKING = (Input.PROMPT, Input.REPLY_AUDIO)


def test_a_turn_ends_when_the_silence_has_lasted() -> None:
    turn = machine(Input.SPEECH_STARTED)
    assert turn.handle(Input.SPEECH_STOPPED, 11.1, at=11.0) == ()
    assert turn.deadline == 13.0  # the final is missing: wait longer
    turn.handle(Input.FINAL, 11.2)
    assert turn.deadline == pytest.approx(11.3)  # counted from the silence, not from the final
    assert turn.handle(Input.TIMER, 11.25) == ()
    assert turn.handle(Input.TIMER, 11.3) == (Command.START_REPLY,)
    assert turn.state is State.THINKING


def test_a_late_final_never_adds_a_wait() -> None:
    turn = machine(Input.SPEECH_STARTED)
    turn.handle(Input.SPEECH_STOPPED, 11.1, at=11.0)
    turn.handle(Input.FINAL, 12.5)
    assert turn.deadline == 12.5


def test_interim_words_stand_in_for_a_final_that_never_comes() -> None:
    turn = machine(Input.SPEECH_STARTED, Input.WORDS)
    turn.handle(Input.SPEECH_STOPPED, 11.0, at=11.0)
    assert turn.handle(Input.TIMER, 13.0) == (Command.START_REPLY,)


def test_noise_without_words_is_not_answered() -> None:
    turn = machine(Input.SPEECH_STARTED)
    turn.handle(Input.SPEECH_STOPPED, 11.0, at=11.0)
    turn.handle(Input.FINAL_EMPTY, 11.1)
    assert turn.handle(Input.TIMER, 11.3) == ()
    assert turn.state is State.LISTENING


def test_a_breath_is_not_the_end_of_the_turn() -> None:
    turn = machine(Input.SPEECH_STARTED)
    turn.handle(Input.SPEECH_STOPPED, 11.0, at=11.0)
    turn.handle(Input.FINAL, 11.1)
    turn.handle(Input.SPEECH_STARTED, 11.2)
    assert turn.state is State.HEARING
    assert turn.has_words
    turn.handle(Input.SPEECH_STOPPED, 12.0, at=12.0)
    turn.handle(Input.FINAL_EMPTY, 12.1)
    assert turn.handle(Input.TIMER, 12.3) == (Command.START_REPLY,)  # the words before the breath count


def test_the_caller_going_on_takes_the_reply_back() -> None:
    turn = machine(Input.SPEECH_STARTED)
    turn.handle(Input.SPEECH_STOPPED, 11.0, at=11.0)
    turn.handle(Input.FINAL, 11.1)
    turn.handle(Input.TIMER, 11.3)
    assert turn.handle(Input.SPEECH_STARTED, 11.5) == (Command.CANCEL_REPLY, Command.RESUME_WORDS)
    assert turn.state is State.HEARING


def test_speech_that_lasts_takes_the_floor() -> None:
    turn = machine(*SPEAKING, Input.SPEECH_STARTED)
    commands = turn.handle(Input.SPEECH_SUSTAINED, 10.3)
    assert commands == (Command.NOTE_BARGE_IN, Command.CANCEL_REPLY, Command.CLEAR_PLAYOUT)
    assert turn.state is State.HEARING


def test_a_backchannel_does_not() -> None:
    turn = machine(*SPEAKING, Input.SPEECH_STARTED)
    assert turn.handle(Input.SPEECH_STOPPED, 10.2, at=10.1) == (Command.DISCARD_WORDS,)
    assert turn.state is State.SPEAKING
    assert not turn.has_words


def test_the_floor_opens_when_the_reply_was_heard() -> None:
    turn = machine(*SPEAKING)
    turn.handle(Input.REPLY_SENT, 12.0, at=12.3)
    assert turn.deadline == 12.3 + MARK_GRACE
    turn.handle(Input.PLAYOUT_DONE, 12.4)
    assert turn.state is State.LISTENING
    assert turn.deadline == 12.4 + TIMING.no_input_seconds


def test_a_lost_mark_does_not_hang_the_call() -> None:
    turn = machine(*SPEAKING)
    turn.handle(Input.REPLY_SENT, 12.0, at=12.3)
    assert Command.NOTE_WATCHDOG in turn.handle(Input.TIMER, 14.0)
    assert turn.state is State.LISTENING


def test_silence_is_answered_with_a_reprompt() -> None:
    turn = machine()
    assert turn.handle(Input.TIMER, 18.0) == (Command.REPROMPT,)


def test_a_silent_model_is_apologised_for() -> None:
    turn = machine(Input.SPEECH_STARTED, Input.WORDS)
    turn.handle(Input.SPEECH_STOPPED, 11.0, at=11.0)
    turn.handle(Input.TIMER, 13.0)
    assert turn.handle(Input.TIMER, 18.0) == (
        Command.NOTE_WATCHDOG,
        Command.CANCEL_REPLY,
        Command.APOLOGISE,
    )


def test_last_words_are_not_interrupted() -> None:
    turn = machine(*SPEAKING, Input.FAREWELL)
    assert turn.state is State.CLOSING
    assert turn.handle(Input.SPEECH_STARTED, 11) == ()
    assert turn.handle(Input.SPEECH_SUSTAINED, 11) == ()
    assert turn.handle(Input.PLAYOUT_DONE, 12) == (Command.HANG_UP,)


@given(st.lists(st.tuples(st.sampled_from(sorted(Input)), st.floats(0, 30)), max_size=60))
def test_no_call_is_ever_stuck(events: list[tuple[Input, float]]) -> None:
    """Whatever happens, in whatever order, a state other than closed has a deadline that leads on."""
    turn = TurnMachine(TIMING)
    now = 100.0
    turn.start(now)
    for event, wait in events:
        now += wait
        turn.handle(event, now)
        assert (turn.deadline is None) == (turn.state is State.CLOSED)
    for _ in range(3):
        if turn.deadline is not None:
            before = (turn.state, turn.deadline)
            turn.handle(Input.TIMER, turn.deadline)
            assert (turn.state, turn.deadline) != before


def test_every_state_has_a_way_out_by_time_and_by_hangup() -> None:
    for state in State:
        if state is not State.CLOSED:
            assert (state, Input.TIMER) in TABLE
            assert (state, Input.HANGUP) in TABLE


def test_the_diagram_shows_every_row() -> None:
    drawn = diagram()
    for (state, event), (after, _, _) in TABLE.items():
        assert f"    {state} --> {after}: {event}" in drawn


def test_every_command_is_reachable() -> None:
    assert set(itertools.chain.from_iterable(row[1] for row in TABLE.values())) == set(Command)


def test_the_document_is_drawn_from_the_table() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == document(), "run: python -m app.voice.diagram"
