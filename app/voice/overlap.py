"""Speech over the agent: an interruption, or a backchannel, a noise, the agent's own echo? Pure.

Neighbours stop at the first sound (34 % false alarms for voice activity alone) or wait for words (too late).
Here the agent only pauses at the onset, and what follows is judged as it comes: by its words, then by how
long it lasts, and by how much it resembles what the agent itself is saying.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from app.engines.ports import UNCLEAR
from app.voice.language import Language, normalise
from app.voice.profile import Overlap

_HALF_WINDOW = 0.016  # seconds, of the voice activity detector
_ECHOED_WORDS = 3  # so many of the agent's own words in a row are its echo, recognised


class Verdict(StrEnum):
    """What speech over the agent is."""

    INTERRUPTION = "interruption"
    BACKCHANNEL = "backchannel"
    NOISE = "noise"
    ECHO = "echo"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of speech over the agent. Durations in seconds.

    ``spoken``: from the onset to the last speech. ``since``: from the onset to now. ``text``: its words so
    far, ``guess`` with those that may still change; ``final``: no more will come. ``echo``: likeness, 0 to 1,
    of the latest speech to the agent's audio. ``agent_text``: what the agent is saying.
    """

    spoken: float
    since: float
    talking: bool
    text: str = ""
    guess: str = ""
    final: bool = False
    echo: float = 0.0
    agent_text: str = ""


def judge(evidence: Evidence, settings: Overlap, language: Language) -> Verdict | None:
    """The verdict; ``None`` while it is too early to say.

    One that lets the agent go on may be followed by ``INTERRUPTION``, once more is known.
    """
    if evidence.echo >= settings.echo_likeness:
        return Verdict.ECHO
    words, guess = _words(evidence.text), _words(evidence.guess or evidence.text)
    if is_echoed(guess, evidence.agent_text):
        return Verdict.ECHO
    if words and not _is_nothing(words, evidence, settings, language):
        if evidence.spoken >= settings.least_seconds or evidence.final:
            return Verdict.INTERRUPTION
    elif evidence.talking:
        longest = _longest(guess, evidence.agent_text, settings, language)
        if evidence.spoken >= longest - _HALF_WINDOW:  # waiting for the next would add 32 ms to most
            return Verdict.INTERRUPTION
    elif evidence.final:
        return Verdict.BACKCHANNEL if evidence.text else Verdict.NOISE
    return Verdict.BACKCHANNEL if evidence.since >= settings.decide_seconds else None


def _words(text: str) -> str:
    return normalise(text.replace(UNCLEAR, " ")) if text else ""


def _longest(guess: str, agent_text: str, settings: Overlap, language: Language) -> float:
    """Seconds of speech that interrupt, by what it may be."""
    if not guess or language.is_light(guess):
        return settings.wordless_seconds  # a hum is guessed as such a word, too
    if _listens(guess, settings, language):
        return settings.backchannel_seconds
    if _is_within(guess, agent_text):  # one more word tells whether it is the agent's echo
        return settings.backchannel_seconds if " " in guess else settings.wordless_seconds
    return settings.confirm_seconds


def _listens(words: str, settings: Overlap, language: Language) -> bool:
    return language.is_backchannel(words, map(normalise, settings.backchannels))


def _is_nothing(words: str, evidence: Evidence, settings: Overlap, language: Language) -> bool:
    """Whether words leave the floor where it is: backchannels, or a lone "the" that led to nothing."""
    return (evidence.final and language.is_light(words)) or _listens(words, settings, language)


def is_echoed(words: str, agent_text: str) -> bool:
    """Whether normalised words are a stretch of what the agent says."""
    return len(words.split()) >= _ECHOED_WORDS and _is_within(words, agent_text)


def _is_within(words: str, agent_text: str) -> bool:
    return f" {words} " in f" {normalise(agent_text)} "
