from __future__ import annotations

from app.voice.activity import Activity, ActivityGate

WINDOW = 256


def run(windows: str) -> tuple[ActivityGate, list[tuple[int, Activity]]]:
    """Windows with speech (``#``) and without."""
    gate = ActivityGate(pause_seconds=0.12)
    found = []
    for number, window in enumerate(windows, 1):
        change = gate.update(number * WINDOW, speech=window == "#")
        if change is not None:
            found.append((number, change))
    return gate, found


def test_speech_begins_where_its_first_window_began_and_ends_after_the_pause() -> None:
    gate, found = run("..##.....")
    assert found == [(3, Activity.STARTED), (8, Activity.STOPPED)]
    assert gate.onset == 2 * WINDOW
    assert gate.last_speech == 4 * WINDOW


def test_a_short_gap_does_not_end_speech() -> None:
    _, found = run("#..##.")
    assert found == [(1, Activity.STARTED)]
