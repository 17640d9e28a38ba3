from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.engines.fallback.resume import USUAL_PACE, Pace, guessed_marks, resume_at
from app.engines.ports import WordMark

PHRASE = "Your parcel is out for delivery today."
PACE = 500.0
MARKS = guessed_marks(PHRASE, PACE)


@pytest.mark.parametrize(("made", "rest"), [
    (0, PHRASE),
    (500, PHRASE),  # a quarter of "Your"
    (1500, "parcel is out for delivery today."),  # most of it
    (3000, "parcel is out for delivery today."),
    (5400, "is out for delivery today."),
    (11_600, "delivery today."),
    (14_200, "today."),
    (19_000, ""),
    (99_000, ""),
])  # fmt: skip
@pytest.mark.parametrize("marked", [True, False])
def test_another_voice_goes_on_after_the_last_word_that_was_mostly_said(
    made: int, rest: str, marked: bool
) -> None:
    marks = [mark for mark in MARKS if mark.sample < made] if marked else []
    assert PHRASE[resume_at(PHRASE, made, marks, PACE) :] == rest


def test_a_mark_is_believed_more_than_the_pace() -> None:
    marks = [WordMark(0, 0), WordMark(5, 9000)]  # a slow beginning
    assert PHRASE[resume_at(PHRASE, 9100, marks, PACE) :].startswith("parcel is")
    assert PHRASE[resume_at(PHRASE, 99_000, marks, PACE) :].startswith("is out")


@given(st.text(max_size=40), st.integers(0, 100_000))
def test_it_goes_on_at_the_beginning_of_a_word(phrase: str, made: int) -> None:
    char = resume_at(phrase, made, [], PACE)
    assert char == len(phrase) or (not phrase[char].isspace() and (not char or phrase[char - 1].isspace()))


def test_a_voice_is_known_by_what_it_has_said() -> None:
    pace = Pace()
    assert pace.value == USUAL_PACE
    pace.spoke(3, 9000)  # too little to tell
    pace.spoke(100, 0)
    assert pace.value == USUAL_PACE
    pace.spoke(100, 40_000)
    assert pace.value == 400
    pace.spoke(100, 60_000)
    assert pace.value == pytest.approx(440)
