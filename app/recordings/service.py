"""Which calls are recorded, by whom, and what is told of it afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal
from uuid import UUID

import structlog

from app.recordings import flac
from app.recordings.carrier_tape import CarrierTape, CarrierTaped
from app.recordings.keys import FORMAT, key_of
from app.recordings.leftover import Known, complete_left
from app.recordings.ports import CarrierRecordings
from app.recordings.tape import Tape, Taped
from app.recordings.writer import RecordingWriter
from app.voice.events import RecordingFinished
from app.voice.ports import CallRecorder
from app.voice.profile import Recording
from telephony.media.frame import SAMPLE_RATE
from telephony.ports import CallLeg

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RecordingPolicy:
    """What holds for an agent that does not say otherwise."""

    enabled: bool
    by: Literal["trunkline", "carrier"] = "trunkline"


class Recordings:
    """Puts a tape around the legs of calls that are recorded, and reports each recording once it is over."""

    def __init__(
        self,
        policy: RecordingPolicy,
        folder: Path,
        writer: RecordingWriter,
        recorder: CallRecorder,
        known: Known,
        carriers: Mapping[str, CarrierRecordings] | None = None,
    ) -> None:
        """``known``: the calls of the database. ``carriers``: those that can record, by the name that their
        legs give."""
        self._policy = policy
        self._folder = folder
        self._writer = writer
        self._recorder = recorder
        self._known = known
        self._carriers = {} if carriers is None else carriers

    def tape(self, call_id: UUID, leg: CallLeg, settings: Recording) -> Tape | CarrierTape | None:
        """A leg to use in place of this one, which is also the control of its recording. None: not recorded.

        A carrier that cannot record leaves it to Trunkline. To be called on the event loop.
        """
        enabled = self._policy.enabled if settings.enabled is None else settings.enabled
        if not enabled:
            return None
        clock = asyncio.get_running_loop().time
        key = key_of(call_id, datetime.now(UTC))
        carrier = self._carriers.get(leg.info.carrier)
        if (settings.by or self._policy.by) == "carrier" and carrier is not None:
            return CarrierTape(
                leg, carrier, clock, self._report_carriers(call_id, key, leg.info.carrier_call_id)
            )

        def report(taped: Taped) -> None:
            self._recorder.record(_finished(call_id, key, taped))

        return Tape(leg, lambda: self._writer.open(key), clock, report)

    async def complete_left(self) -> None:
        """Complete what killed processes left, and report it. Other processes' recordings are left alone."""
        try:
            async for mended in complete_left(self._folder, self._known):
                taped = Taped("kept", mended.seconds, ())
                self._recorder.record(_finished(mended.call_id, mended.key, taped))
        except Exception:  # the edge of a task beside which calls are answered
            log.exception("recordings that killed processes left could not be looked for")

    def _report_carriers(
        self, call_id: UUID, key: str, carrier_call_id: str
    ) -> Callable[[CarrierTaped], None]:
        def report(taped: CarrierTaped) -> None:
            self._recorder.record(
                _finished(
                    call_id,
                    key,
                    taped.taped,
                    source="carrier",
                    carrier_recording=taped.recording,
                    carrier_call_id=carrier_call_id,
                )
            )

        return report


def _finished(
    call_id: UUID,
    key: str,
    taped: Taped,
    source: str = "trunkline",
    carrier_recording: str = "",
    carrier_call_id: str = "",
) -> RecordingFinished:
    return RecordingFinished(
        call_id=call_id,
        at=datetime.now(UTC),
        key=key,
        format=FORMAT,
        channels=flac.CHANNELS,
        sample_rate=SAMPLE_RATE,
        duration=taped.seconds,
        pauses=taped.pauses,
        state=taped.state,
        shifts=taped.shifts,
        source=source,
        carrier_recording=carrier_recording,
        carrier_call_id=carrier_call_id,
    )
