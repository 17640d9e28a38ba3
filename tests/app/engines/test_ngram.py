from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from app.engines.stt.ngram import END, START, NgramCounts

SENTENCES = st.lists(st.lists(st.sampled_from("abcde"), min_size=1, max_size=5), min_size=1, max_size=8)


def read(arpa: str) -> dict[tuple[str, ...], tuple[float, float]]:
    """Words -> probability and back-off weight."""
    found: dict[tuple[str, ...], tuple[float, float]] = {}
    order = 0
    for line in arpa.splitlines():
        if title := re.fullmatch(r"\\(\d)-grams:", line):
            order = int(title[1])
        elif order and line and not line.startswith("\\"):
            parts = line.split()
            back = float(parts[order + 1]) if len(parts) > order + 1 else 0.0
            found[tuple(parts[1 : order + 1])] = (10 ** float(parts[0]), 10**back)
    return found


def probability(
    model: dict[tuple[str, ...], tuple[float, float]], history: tuple[str, ...], word: str
) -> float:
    if (*history, word) in model:
        return model[(*history, word)][0]
    back = model[history][1] if history in model else 1.0
    return back * probability(model, history[1:], word)


@given(SENTENCES)
def test_what_may_follow_any_history_sums_to_one(sentences: list[list[str]]) -> None:
    counts = NgramCounts()
    for sentence in sentences:
        counts.add(sentence)
    model = read(counts.arpa())
    words = [*counts.words(), END]
    histories = [key for key in model if len(key) < 3 and key[-1] != END]
    for history in histories:
        assert 0.98 < sum(probability(model, history, word) for word in words) < 1.02, history


def test_a_sentence_said_is_likelier_than_its_words_in_another_order() -> None:
    counts = NgramCounts()
    counts.add(["where", "is", "my", "parcel"])
    counts.add(["can", "you", "help", "me"])
    counts.add(["thank", "you"])
    model = read(counts.arpa())

    def likelihood(text: str) -> float:
        words, total = [START, *text.split(), END], 1.0
        for index in range(1, len(words)):
            total *= probability(model, tuple(words[max(0, index - 2) : index]), words[index])
        return total

    assert likelihood("where is my parcel") > 20 * likelihood("parcel my is where")
    assert likelihood("thank you") > 2 * likelihood("can you")


def test_counts_are_declared() -> None:
    counts = NgramCounts()
    counts.add(["a", "b"])
    text = counts.arpa()
    assert "ngram 1=4\nngram 2=3\nngram 3=2\n" in text
    assert counts.words() == {"a", "b"}
    assert text.endswith("\\end\\\n")
