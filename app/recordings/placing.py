"""Both voices of a call on one line. Pure: ``now`` is an argument, in samples (8 kHz) since the leg began.

What "now" is. The line is the time that passes at our end since the leg began (the event loop's clock), and
not the sum of the caller's audio: a carrier sends nothing while the caller is muted, sends in bursts after
a stall of the network, and hides the loss of a few frames, so that sum falls short, while a recording must
be as long as its call. The caller is placed on it by ``MediaClock``; ``shifts`` is by how much.

So in a good call sample 0 of the recording is sample 0 of the media clock, as the times of transcripts are.

The agent is heard at the carrier after what was queued before it, as long after it was sent as a round trip
takes less the transit. A mark that comes back when nothing is left to play tells the
round trip: the least of the last ``_MARKS`` is taken. One that comes later than expected by more than
``_STALL``, while the caller's audio is in time, shows that the carrier played later: what was not yet proved
heard moves. A ``clear`` takes back what is not heard a round trip from now.

So agent audio is certain only when its time has passed: ``commit`` gives out what lies ``LAG`` back, and
where caller audio is awaited, up to ``HOLD``. That is all that is kept, besides what waits at the carrier
(``MOST_QUEUED``): memory does not grow with the call.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque

from app.recordings.blocks import Block, Piece, Span
from app.recordings.media_clock import EARLY, MediaClock
from app.recordings.shifts import ShiftLog
from app.voice.events import Shifts
from telephony.media.frame import SAMPLE_RATE, Samples

LAG = SAMPLE_RATE
"""Samples that stay back: 1 s, in which the first mark of a reply comes (0.4 s and a round trip)."""

HOLD = 5 * SAMPLE_RATE
"""Samples that stay back at most, where the caller's audio is late: what is later than that is left out."""

STEP = SAMPLE_RATE
"""Samples that make it worth giving out a block."""

MOST_QUEUED = 120 * SAMPLE_RATE
"""Samples of the agent's that may wait to be heard; more is left out of the recording."""

LONGEST_TRIP = SAMPLE_RATE
"""Samples of a round trip that is believed."""

_MARKS = 32  # whose least delay is the round trip
_MOST_MARKS = 256  # outstanding ones, of a carrier that echoes none
_STALL = SAMPLE_RATE * 6 // 100
_IN_TIME = SAMPLE_RATE // 10  # caller audio this recent is flowing


class _AgentQueue:
    """What waits at the carrier, and what was heard and is not committed yet."""

    __slots__ = (
        "_marks",
        "_proved",
        "_run_begins",
        "_run_trip",
        "_trips",
        "most_trip",
        "overflowed",
        "pieces",
        "tail",
        "trip",
    )

    def __init__(self) -> None:
        self.pieces: deque[Piece] = deque()
        self.tail = 0
        self.trip = self.most_trip = 0  # samples of a round trip: as it is, and the longest ever placed with
        self.overflowed = 0
        self._trips: deque[int] = deque(maxlen=_MARKS)
        self._marks: dict[str, tuple[int, int]] = {}  # when it is expected, and would be without a round trip
        self._run_begins = 0  # of the audio that plays without a break
        self._run_trip = 0  # with which it was placed
        self._proved = 0  # heard up to here, as a mark showed

    def play(self, samples: Samples, now: int) -> None:
        if self.tail - now > MOST_QUEUED:
            self.overflowed += len(samples)
            return
        start = now + self.trip
        if start > self.tail:
            self.tail = self._run_begins = start
            self._run_trip = self.trip
            self.most_trip = max(self.most_trip, self.trip)
        self.pieces.append((self.tail, samples))
        self.tail += len(samples)

    def mark(self, name: str, now: int) -> None:
        expected = now + self.trip
        if self.tail > expected:
            self._marks[name] = (self.tail, self.tail - self._run_trip)
        else:
            self._marks[name] = (expected, now)
        if len(self._marks) > _MOST_MARKS:
            del self._marks[next(iter(self._marks))]

    def mark_played(self, name: str, now: int, heard_to: int, committed: int) -> None:
        """``heard_to``: how far the caller's audio that came before the mark reaches, or ``now``."""
        found = self._marks.pop(name, None)
        if found is None:
            return
        expected, without_trip = found
        known = len(self._trips) > 0
        self._trips.append(now - without_trip)
        self.trip = min(max(min(self._trips), 0), LONGEST_TRIP)
        change = self.trip - self._run_trip
        if (change > 0 and not known) or (change < 0 and self._run_begins >= committed):
            if self._move(max(self._run_begins, committed), change, in_trip=True):
                self._run_trip = self.trip
                self.most_trip = max(self.most_trip, self.trip)
        elif known and heard_to - expected > _STALL:
            self._move(max(self._proved, committed), heard_to - expected, in_trip=False)
        self._proved = max(self._proved, min(expected, now))

    def clear(self, now: int) -> None:
        cut = now + self.trip
        while self.pieces and self.pieces[-1][0] >= cut:
            self.pieces.pop()
        if self.pieces:
            start, samples = self.pieces[-1]
            self.pieces[-1] = (start, samples[: cut - start])
        self.tail = min(self.tail, cut)
        self._marks.clear()

    def _move(self, after: int, by: int, *, in_trip: bool) -> bool:
        """What begins at or after a sample is heard so much later; False when there is nothing."""
        moved = deque[Piece]()
        while self.pieces and self.pieces[-1][0] >= after:
            start, samples = self.pieces.pop()
            moved.appendleft((start + by, samples))
        if not moved:
            return False
        self.pieces.extend(moved)
        self.tail += by
        if in_trip:
            self._run_begins = moved[0][0]
        bare = 0 if in_trip else by
        self._marks = {name: (due + by, plain + bare) for name, (due, plain) in self._marks.items()}
        return True


class Placing:
    """One call's recording, as it grows. Times are samples of the line; they never run backwards."""

    def __init__(self) -> None:
        self.committed = 0
        """The line up to here was given out."""
        self.missed = 0
        """Samples of the caller's that came too late to be recorded."""
        self._caller: list[Piece] = []  # on the line, by where they begin
        self._clock = MediaClock()
        self._log = ShiftLog()
        self._caller_end = 0  # on the line
        self._arrived = 0
        self._agent = _AgentQueue()
        self._pauses: list[Span] = []
        self._paused_from: int | None = None

    @property
    def overflowed(self) -> int:
        """Samples of the agent's that were left out, because too much waited to be heard."""
        return self._agent.overflowed

    @property
    def round_trip(self) -> int:
        """Samples from what we send to its echo, as marks tell it."""
        return self._agent.trip

    @property
    def shifts(self) -> Shifts:
        """Where in the recording what lies on the media clock is heard."""
        return self._log.told(self._agent.most_trip)

    def hear(self, at: int, samples: Samples, now: int) -> None:
        """Caller audio arrived, sample ``at`` of the media clock on."""
        shift = self._clock.shift
        moved = self._clock.arrived(at + len(samples), now)
        pieces = self._caller
        if moved and pieces:
            self._log.move_placed(max(pieces[0][0], self.committed), moved)
            self._caller = pieces = [(begin + moved, piece) for begin, piece in pieces]
            self._caller_end += moved
        elif self._clock.shift != shift:
            self._log.move(at, self._clock.shift - shift)
        begin = at + self._clock.shift
        end = begin + len(samples)
        self._arrived = now
        if begin < self.committed:
            self.missed += min(end, self.committed) - begin
            if end <= self.committed:
                return
        if not pieces or begin >= pieces[-1][0]:
            pieces.append((begin, samples))
        else:
            pieces.insert(bisect_right(pieces, begin, key=_begin), (begin, samples))
        self._caller_end = max(self._caller_end, end)

    def play(self, samples: Samples, now: int) -> None:
        """The agent's audio was sent."""
        self._agent.play(samples, now)

    def mark(self, name: str, now: int) -> None:
        """A mark was sent."""
        self._agent.mark(name, now)

    def mark_played(self, name: str, now: int) -> None:
        """A mark came back."""
        flowing = now - self._arrived <= _IN_TIME
        transit = self._clock.transit
        heard_to = min(now, self._caller_end + transit + EARLY) if flowing else now
        self._agent.mark_played(name, now, heard_to, self.committed + transit)

    def clear(self, now: int) -> None:
        """What waits at the carrier was taken back."""
        self._agent.clear(now)

    def pause(self, now: int) -> None:
        """From now on both channels are silent."""
        if self._paused_from is None:
            self._paused_from = now

    def resume(self, now: int) -> None:
        """Record again."""
        if self._paused_from is not None:
            if now > self._paused_from:
                self._pauses.append((self._paused_from, now))
            self._paused_from = None

    @property
    def pauses(self) -> tuple[Span, ...]:
        """The spans that are over, in order."""
        transit = self._clock.transit
        spans = ((max(0, begin - transit), end - transit) for begin, end in self._pauses)
        return tuple(span for span in spans if span[0] < span[1])

    def due(self, now: int) -> bool:
        """Whether ``commit`` is worth calling."""
        return now - self.committed >= LAG + STEP

    def commit(self, now: int) -> Block | None:
        """What is certain and was not given out yet, if it is a ``STEP`` or more."""
        horizon = now - LAG
        if self._caller_end < horizon:
            horizon = max(self._caller_end, now - HOLD)
        if horizon - self.committed < STEP:
            return None
        return self._give_out(horizon)

    def finish(self, now: int) -> Block:
        """The leg is over: all that is left. What was not heard by now never is."""
        self.resume(now + self._clock.transit)
        return self._give_out(max(now, self.committed))

    def _give_out(self, end: int) -> Block:
        begin = self.committed
        caller, done = self._caller[: bisect_left(self._caller, end, key=_begin)], 0
        for start, samples in caller:
            if start + len(samples) > end:
                break
            done += 1
        del self._caller[:done]
        block = Block(begin, end, caller, self._heard(end), self._silent(begin, end))
        self.committed = end
        return block

    def _heard(self, end: int) -> list[Piece]:
        """The agent's pieces that begin before ``end``; those that end by then are let go."""
        pieces, found = self._agent.pieces, []
        transit = self._clock.transit
        while pieces and pieces[0][0] - transit < end:
            start, samples = pieces[0][0] - transit, pieces[0][1]
            found.append((start, samples))
            if start + len(samples) > end:
                break
            pieces.popleft()
        return found

    def _silent(self, begin: int, end: int) -> list[Span]:
        spans = [span for span in self.pauses if span[1] > begin]
        if self._paused_from is not None:
            paused_from = max(0, self._paused_from - self._clock.transit)
            if paused_from < end:
                spans.append((paused_from, end))
        return spans


def _begin(piece: Piece) -> int:
    return piece[0]
