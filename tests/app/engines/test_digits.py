from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.engines.digits import UNITS, count_digits, digit_runs, find_number, is_number, spaced


@pytest.mark.parametrize(("text", "runs"), [
    ("", []),
    ("where is my parcel", []),
    ("one two three four five", ["12345"]),
    ("my number is one two, and then three", ["12", "3"]),
    ("one two uh three", ["123"]),
    ("zero oh o", ["000"]),
    ("oh", []),
    ("oh where is it", []),
    ("oh five", ["05"]),
    ("double five triple oh", ["55000"]),
    ("double 5", ["55"]),
    ("double trouble", []),
    ("12 345", ["12345"]),
    ("1-2-3", ["123"]),
    ("twelve thirty four", ["1234"]),
    ("twenty three forty", ["2340"]),
    ("twenty zero", ["200"]),
    ("number 9, please", ["9"]),
])  # fmt: skip
def test_digits_are_found_in_words(text: str, runs: list[str]) -> None:
    assert digit_runs(text) == runs


@pytest.mark.parametrize(("word", "number"), [
    ("5", True), ("five", True), ("oh", True), ("twelve", True), ("forty", True), ("12", True),
    ("double", False), ("of", False), ("", False),
])  # fmt: skip
def test_words_for_numbers_are_known(word: str, number: bool) -> None:
    assert is_number(word) is number


@pytest.mark.parametrize(("text", "number"), [
    ("one two three four five", "12345"),
    ("it is one two three four five thank you", "12345"),
    ("two parcels, one two three four five", "12345"),
    ("oh one two three four five", "12345"),
    ("oh one two three four", "01234"),
    ("one two three, I mean, four five", "12345"),
    ("one two three four five one two three four five", "12345"),
    ("one two three four", None),
    ("one two three four five six", None),
    ("", None),
])  # fmt: skip
def test_a_number_of_five_digits(text: str, number: str | None) -> None:
    assert find_number(text, 5) == number


@given(st.text(alphabet="0123456789", min_size=1, max_size=12))
def test_every_number_said_digit_by_digit_is_found(digits: str) -> None:
    words = {digit: word for word, digit in UNITS.items() if word not in {"o", "oh", "nought"}}
    said = " ".join(words[digit] for digit in digits)
    assert find_number(said, len(digits)) == digits
    assert find_number(spaced(digits), len(digits)) == digits
    assert count_digits(said) == len(digits)


@given(st.text())
def test_any_text_is_taken(text: str) -> None:
    find_number(text, 5)
