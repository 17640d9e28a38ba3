"""The queue of the recorder, drawn at random against a plain list: in order, none lost, memory bounded."""

from __future__ import annotations

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from app.calls.writing.backlog import Backlog
from app.calls.writing.rows import Entry
from tests.app.calls.events import noted

EVENT = noted(UUID(int=1))
steps = st.lists(st.tuples(st.sampled_from(["add", "write", "store"]), st.integers(1, 7)), max_size=120)


@given(steps, st.integers(1, 6))
def test_everything_comes_once_and_in_order(drawn: list[tuple[str, int]], most: int) -> None:
    backlog = Backlog(most)
    added = written = stored = 0
    for step, number in [*drawn, ("write", 1), *[("store", 7)] * 200]:
        if step == "add":
            for _ in range(number):
                added += 1
                backlog.let_go(written)
                backlog.add(Entry(added, EVENT))
                assert backlog.in_memory <= most + 7 + (added - written)
        elif step == "write":
            written = added
        else:
            if backlog.to_read:
                after, up_to = backlog.to_read
                assert after == stored
                assert up_to <= written
                end = min(up_to, after + 3)
                backlog.read_back([Entry(found, EVENT) for found in range(after + 1, end + 1)], end)
            batch = backlog.oldest(number)
            assert [entry.number for entry in batch] == list(range(stored + 1, stored + 1 + len(batch)))
            backlog.remove(len(batch))
            stored += len(batch)
        assert len(backlog) == added - stored
    assert stored == added


def test_without_a_spool_all_stays_in_memory() -> None:
    backlog = Backlog()
    for number in range(1, 10_001):
        backlog.add(Entry(number, EVENT))
    assert backlog.in_memory == len(backlog) == 10_000
    assert backlog.to_read is None
