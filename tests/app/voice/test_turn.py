from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.voice.diagram import DOCUMENT, document
from app.voice.profile import Endpointing, Overlap, OverlapAction, TurnTaking
from app.voice.turn import MARK_GRACE, TABLE, Command, Input, State, Timer, TurnMachine, diagram

TIMING = TurnTaking(endpointing=Endpointing(usual_seconds=0.3), no_input_seconds=8, reply_seconds=5)


def machine(*inputs: Input, at: float = 10.0) -> TurnMachine:
    turn = TurnMachine(TIMING)
    turn.start(at)
    for each in inputs:
        turn.handle(each, at)
    return turn


def state(turn: TurnMachine) -> State:
    return turn.state


SPEAKING = (Input.PROMPT, Input.REPLY_AUDIO)


def test_a_turn_ends_when_the_silence_has_lasted() -> None:
    turn = machine(Input.SPEECH_STARTED)
    assert turn.handle(Input.SPEECH_STOPPED, 11.1, at=11.0) == ()
    assert turn.deadline == 13.0  # the final is missing: wait longer
    turn.handle(Input.FINAL, 11.2)
    assert turn.deadline == pytest.approx(11.3)  # counted from the silence, not from the final
    assert turn.handle(Input.TIMER, 11.25) == ()
    assert turn.handle(Input.TIMER, 11.3) == (Command.START_REPLY,)
    assert state(turn) is State.THINKING


def test_the_silence_that_ends_a_turn_may_change_with_each_word() -> None:
    turn = machine(Input.SPEECH_STARTED)
    turn.handle(Input.SPEECH_STOPPED, 11.1, at=11.0)
    turn.wait_seconds = 1.2
    turn.handle(Input.FINAL, 11.2)
    assert turn.deadline == pytest.approx(12.2)
    turn.wait_seconds = 0.3
    turn.handle(Input.FINAL, 11.3)
    assert turn.deadline == pytest.approx(11.3)


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
    assert state(turn) is State.LISTENING


def test_a_breath_is_not_the_end_of_the_turn() -> None:
    turn = machine(Input.SPEECH_STARTED)
    turn.handle(Input.SPEECH_STOPPED, 11.0, at=11.0)
    turn.handle(Input.FINAL, 11.1)
    turn.handle(Input.SPEECH_STARTED, 11.2)
    assert state(turn) is State.HEARING
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
    assert state(turn) is State.HEARING


def test_speech_over_the_agent_pauses_it_and_an_interruption_takes_the_floor() -> None:
    turn = machine(*SPEAKING)
    assert turn.handle(Input.SPEECH_STARTED, 10.0) == (Command.PAUSE_PLAYOUT,)
    assert state(turn) is State.OVERLAP
    commands = turn.handle(Input.INTERRUPTED, 10.3)
    assert commands == (
        Command.NOTE_BARGE_IN,
        Command.CANCEL_REPLY,
        Command.CLEAR_PLAYOUT,
        Command.ACKNOWLEDGE,
    )
    assert state(turn) is State.HEARING


def test_an_interruption_that_is_over_already_is_waited_out_like_any_turn() -> None:
    turn = machine(*SPEAKING, Input.SPEECH_STARTED)
    turn.handle(Input.SPEECH_STOPPED, 10.4, at=10.3)
    turn.handle(Input.INTERRUPTED, 10.45, at=10.3)
    assert state(turn) is State.ENDPOINTING
    turn.handle(Input.FINAL, 10.5)
    assert turn.deadline == pytest.approx(10.6)


def test_after_a_backchannel_the_agent_goes_on_and_is_not_paused_again_at_once() -> None:
    turn = machine(*SPEAKING, Input.SPEECH_STARTED)
    assert turn.handle(Input.BACKCHANNEL, 10.2) == (Command.RESUME_PLAYOUT,)
    assert state(turn) is State.SPEAKING
    turn.handle(Input.SPEECH_STOPPED, 10.3, at=10.2)
    assert turn.handle(Input.SPEECH_STARTED, 10.5) == ()  # within the cooldown
    assert state(turn) is State.OVERLAP
    turn.handle(Input.BACKCHANNEL, 10.7)
    turn.handle(Input.SPEECH_STOPPED, 10.8, at=10.7)
    assert turn.handle(Input.SPEECH_STARTED, 12.0) == (Command.PAUSE_PLAYOUT,)


def test_speech_over_the_agent_on_which_no_judgement_comes_lets_it_go_on() -> None:
    turn = machine(*SPEAKING, Input.SPEECH_STARTED)
    assert turn.handle(Input.TIMER, 12.0) == (Command.NOTE_WATCHDOG, Command.RESUME_PLAYOUT)
    assert turn.fired is Timer.OVERLAP


@pytest.mark.parametrize("action", [OverlapAction.DUCK_AND_CONTINUE, OverlapAction.IGNORE])
def test_an_agent_that_goes_on_is_not_paused(action: OverlapAction) -> None:
    turn = TurnMachine(TurnTaking(overlap=Overlap(action=action)))
    turn.start(10.0)
    for each in SPEAKING:
        turn.handle(each, 10.0)
    assert turn.handle(Input.SPEECH_STARTED, 10.0) == (Command.DUCK,)
    assert turn.handle(Input.SPEECH_STOPPED, 10.4) == (Command.UNDUCK,)
    assert state(turn) is State.SPEAKING


def test_words_said_over_an_agent_that_went_on_are_answered_when_it_has_spoken() -> None:
    turn = machine(*SPEAKING)
    turn.handle(Input.WORDS, 10.1)
    turn.handle(Input.PLAYOUT_DONE, 11.0)
    assert state(turn) is State.ENDPOINTING


def test_who_talks_into_the_end_of_a_reply_has_the_floor() -> None:
    turn = machine(*SPEAKING, Input.SPEECH_STARTED)
    turn.handle(Input.PLAYOUT_DONE, 10.1)
    assert state(turn) is State.HEARING


def test_a_key_takes_the_floor_and_waits_for_more() -> None:
    turn = machine(*SPEAKING)
    commands = turn.handle(Input.KEY, 10.0)
    assert commands == (Command.NOTE_BARGE_IN, Command.CANCEL_REPLY, Command.CLEAR_PLAYOUT)
    assert turn.deadline == 10.0 + TIMING.keys.pause_seconds
    turn.handle(Input.KEY, 11.0)
    turn.handle(Input.FINAL, 11.1)  # something was said too: the keys still have their time
    assert turn.deadline == 11.0 + TIMING.keys.pause_seconds
    assert turn.handle(Input.KEYS_DONE, 11.5) == (Command.START_REPLY,)


def test_a_noise_does_not_put_off_the_question_whether_anybody_is_there() -> None:
    turn = machine()
    turn.handle(Input.SPEECH_STARTED, 14.0)
    turn.handle(Input.SPEECH_STOPPED, 14.3, at=14.2)
    turn.handle(Input.FINAL_EMPTY, 14.4)
    turn.handle(Input.TIMER, 14.6)
    assert state(turn) is State.LISTENING
    assert turn.deadline == 18.0


def test_the_floor_opens_when_the_reply_was_heard() -> None:
    turn = machine(*SPEAKING)
    turn.handle(Input.REPLY_SENT, 12.0, at=12.3)
    assert turn.deadline == 12.3 + MARK_GRACE
    turn.handle(Input.PLAYOUT_DONE, 12.4)
    assert state(turn) is State.LISTENING
    assert turn.deadline == 12.4 + TIMING.no_input_seconds


def test_a_lost_mark_does_not_hang_the_call() -> None:
    turn = machine(*SPEAKING)
    turn.handle(Input.REPLY_SENT, 12.0, at=12.3)
    assert turn.handle(Input.TIMER, 14.0) == (Command.NOTE_WATCHDOG, Command.TAKE_AS_HEARD)
    turn.handle(Input.PLAYOUT_DONE, 14.0)
    assert state(turn) is State.LISTENING


def test_silence_is_answered_with_a_reprompt() -> None:
    turn = machine()
    assert turn.handle(Input.TIMER, 18.0) == (Command.REPROMPT,)


def test_a_silent_model_is_apologised_for() -> None:
    turn = machine(Input.SPEECH_STARTED, Input.WORDS)
    turn.handle(Input.SPEECH_STOPPED, 11.0, at=11.0)
    turn.handle(Input.TIMER, 13.0)
    assert turn.handle(Input.TIMER, 13.0 + TIMING.filler_seconds) == (Command.SAY_FILLER,)
    assert turn.handle(Input.TIMER, 18.0) == (
        Command.NOTE_WATCHDOG,
        Command.CANCEL_REPLY,
        Command.APOLOGISE,
    )


def test_last_words_are_not_interrupted() -> None:
    turn = machine(*SPEAKING, Input.FAREWELL)
    assert state(turn) is State.CLOSING
    assert turn.handle(Input.SPEECH_STARTED, 11) == ()
    assert turn.handle(Input.INTERRUPTED, 11) == ()
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
