from __future__ import annotations

from app.engines.ports import Expectation, Transcript
from app.voice.keypad import Keypad
from app.voice.profile import Keys
from app.voice.words import LOST_SECONDS, CallerWords, Heard

FIVE = Expectation("digits", 5)


def interim(words: CallerWords, text: str) -> Heard:
    return words.hear(Transcript(text, final=False), 0.0, in_segment=True)


def final(words: CallerWords, text: str, now: float = 0.0) -> Heard:
    return words.hear(Transcript(text, final=True), now, in_segment=False)


def test_a_final_takes_the_place_of_its_interims() -> None:
    words = CallerWords()
    assert interim(words, "where") is Heard.INTERIM
    words.finish_segment(0.0)
    assert final(words, "where is it") is Heard.FINAL
    assert words.text == "where is it"
    assert words.complete


def test_an_interim_is_settled_once_it_comes_again_or_its_beginning_stays() -> None:
    words = CallerWords()
    interim(words, "no")
    assert words.settled == ""
    interim(words, "no")
    assert words.settled == "no"
    interim(words, "no that")
    interim(words, "no that is")
    interim(words, "no that is wrong")
    assert words.settled == "no"
    assert words.text == "no that is wrong"


def test_with_more_finals_to_come_one_is_a_part() -> None:
    words = CallerWords()
    words.finish_segment(0.0)
    words.finish_segment(0.1)
    assert final(words, "one") is Heard.PART
    assert not words.complete
    assert final(words, "two") is Heard.FINAL
    assert words.take() == "one two"


def test_finals_of_words_that_were_taken_say_nothing() -> None:
    words = CallerWords()
    interim(words, "so far")
    words.finish_segment(0.0)
    assert words.take() == "so far"
    assert final(words, "so far and more") is Heard.NOTHING
    assert words.text == ""


def test_a_lost_final_does_not_cost_the_next_one() -> None:
    words = CallerWords()
    interim(words, "hello")
    words.finish_segment(0.0)
    assert words.take() == "hello"  # its final never comes
    words.finish_segment(10.0)
    assert final(words, "where is it", 10.0 + LOST_SECONDS / 2) is Heard.FINAL
    assert words.text == "where is it"
    assert words.lost == 1


def test_keys_and_speech_make_one_number() -> None:
    words = CallerWords()
    words.finish_segment(0.0)
    final(words, "one two")
    keypad = Keypad(Keys(), words)
    assert [keypad.press(key, FIVE) for key in "345"] == [False, False, True]
    assert words.text == "one two 3 4 5"
    assert words.answers(FIVE)


def test_the_end_key_ends_an_entry_and_is_nothing_without_one() -> None:
    words = CallerWords()
    keypad = Keypad(Keys(), words)
    assert keypad.press("#", None) is None
    assert keypad.press("7", None) is False
    assert keypad.press("#", None) is True
    assert words.take() == "7"


def test_the_restart_key_forgets_the_keys_but_not_the_words() -> None:
    words = CallerWords()
    words.finish_segment(0.0)
    final(words, "it is")
    keypad = Keypad(Keys(), words)
    keypad.press("1", None)
    keypad.press("2", None)
    assert keypad.press("*", None) is False
    assert keypad.press("*", None) is None
    keypad.press("3", None)
    assert words.text == "it is 3"


def test_a_keypad_may_be_switched_off() -> None:
    words = CallerWords()
    assert Keypad(Keys(enabled=False), words).press("1", None) is None
    assert words.text == ""
