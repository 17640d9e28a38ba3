from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.engines.llm.matching import best_match, normalise
from app.engines.llm.script import Intent

INTENTS = {
    "track": Intent(phrases=("where is my parcel", "track my parcel", "parcel"), say="x"),
    "hours": Intent(phrases=("what are your opening hours", "when are you open", "opening hours"), say="x"),
    "person": Intent(phrases=("speak to a person", "operator"), say="x"),
    "thanks": Intent(phrases=("thank you", "thanks"), say="x"),
    "goodbye": Intent(phrases=("goodbye", "no that is all"), say="x"),
}


@pytest.mark.parametrize(("text", "intent"), [
    ("where is my parcel", "track"),
    ("Where's the parcel?", "track"),
    ("hello um where is my my parcel please", "track"),
    ("where are my parcels", "track"),
    ("where is my parsel", "track"),
    ("what are your opening hours", "hours"),
    ("your opening hour", "hours"),
    ("when do you open", "hours"),
    ("I'd like to speak with a person about my parcel", "person"),
    ("operater", "person"),
    ("thanks, goodbye", "goodbye"),
    ("goodbye and thank you", "thanks"),
    ("no that's all", "goodbye"),
    ("", None),
    ("the weather is nice today", None),
    ("ten of clubs", None),
    ("is it that you are to be", None),
])  # fmt: skip
def test_the_best_intent(text: str, intent: str | None) -> None:
    match = best_match(text, INTENTS)
    assert (match.intent if match else None) == intent


def test_words_are_made_plain() -> None:
    plain = "ou est mon cafe i can not i will not i am"
    assert " ".join(normalise("Où est mon Café? I can’t, I won't, I'm")) == plain


@given(st.text(max_size=80))
def test_any_text_is_taken(text: str) -> None:
    best_match(text, INTENTS)
