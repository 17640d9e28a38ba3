from __future__ import annotations

import pytest

from app.engines.tts.spoken_words import SpokenWords


@pytest.mark.parametrize(("phrase", "words", "found"), [
    ("Hello, world.", ["Hello", "world"], [0, 7]),
    ("the cat and the dog", ["the", "cat", "and", "the", "dog"], [0, 4, 8, 12, 16]),
    ("Café — it’s “open” now", ["Café", "it's", "open", "now"], [0, 7, 13, 19]),
    ("$1,000 & 5 > 3", ["$1,000", "&", "5", "3"], [0, None, 9, 13]),
    ("out-for-delivery today", ["out", "for", "delivery", "today"], [0, 4, 8, 17]),
    ("We say: OK!", ["we", "SAY", "ok"], [0, 3, 8]),
    ("北京欢迎你", ["北京", "欢迎", "你"], [0, 2, 4]),
    ("Straße İstanbul ende", ["straße", "İstanbul", "ende"], [0, 7, 16]),
    ("it is 5 pm in a park", ["it", "is", "five", "pm", "in", "a", "park"], [0, 3, None, 8, 11, 14, 16]),
    ("a parcel for a person", ["parcel", "a", "person"], [2, 13, 15]),
    ("one two three four five six seven eight", ["eight", "one"], [None, 0]),
    ("Dr. Who", ["Doctor", "Who"], [None, 4]),
    ("", ["x"], [None]),
    ("x", ["", " ", "x", "x"], [None, None, 0, None]),
])  # fmt: skip
def test_words_are_found_in_order(phrase: str, words: list[str], found: list[int | None]) -> None:
    places = SpokenWords(phrase)
    assert [places.find(word) for word in words] == found
