"""What holds in every call, whether or not its scenario says so; how truly the agent's voice came over."""

from __future__ import annotations

import re
from itertools import pairwise

from telephony.media.frame import SAMPLE_RATE
from telephony.simulator.measure import bursts
from tests.scenarios.caller import ANSWER
from tests.scenarios.engines import SECONDS_A_CHARACTER
from tests.scenarios.scenario import Speak, Stay
from tests.scenarios.took import Took

_BETWEEN_SENTENCES = re.compile(r"(?<=[.!?])\s+")
_PAUSE = 0.03  # seconds; the agent's speech has none so long
_WORD = 0.7  # seconds: the longest word of the scenarios' replies


def broken(took: Took) -> list[str]:
    """Which rules of every call this one broke."""
    return [*took.faults, *_unanswered(took), *_untrue(took), *_unended(took)]


def _unanswered(took: Took) -> list[str]:
    """Once the caller is silent after any words, the agent is heard or the call ends, within deadlines."""
    if took.scenario.voice.silent or took.scenario.voice.fails:
        return []
    found = []
    heard = bursts(took.agent)
    sounds = [done for done in took.done if not isinstance(done.action.deed, Stay)]
    for done, following in pairwise([*sounds, None]):
        if done is None or not isinstance(done.action.deed, Speak):
            continue
        until = done.end + ANSWER
        goes_on = following is not None and following.begin < until
        if goes_on or took.duration < until:
            continue
        if not any(burst.end > done.end and burst.begin < until for burst in heard):
            found.append(f"stuck: nothing was heard within {ANSWER:.0f} s of: {done.action.text}")
    return found


def _untrue(took: Took) -> list[str]:
    """What is stored as heard is what was heard, to within a word for each reply that was cut off."""
    if took.scenario.line.lost_marks or took.scenario.line.stalls:
        return []
    cut = sum(turn.interrupted for turn in took.turns)
    stored = sum(_voiced(turn.heard_text) for turn in took.turns) * SECONDS_A_CHARACTER
    played = sum(_seconds(took, saying.begin, saying.end) for saying in took.sayings)
    allowed = _WORD * cut + 0.15 * len(took.sayings) + 0.1
    if stored - allowed <= played <= stored + _asides(took) * SECONDS_A_CHARACTER + allowed:
        return []
    return [f"{stored:.2f} s of speech are stored as heard, {played:.2f} s were played"]


def _voiced(text: str) -> int:
    """Characters that are spoken: between two sentences there is no pause."""
    return len(_BETWEEN_SENTENCES.sub("", text))


def _asides(took: Took) -> int:
    """Characters of what the agent may have said that is no part of a turn."""
    says = took.scenario.profile.says
    fillers = [says.filler[index % len(says.filler)] for index in range(len(took.notes("filler")))]
    return len(says.acknowledgement) * len(took.notes("acknowledged")) + sum(map(len, fillers))


def _seconds(took: Took, begin: float, end: float) -> float:
    piece = took.agent[round(begin * SAMPLE_RATE) : round(end * SAMPLE_RATE)]
    return sum(burst.end - burst.begin for burst in bursts(piece, pause=_PAUSE))


def _unended(took: Took) -> list[str]:
    return [] if took.ended is not None else ["the end of the call was not stored"]


def lost_and_repeated(took: Took) -> tuple[float, float]:
    """Seconds of the agent's speech that the caller missed, and that came twice.

    Speech that is stored as heard whole has a known length: what was played is longer or shorter.
    """
    meant = sum(
        _voiced(turn.reply_text) * SECONDS_A_CHARACTER
        for turn in took.turns
        if turn.heard_text == turn.reply_text
    )
    played = sum(_seconds(took, saying.begin, saying.end) for saying in took.sayings)
    return max(0.0, meant - played), max(0.0, played - meant)
