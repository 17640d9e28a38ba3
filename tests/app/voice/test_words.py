from __future__ import annotations

from app.engines.ports import Expectation, RecognisedWord, Transcript
from app.voice.events import CallerWord
from app.voice.keypad import Keypad
from app.voice.profile import Keys
from app.voice.said import Said
from app.voice.segment_clock import Segment
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
    assert words.take() == Said("one two")


def test_finals_of_words_that_were_taken_say_nothing() -> None:
    words = CallerWords()
    interim(words, "so far")
    words.finish_segment(0.0)
    assert words.take() == Said("so far")
    assert final(words, "so far and more") is Heard.NOTHING
    assert words.text == ""


def test_a_lost_final_does_not_cost_the_next_one() -> None:
    words = CallerWords()
    interim(words, "hello")
    words.finish_segment(0.0)
    assert words.take() == Said("hello")  # its final never comes
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
    assert words.take() == Said("7")


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


def timed(text: str, *, confidence: float | None = None, language: str | None = None) -> Transcript:
    """A final whose words take a tenth of a second each."""
    words = (RecognisedWord(word, 800 * n, 800 * (n + 1)) for n, word in enumerate(text.split()))
    return Transcript(text, True, confidence, tuple(words), language)


def at(second: int) -> Segment:
    """Two seconds of audio from there on."""
    return Segment((0,), (second * 8000,), 16000)


def hear(words: CallerWords, transcript: Transcript, now: float = 0.0) -> None:
    words.hear(transcript, now, in_segment=False)


def test_words_are_placed_in_the_segment_that_their_final_answers() -> None:
    words = CallerWords()
    words.finish_segment(0.0, at(10))
    words.finish_segment(0.0, at(20))
    hear(words, timed("one"))
    hear(words, timed("two three"))
    assert words.take().words == (
        CallerWord("one", 10.0, 10.1),
        CallerWord("two", 20.0, 20.1),
        CallerWord("three", 20.1, 20.2),
    )


def test_a_final_of_words_that_were_taken_leaves_the_next_ones_in_their_place() -> None:
    words = CallerWords()
    words.finish_segment(0.0, at(10))
    assert words.take() == Said()
    words.finish_segment(0.0, at(20))
    hear(words, timed("late"))
    hear(words, timed("next"))
    assert words.take().words == (CallerWord("next", 20.0, 20.1),)


def test_words_given_back_keep_their_places_and_come_first() -> None:
    words = CallerWords()
    words.finish_segment(0.0, at(10))
    hear(words, timed("one", confidence=0.5, language="en"))
    taken = words.take()
    assert words.take() == Said()
    words.finish_segment(0.0, at(20))
    hear(words, timed("two", confidence=0.8, language="en"))
    words.restore(taken)
    assert words.take() == Said(
        "one two", (CallerWord("one", 10.0, 10.1), CallerWord("two", 20.0, 20.1)), 0.5, "en"
    )


def test_the_least_sure_part_and_the_language_of_most_of_it_count() -> None:
    words = CallerWords()
    for transcript in (
        timed("si", confidence=0.4, language="es"),
        timed("", confidence=0.1, language="de"),
        timed("where is it", confidence=0.9, language="en"),
        timed("please"),
    ):
        words.finish_segment(0.0, at(10))
        hear(words, transcript)
    said = words.take()
    assert (said.text, said.confidence, said.language) == ("si where is it please", 0.4, "en")


def test_keys_and_interims_have_no_places() -> None:
    words = CallerWords()
    words.finish_segment(0.0, at(10))
    hear(words, timed("it is"))
    keypad = Keypad(Keys(), words)
    for key in "12*345":
        keypad.press(key, None)
    interim(words, "and")
    said = words.take()
    assert said.text == "it is 3 4 5 and"
    assert [word.text for word in said.words] == ["it", "is"]


def test_what_is_discarded_takes_its_places_with_it() -> None:
    words = CallerWords()
    words.finish_segment(0.0, at(10))
    hear(words, timed("mm", confidence=0.2))
    words.discard()
    words.finish_segment(0.0, at(20))
    hear(words, timed("yes", confidence=0.9))
    assert words.take() == Said("yes", (CallerWord("yes", 20.0, 20.1),), 0.9)


def test_a_final_that_was_held_for_lost_and_comes_leaves_no_word_in_a_wrong_place() -> None:
    words = CallerWords()
    words.finish_segment(0.0, at(10))
    words.finish_segment(4.5, at(20))
    hear(words, timed("one"), 5.0)  # taken for that of the second
    hear(words, timed("two"), 5.2)
    words.finish_segment(6.0, at(30))
    hear(words, timed("three"), 6.1)
    assert words.take() == Said("one two three", (CallerWord("three", 30.0, 30.1),))


def test_speech_between_the_lost_final_and_the_end_of_doubt_has_no_places() -> None:
    words = CallerWords()
    words.finish_segment(0.0, at(10))
    words.finish_segment(4.5, at(20))
    hear(words, timed("one"), 5.0)
    words.finish_segment(5.1, at(30))
    hear(words, timed("two"), 5.2)
    hear(words, timed("three"), 5.3)
    assert words.take() == Said("one two three")
    words.finish_segment(6.0, at(40))
    hear(words, timed("four"), 6.1)
    assert words.take().words == (CallerWord("four", 40.0, 40.1),)


def test_a_final_that_never_comes_costs_the_places_of_half_a_minute() -> None:
    words = CallerWords()
    words.finish_segment(0.0, at(10))
    words.finish_segment(4.5, at(20))
    hear(words, timed("two"), 5.0)
    words.finish_segment(29.0, at(30))
    hear(words, timed("three"), 29.1)
    assert words.take() == Said("two three")
    words.finish_segment(31.0, at(40))
    hear(words, timed("four"), 31.1)
    assert words.take().words == (CallerWord("four", 40.0, 40.1),)
