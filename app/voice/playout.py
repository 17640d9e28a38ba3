"""The ledger of one reply: what was sent, what the caller has heard of it, how far ahead we are.

Pure; time is an argument, in seconds of one monotonic clock. The carrier plays at real time from when
the first audio reaches it. Our clock starts at the first send, which makes the estimate right for the
moment at which a ``clear`` sent now arrives: both travel the same way. Marks correct it: one that comes
later than the quickest seen by more than ``_STALL`` shows that the carrier played later than we thought.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

from app.engines.ports import WordMark
from telephony.media.frame import SAMPLE_RATE

MARK_EVERY = SAMPLE_RATE * 4 // 10
"""Samples between marks: 0.4 s of speech."""

_STALL = 0.06
_SECONDS_PER_CHARACTER = 0.06  # of a phrase whose audio is not complete, in an engine without word times


@dataclass(slots=True)
class _Phrase:
    start_char: int  # of the reply's text
    text: str
    start: int  # sample of the reply's audio
    end: int | None = None  # known once its audio is complete
    words: list[WordMark] = field(default_factory=list)

    def heard_chars(self, heard: int) -> int:
        """Characters heard once ``heard`` samples of the reply were played; a word counts from its half."""
        if self.end is not None and heard >= self.end:
            return len(self.text)
        samples = heard - self.start
        return self._by_words(samples) if self.words else self._by_length(samples)

    def _by_words(self, samples: int) -> int:
        index = bisect_right([word.sample for word in self.words], samples) - 1
        if index < 0:
            return 0
        word = self.words[index]
        end_char, end_sample = self._word_end(index)
        half = word.sample + (end_sample - word.sample) / 2
        return end_char if samples >= half else word.char

    def _word_end(self, index: int) -> tuple[int, float]:
        """Where the next word begins; of the last one known, while more may come, by its length."""
        if index + 1 < len(self.words):
            return self.words[index + 1].char, self.words[index + 1].sample
        if self.end is not None:
            return len(self.text), self.end - self.start
        word = self.words[index]
        space = self.text.find(" ", word.char)
        end_char = len(self.text) if space < 0 else space + 1
        return end_char, word.sample + _SECONDS_PER_CHARACTER * SAMPLE_RATE * (end_char - word.char)

    def _by_length(self, samples: int) -> int:
        estimate = _SECONDS_PER_CHARACTER * SAMPLE_RATE * len(self.text)
        total = estimate if self.end is None else self.end - self.start
        reached = int(len(self.text) * min(1.0, samples / max(1.0, total)))
        space = self.text.rfind(" ", 0, reached + 1)
        return space + 1 if space >= 0 else 0


class Playout:
    """One reply's audio. Samples are counted from the reply's first."""

    def __init__(self, reply_id: int, round_trip: float | None = None) -> None:
        self.reply_id = reply_id
        self.sent = 0
        self.acknowledged = 0  # samples that a mark proved heard
        self.round_trip = round_trip  # quickest mark so far, seconds; carried from reply to reply
        self._phrases: list[_Phrase] = []
        self._marks: dict[str, int] = {}
        self._last_mark = 0
        self._next_mark = 1
        self._started: float | None = None  # when sample 0 began to play, had there been no gap
        self._began = 0.0  # when it did
        self._ended_by_clear: int | None = None

    # Sending

    def begin_phrase(self, start_char: int, text: str, start: int) -> None:
        """The audio from sample ``start`` speaks ``text``, character ``start_char`` of the reply on."""
        self._phrases.append(_Phrase(start_char, text, start))

    def add_words(self, words: tuple[WordMark, ...]) -> None:
        """Words of the current phrase, their samples counted from the phrase's first."""
        self._phrases[-1].words.extend(words)

    def end_phrase(self, end: int) -> None:
        """The current phrase's audio is complete, up to sample ``end``."""
        self._phrases[-1].end = end

    def add_sent(self, samples: int, now: float) -> None:
        """Audio was handed to the carrier. After the carrier ran dry, playing starts anew."""
        if self._started is None or self.lead(now) <= 0:
            self._started = now - self.sent / SAMPLE_RATE
            if not self.sent:
                self._began = now
        self.sent += samples

    def lead(self, now: float) -> float:
        """Seconds of sent audio that the caller has not heard."""
        return (self.sent - self.heard(now)) / SAMPLE_RATE

    def ends_at(self, now: float) -> float:
        """When all that was sent will have been heard."""
        return now + self.lead(now)

    # Marks

    def mark_due(self) -> bool:
        """Enough audio was sent since the last mark."""
        return self.sent - self._last_mark >= MARK_EVERY

    @property
    def unmarked(self) -> bool:
        """Some of what was sent has no mark after it."""
        return self.sent > self._last_mark

    def new_mark(self) -> str:
        """The name of a mark at the end of what was sent: the reply's id and a number."""
        name = f"{self.reply_id}.{self._next_mark}"
        self._next_mark += 1
        self._last_mark = self._marks[name] = self.sent
        return name

    def mark_played(self, name: str, now: float) -> bool:
        """The carrier echoed a mark. False for one that is not this reply's, or is known already."""
        position = self._marks.pop(name, None)
        if position is None or self._started is None:
            return False
        self.acknowledged = max(self.acknowledged, position)
        late = now - (self._started + position / SAMPLE_RATE)
        if self.round_trip is None or late < self.round_trip:
            self.round_trip = max(0.0, late)
        if late - self.round_trip > _STALL:
            self._started += late - self.round_trip
        return True

    @property
    def all_heard(self) -> bool:
        """A mark proved that all that was sent was played, and no mark is outstanding."""
        return self.acknowledged >= self.sent and not self._marks

    # Hearing

    def heard(self, now: float) -> int:
        """Samples that the caller has heard, were a ``clear`` sent now."""
        if self._ended_by_clear is not None:
            return self._ended_by_clear
        if self._started is None:
            return 0
        played = round((now - self._started) * SAMPLE_RATE)
        return max(self.acknowledged, min(self.sent, max(0, played)))

    def heard_from(self) -> float | None:
        """When the caller began to hear it, in seconds of the clock; ``None``: nothing was sent."""
        return None if self._started is None else self._began

    def heard_until(self, now: float) -> float | None:
        """When the caller heard the last of what was heard."""
        return None if self._started is None else self._started + self.heard(now) / SAMPLE_RATE

    def clear(self, now: float) -> None:
        """A ``clear`` is being sent: the rest will never be heard, and marks that come back prove nothing."""
        self._ended_by_clear = self.heard(now)
        self._marks.clear()

    def heard_chars(self, now: float) -> int:
        """How many characters of the reply's text the caller has heard."""
        heard, reached = self.heard(now), 0
        for phrase in self._phrases:
            if heard <= phrase.start:
                break
            reached = phrase.start_char + phrase.heard_chars(heard)
        return reached
