from __future__ import annotations

from app.engines.ports import VoiceActivity
from app.voice.activity import Activity, ActivityGate
from app.voice.profile import TurnTaking

WINDOW = 256


def run(probabilities: list[float], **timing: float) -> tuple[ActivityGate, list[tuple[int, Activity]]]:
    gate = ActivityGate(TurnTaking.model_validate(timing))
    found = []
    for number, probability in enumerate(probabilities, 1):
        change = gate.update(VoiceActivity(probability, number * WINDOW))
        if change is not None:
            found.append((number, change))
    return gate, found


def test_speech_begins_where_its_first_window_began_and_ends_after_the_pause() -> None:
    gate, found = run([0, 0, 0.9, 0.9, 0, 0, 0, 0, 0], pause_seconds=0.12, barge_in_seconds=0.3)
    assert found == [(3, Activity.STARTED), (8, Activity.STOPPED)]
    assert gate.onset == 2 * WINDOW
    assert gate.last_speech == 4 * WINDOW


def test_a_short_gap_does_not_end_speech() -> None:
    _, found = run([0.9, 0, 0, 0.9, 0.9, 0.1], pause_seconds=0.12, barge_in_seconds=5)
    assert found == [(1, Activity.STARTED)]


def test_speech_is_sustained_once_after_the_barge_in_time() -> None:
    _, found = run([0.9] * 30, pause_seconds=0.12, barge_in_seconds=0.2)
    assert found == [(1, Activity.STARTED), (6, Activity.SUSTAINED)]  # 192 ms, the window nearest to 200


def test_a_backchannel_is_never_sustained() -> None:
    _, found = run([0.9] * 6 + [0.0] * 6, pause_seconds=0.12, barge_in_seconds=0.3)
    assert Activity.SUSTAINED not in [change for _, change in found]
