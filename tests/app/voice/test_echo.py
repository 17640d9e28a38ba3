from __future__ import annotations

import numpy as np
import pytest

from app.voice.echo import LONGEST_DELAY, PROBE, EchoMatcher
from telephony.media import g711
from telephony.media.frame import Samples


def voice(seed: int, samples: int = 16000) -> Samples:
    """Something of speech's shape: syllables of a wavering pitch with harmonics, and hiss between them."""
    random = np.random.default_rng(seed)
    pitch = 100 + 80 * random.random() + np.cumsum(random.normal(0, 1.2, samples))
    phase = np.cumsum(2 * np.pi * pitch / 8000)
    harmonics = sum(np.sin(k * phase + 6 * random.random()) / k for k in range(1, 12))
    syllables = np.clip(np.sin(2 * np.pi * (2 + 3 * random.random()) * np.arange(samples) / 8000), 0, 1)
    sound = 5000 * harmonics * syllables + random.normal(0, 900, samples) * (1.1 - syllables)
    return np.asarray(np.clip(sound, -32000, 32000), dtype=np.int16)


def matcher(played: Samples, at: float = 100.0) -> EchoMatcher:
    echo = EchoMatcher()
    for start in range(0, len(played), 800):
        echo.play(played[start : start + 800], at + start / 8000)
    return echo


def on_the_line(samples: np.ndarray, decibels: float, noise: float = 20.0) -> Samples:
    random = np.random.default_rng(0)
    quiet = samples * 10 ** (decibels / 20) + random.normal(0, noise, len(samples))
    return g711.decode(g711.encode(quiet.astype(np.int16)))


@pytest.mark.parametrize("decibels", [-10, -20, -26])
@pytest.mark.parametrize("delay", [40, 800, 2400, 4800])
def test_the_agents_own_audio_is_known_at_any_level_and_delay(decibels: float, delay: int) -> None:
    played = voice(1)
    echo = matcher(played)
    for end in (9000, 11000, 14000):
        heard = on_the_line(played[end - delay - PROBE : end - delay], decibels)
        assert echo.likeness(heard, 100.0 + end / 8000) > 0.7


def test_another_voice_is_not_taken_for_the_agent() -> None:
    echo = matcher(voice(1))
    for seed in range(2, 30):
        other = on_the_line(voice(seed)[3000 : 3000 + PROBE], 0)
        assert echo.likeness(other, 101.5) < 0.6


def test_another_voice_over_the_echo_is_not_taken_for_the_agent() -> None:
    played = voice(1)
    echo = matcher(played)
    mixed = voice(2)[3000 : 3000 + PROBE] + played[9000 - 800 - PROBE : 9000 - 800] * 0.1
    assert echo.likeness(on_the_line(mixed, 0), 100.0 + 9000 / 8000) < 0.6


def test_nothing_resembles_an_agent_that_was_silent() -> None:
    assert EchoMatcher().likeness(voice(2)[:PROBE], 5.0) == 0.0
    assert matcher(voice(1)).likeness(voice(1)[:PROBE], 200.0) == 0.0
    assert matcher(voice(1)).likeness(np.zeros(PROBE, dtype=np.int16), 101.0) == 0.0


def test_what_was_cleared_was_never_played() -> None:
    played = voice(1)
    echo = matcher(played)
    echo.clear(100.5)
    heard = on_the_line(played[12000 - PROBE : 12000], -20)
    assert echo.likeness(heard, 101.6) < 0.6


def test_only_what_can_still_echo_is_kept() -> None:
    echo = EchoMatcher()
    for number in range(1000):
        echo.play(voice(1)[:800], number / 10)
    assert len(echo._played) * 800 < LONGEST_DELAY + 2 * PROBE + 10 * 800 + 8000
