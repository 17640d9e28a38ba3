"""How often the end of a turn is seen too early, and how late it is seen, on real speech with pauses."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from statistics import fmean

from app.voice.endpointing import Endpointer
from app.voice.language import normalise
from app.voice.profile import Endpointing
from bench.pauses import LONGEST, SHORTEST, load_utterances, make_trials
from bench.silences import Silence, hear, intonations, recognised
from telephony.media.frame import SAMPLE_RATE
from telephony.simulator.report import milliseconds, table

EVERYDAY = Path(__file__).with_name("everyday.txt")
"""Utterances of callers, one a line, ``|`` where one may pause; only text."""

FIXED = (0.3, 0.45, 0.6, 0.75)
SCALES = (0.6, 0.8, 1.0, 1.2)
_LANGUAGE = "en-US"
_HEADINGS = ("wait", "turns cut off", "pauses cut off", "added wait", "p95", "own pauses cut off")

Wait = Callable[[Silence], float]
"""Seconds that a silence must last."""


@dataclass(slots=True)
class Score:
    """What a way to wait came to: counts, and seconds from the true ends to the decisions."""

    turns: int
    turns_cut: int = 0
    pauses: int = 0
    pauses_cut: int = 0
    own: int = 0
    own_cut: int = 0
    added: list[float] = field(default_factory=list)

    def row(self, name: str) -> tuple[str, ...]:
        """One line of the table."""
        late = sorted(self.added)
        return (
            name,
            f"{self.turns_cut / self.turns:.1%}",
            f"{self.pauses_cut / max(1, self.pauses):.1%}",
            milliseconds(fmean(late)),
            milliseconds(late[len(late) * 95 // 100]),
            f"{self.own_cut} of {self.own}",
        )


def judge(heard: Sequence[Sequence[Silence]], wait: Wait) -> Score:
    """Wait at every silence of every trial; each pause is judged, whatever came of those before it."""
    score = Score(turns=len(heard))
    for silences in heard:
        cut_before = score.pauses_cut
        for silence in silences:
            seconds = wait(silence)
            ends = silence.outlasts(seconds)
            if silence.at_end and ends:
                score.added.append((silence.decided(seconds) - silence.trial.end) / SAMPLE_RATE)
                break
            if silence.put_in:
                score.pauses += 1
                score.pauses_cut += ends
            elif not silence.at_end:
                score.own += 1
                score.own_cut += ends
        score.turns_cut += score.pauses_cut > cut_before
    return score


def by_words(
    settings: Endpointing, words: Callable[[Silence], str], model: Mapping[Silence, float] | None = None
) -> Wait:
    """The product's endpointing with the given words, and with a model's verdicts where there are any."""
    endpointer = Endpointer(settings, _LANGUAGE)
    complete = model or {}
    return lambda silence: endpointer.wait(
        words(silence), expected=silence.trial.utterance.expected, complete=complete.get(silence)
    )


def plain(silence: Silence) -> str:
    """The aligned words as most recognisers give them: without case and punctuation."""
    return normalise(silence.written)


def scaled(factor: float) -> Endpointing:
    """The waits so many times as long."""
    waits = {name: value * factor for name, value in Endpointing() if name.endswith("_seconds")}
    return Endpointing(**waits)


@dataclass(frozen=True, slots=True)
class Written:
    """An utterance without audio, up to each pause, and whole."""

    prefixes: tuple[str, ...]
    whole: str

    @classmethod
    def of(cls, line: str) -> Written:
        """``|`` stands where the caller may pause."""
        parts = [part.strip() for part in line.split("|")]
        said = tuple(" ".join(parts[:count]) for count in range(1, len(parts) + 1))
        return cls(said[:-1], said[-1])


def everyday(endpointer: Endpointer) -> tuple[str, ...]:
    """The row's figures for utterances that are only written: pauses as long as those put in, no detector."""
    utterances = [Written.of(line) for line in EVERYDAY.read_text(encoding="utf-8").splitlines()]
    cut = [[_cut_chance(endpointer.wait(text)) for text in said.prefixes] for said in utterances]
    ends = sorted(endpointer.wait(said.whole) for said in utterances)
    turns_cut = [1.0 - prod(1.0 - chance for chance in chances) for chances in cut if chances]
    return (
        f"{fmean(turns_cut):.1%}",
        f"{fmean(chance for chances in cut for chance in chances):.1%}",
        milliseconds(fmean(ends)),
        milliseconds(ends[len(ends) * 95 // 100]),
    )


def _cut_chance(wait: float) -> float:
    """How likely a pause, of any length between the shortest and the longest, outlasts the wait."""
    return min(1.0, max(0.0, (LONGEST - wait) / (LONGEST - SHORTEST)))


def constant(seconds: float) -> Wait:
    """The same wait always."""
    return lambda _: seconds


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    options = _options(arguments)
    utterances = load_utterances()
    heard = asyncio.run(hear(make_trials(utterances, options.trials, options.seed)))
    model = asyncio.run(intonations(heard, options.smart_turn)) if options.smart_turn else {}
    ways = {f"fixed, {seconds:.2f} s": constant(seconds) for seconds in FIXED}
    ways["words"] = by_words(Endpointing(), plain)
    ways["words with punctuation"] = by_words(Endpointing(), lambda silence: silence.written)
    if model:
        ways["words and Smart Turn"] = by_words(Endpointing(), plain, model)
    if options.recognise:
        texts = recognised(heard, [utterance.text for utterance in utterances])
        ways["words of the embedded recogniser"] = by_words(Endpointing(), lambda silence: texts[silence])
    print(table(_HEADINGS, [judge(heard, wait).row(name) for name, wait in ways.items()]))
    print("\nAll waits so many times as long:\n")
    curve = []
    for scale in SCALES:
        curve.append(judge(heard, by_words(scaled(scale), plain)).row(f"words, {scale:.1f}"))
        if model:
            curve.append(
                judge(heard, by_words(scaled(scale), plain, model)).row(f"and Smart Turn, {scale:.1f}")
            )
    print(table(_HEADINGS, curve))
    print("\nEveryday utterances, by words, without audio:\n")
    rows = [(f"{scale:.1f}", *everyday(Endpointer(scaled(scale), _LANGUAGE))) for scale in SCALES]
    print(table(_HEADINGS[:-1], rows))
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.endpointing", description=__doc__)
    parser.add_argument("--trials", type=int, default=250, help="utterances with pauses put in")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--smart-turn", type=Path, help="path of a Smart Turn v3 model")
    parser.add_argument("--recognise", action="store_true", help="also with the embedded recogniser's words")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
