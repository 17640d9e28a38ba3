from __future__ import annotations

import pytest

from app.engines.ports import UNCLEAR
from app.engines.stt.judgement import Heard, HeardWord, judge, judge_number


def heard(
    text: str, posterior: float = 0.95, known: bool = True, fit: float = -3.0, frames: int = 25
) -> Heard:
    return Heard(tuple(HeardWord(word, frames, fit * frames, posterior, known) for word in text.split()))


def test_silence_is_no_words() -> None:
    assert judge(Heard()) == ("", 0.0)
    assert judge_number(Heard(), Heard(), 5) == ("", 0.0)


def test_what_is_certain_is_believed_and_numbers_become_figures() -> None:
    text, confidence = judge(heard("where is my parcel one two double three"))
    assert text == "where is my parcel 1 2 3 3"
    assert confidence == pytest.approx(0.95)


@pytest.mark.parametrize("doubtful", [heard("goodbye now then", 0.2), heard("goodbye now then", known=False)])
def test_what_is_not_certain_is_unclear(doubtful: Heard) -> None:
    assert judge(doubtful)[0] == UNCLEAR


def test_noise_drawn_out_into_a_word_is_unclear() -> None:
    assert judge(heard("okay", frames=133))[0] == UNCLEAR
    assert judge(heard("okay", frames=80))[0] == "okay"


def test_a_short_doubtful_sound_is_noise() -> None:
    assert judge(heard("hi", 0.2))[0] == ""


def test_a_number_is_heard_by_the_search_for_it() -> None:
    free = heard("want to three four five", 0.4)
    assert judge_number(free, heard("it is one two three four five"), 5)[0] == "1 2 3 4 5"


def test_a_number_of_the_wrong_length_is_told_as_it_is() -> None:
    assert judge_number(heard("one two three"), heard("one two three"), 5)[0] == "1 2 3"


def test_where_only_one_search_hears_as_many_digits_as_were_asked_for_it_is_right() -> None:
    free = heard("one two three four five")
    assert judge_number(free, heard("one two three four five eight"), 5)[0] == "1 2 3 4 5"


def test_another_subject_is_heard_while_a_number_is_expected() -> None:
    free = heard("sorry what are your opening hours")
    number = heard("six four nine eight one", 0.9, fit=-2.5)
    assert judge_number(free, number, 5)[0] == "sorry what are your opening hours"


def test_other_speech_does_not_become_a_number() -> None:
    free = heard("that again can to you one", 0.3)
    for number in (heard("one two three four five", 0.5), heard("one two three four five", 0.95, fit=-6.0)):
        assert judge_number(free, number, 5)[0] == UNCLEAR


def test_a_few_digits_and_a_certain_number_are_a_number() -> None:
    free = heard("bye calling me to one", 0.3)
    assert judge_number(free, heard("five four three two one"), 5)[0] == "5 4 3 2 1"
