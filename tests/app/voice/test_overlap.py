from __future__ import annotations

from typing import Any

import pytest

from app.engines.ports import UNCLEAR
from app.voice.language import language_of
from app.voice.overlap import Evidence, Verdict, is_echoed, judge
from app.voice.profile import Overlap

SETTINGS = Overlap()
ENGLISH = language_of("en-US")


def verdict(
    spoken: float, *, since: float | None = None, talking: bool = True, **more: Any
) -> Verdict | None:
    passed = spoken if since is None else since
    return judge(Evidence(spoken, passed, talking, **more), SETTINGS, ENGLISH)


@pytest.mark.parametrize("words", ["mm-hmm", "Yeah, yeah.", "okay", "I see", "uh huh right"])
def test_a_listeners_sounds_are_backchannels(words: str) -> None:
    assert verdict(0.3, since=0.45, talking=False, text=words, final=True) is Verdict.BACKCHANNEL


@pytest.mark.parametrize("words", ["stop", "wait a moment", "no that is wrong", "yeah but my number is"])
def test_other_words_are_an_interruption(words: str) -> None:
    assert verdict(0.3, text=words) is Verdict.INTERRUPTION
    assert verdict(0.1, talking=False, text=words, final=True) is Verdict.INTERRUPTION


def test_one_interim_is_not_enough_for_very_short_speech() -> None:
    assert verdict(0.1, text="stop") is None


def test_speech_that_lasts_interrupts_without_a_word() -> None:
    assert verdict(SETTINGS.confirm_seconds) is None
    assert verdict(SETTINGS.wordless_seconds) is Verdict.INTERRUPTION


def test_a_word_that_may_still_change_shortens_the_wait() -> None:
    assert verdict(SETTINGS.confirm_seconds, guess="where") is Verdict.INTERRUPTION
    assert verdict(SETTINGS.confirm_seconds, guess="yeah") is None


def test_a_beginning_that_led_to_nothing_is_no_interruption() -> None:
    assert verdict(0.3, talking=False, text="the", final=True) is Verdict.BACKCHANNEL
    assert verdict(0.3, text="the") is Verdict.INTERRUPTION


def test_a_listener_may_hum_for_longer_but_not_for_ever() -> None:
    assert verdict(0.48, text="mm-hmm") is None
    assert verdict(0.6, text="yeah yeah") is Verdict.BACKCHANNEL
    assert verdict(SETTINGS.backchannel_seconds, text="yeah yeah yeah") is Verdict.INTERRUPTION


def test_a_short_sound_lets_the_agent_go_on_even_while_its_final_is_missing() -> None:
    assert verdict(0.2, since=0.3, talking=False) is None
    assert verdict(0.2, since=0.5, talking=False) is Verdict.BACKCHANNEL


def test_a_sound_without_words_is_noise() -> None:
    assert verdict(0.2, since=0.4, talking=False, final=True) is Verdict.NOISE
    assert verdict(0.2, since=0.4, talking=False, final=True, text=UNCLEAR) is Verdict.BACKCHANNEL


def test_what_sounds_like_the_agent_is_its_echo_however_long() -> None:
    assert verdict(2.0, echo=0.8, text="where is it") is Verdict.ECHO


def test_the_agents_own_words_are_its_echo_but_two_of_them_may_be_a_question() -> None:
    says = "Your parcel is out for delivery and will be with you today."
    assert verdict(0.5, text="out for delivery", agent_text=says) is Verdict.ECHO
    assert verdict(0.5, text="for delivery", agent_text=says) is Verdict.INTERRUPTION
    assert is_echoed("will be with you", "and will be with you today")
    assert not is_echoed("be will with you", "and will be with you today")


def test_an_agent_may_know_backchannels_of_its_own() -> None:
    settings = Overlap(backchannels=("Gotcha, boss",))
    evidence = Evidence(0.3, 0.4, False, "gotcha boss", final=True)
    assert judge(evidence, settings, ENGLISH) is Verdict.BACKCHANNEL
    assert judge(evidence, SETTINGS, ENGLISH) is Verdict.INTERRUPTION
