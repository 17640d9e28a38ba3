"""What callers say of themselves is found, and what only sounds like it is not."""

from __future__ import annotations

import pytest

from tests.app.privacy.marked import BAR, Score, load, score

HALVES = ("development", "held_out")
SETS = (*HALVES, "fresh", "unseen")


@pytest.fixture(scope="module")
def scores() -> dict[str, Score]:
    return {name: score(load(name)) for name in SETS}


@pytest.mark.parametrize("name", SETS)
def test_each_set_is_found_and_little_else(scores: dict[str, Score], name: str) -> None:
    found = scores[name]
    shown = "\n".join([str(found), *found.missed, *found.wrong])
    assert found.recall(BAR) >= 0.97, shown
    assert found.recall() >= 0.95, shown
    assert found.precision >= 0.90, shown
    assert found.named / found.covered.total() >= 0.95, shown


def test_all_sentences_together(scores: dict[str, Score]) -> None:
    found = Score()
    for one in scores.values():
        found = found.add(one)
    assert found.recall(BAR) >= 0.97
    assert found.recall() >= 0.97
    assert found.precision >= 0.90


def test_there_are_enough_sentences_of_every_kind() -> None:
    for name in HALVES:
        conversations = load(name)
        plain = sum(not one.marked for one in conversations)
        assert len(conversations) >= 300
        assert plain / len(conversations) >= 0.4
    everything = score([one for name in HALVES for one in load(name)])
    assert all(everything.marked[kind] >= 40 for kind in BAR), everything
