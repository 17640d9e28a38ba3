"""Personal data is taken out of a call's words, its notes and the sound of it, whoever recorded it."""

from __future__ import annotations

import wave
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import numpy.typing as npt
import pytest
from sqlalchemy import text

from app.calls.control import Command
from app.db.session import Database
from app.outbox.repository import owe
from app.postcall.plan import FINALISE, INDEX, NOTIFY, REDACT, STATISTICS, SUMMARY
from app.recordings import flac
from app.recordings.blocks import AGENT, CALLER
from app.recordings.keys import key_of
from app.tasks.post_call import work_after
from app.tasks.tools import Tools
from app.voice.after_call import AfterCall
from app.voice.events import WORDS_IN_NOTES, Backchannel, CallerWord, RecordingFinished, Shifts, TurnCompleted
from app.voice.profile import AgentProfile
from tests.app.calls.events import ended, noted, started, turn
from tests.app.tasks.conftest import Stored, make_agent, states
from tests.fakes.carrier_recordings import FakeCarrierRecordings

NOW = datetime.now(UTC).replace(microsecond=0)
BEGAN = NOW - timedelta(seconds=40)
SECONDS = 40
CARD = ["four", *["one"] * 15]
SAID = f"my card number is {' '.join(CARD)}"
FIRST, STEP = 12.0, 0.3  # of the number's words, on the media clock
LAST = FIRST + STEP * len(CARD)
NOTHING: Shifts = (((0.0, 0.0, 0.0),), ((0.0, 0.0, 0.0),))


@pytest.fixture(autouse=True)
async def agent(database: Database, store: Stored) -> None:
    await make_agent(database, AgentProfile(name="parcel", after=AfterCall(redact=True)))


async def row(database: Database, statement: str, **values: Any) -> Any:
    async with database.transaction() as session:
        return (await session.execute(text(statement), values)).one()


async def result(database: Database, step: str) -> Any:
    return (await row(database, "SELECT result FROM call_steps WHERE step = :step", step=step)).result


async def again(database: Database, call_id: UUID, tools: Tools) -> None:
    """Do all steps once more."""
    async with database.transaction() as session:
        await session.execute(text("UPDATE call_steps SET state = 'waiting', attempts = 0, due_at = now()"))
        await owe(session, [call_id])
    await work_after(call_id, tools)


def said(call_id: UUID, *, words: bool = True) -> TurnCompleted:
    """A card's number, each word of it at a known time."""
    spoken = tuple(CallerWord(word, FIRST + STEP * n, FIRST + STEP * n + 0.25) for n, word in enumerate(CARD))
    one = turn(call_id, at=NOW, text=SAID)
    return replace(
        one,
        caller_words=spoken if words else (),
        caller_started=FIRST - 1,
        caller_ended=LAST,
        backchannels=(),
    )


# The sound


def tones(at: dict[tuple[int, float], float]) -> npt.NDArray[np.int16]:
    """Both channels; from a channel's second on, so many seconds of sound."""
    audio = np.zeros((SECONDS * 8000, 2), np.int16)
    for (channel, begin), seconds in at.items():
        first, count = round(begin * 8000), round(seconds * 8000)
        audio[first : first + count, channel] = 8000
    return audio


def loud(audio: npt.NDArray[np.int16], channel: int, begin: float, end: float) -> float:
    """Which share of these seconds is not silent."""
    return float((audio[round(begin * 8000) : round(end * 8000), channel] != 0).mean())


def write_wav(path: Path, audio: npt.NDArray[np.int16]) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(audio.tobytes())
    return path


@dataclass(frozen=True)
class Recorded:
    """Who recorded; how much later (or, below 0, earlier) than on the media clock the number is heard."""

    source: str
    shifts: Shifts | None
    later: float


def both(*shifts: tuple[float, float, float]) -> Shifts:
    return shifts, shifts


CASES = {
    "ours, in step": Recorded("trunkline", NOTHING, 0.0),
    "ours, lost unseen": Recorded("trunkline", both((0.0, 0.0, 0.0), (5.0, 0.54, 0.54)), 0.54),
    "ours, muted before": Recorded("trunkline", both((0.0, 0.0, 0.0), (5.0, 5.0, 5.0)), 5.0),
    "ours, muted after": Recorded("trunkline", both((0.0, 0.0, 0.0), (25.0, 5.0, 5.0)), 0.0),
    "the carrier's, from the beginning": Recorded("carrier", both((0.0, -0.3, 0.0)), -0.2),
    "the carrier's, after a consent": Recorded("carrier", both((0.0, -6.3, -6.0)), -6.1),
    "the carrier's, and muted": Recorded("carrier", both((0.0, -6.2, -6.0), (5.0, -1.2, -1.0)), -1.1),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_the_seconds_of_the_number_are_silent_and_its_neighbours_are_not(
    database: Database, store: Stored, tools: Tools, tmp_path: Path, case: Recorded
) -> None:
    begun = started(at=BEGAN)
    call_id, key = begun.call_id, key_of(begun.call_id, BEGAN)
    first, last = FIRST + case.later, LAST + case.later
    audio = tones({(CALLER, first - 3): last - first + 6, (AGENT, first - 3): last - first + 6})
    path = tools.places.folder / key
    if case.source == "carrier":
        tools.places = replace(
            tools.places, carrier=FakeCarrierRecordings(write_wav(tmp_path / "theirs.wav", audio))
        )
    else:
        path.parent.mkdir(parents=True)
        flac.rewrite(path, iter(np.split(audio, SECONDS)))
    taped = RecordingFinished(
        call_id, NOW, key, "flac", 2, 8000, float(SECONDS), (), "kept", case.source, shifts=case.shifts
    )
    over = replace(ended(call_id, at=NOW), duration=float(SECONDS))
    await store(begun, said(call_id), taped, over)
    before = path.stat().st_size if path.exists() else 0
    await work_after(call_id, tools)

    assert (await states(database, call_id))[REDACT] == "done"
    sound = np.concatenate(list(flac.blocks(path)))
    assert len(sound) == SECONDS * 8000
    assert loud(sound, CALLER, first, last) == 0.0
    assert loud(sound, CALLER, first - 3, first - 0.6) == 1.0
    assert loud(sound, CALLER, last + 0.6, last + 3) == 1.0
    # Whose channel is whose is the carrier's: there both are silent.
    assert loud(sound, AGENT, first, last) == (0.0 if case.source == "carrier" else 1.0)
    assert loud(sound, AGENT, first - 3, first - 0.6) == 1.0
    kept = await row(database, "SELECT * FROM recordings")
    assert (kept.redacted, kept.source, kept.size_bytes) == (True, case.source, path.stat().st_size)
    assert kept.size_bytes != before
    assert (await result(database, FINALISE))["size_bytes"] == kept.size_bytes
    assert (await result(database, REDACT))["found"] == {"card number": 1}


@pytest.mark.parametrize("source", ["trunkline", "carrier"])
async def test_where_the_clock_is_not_known_all_of_the_channel_is_silent(
    database: Database, store: Stored, tools: Tools, tmp_path: Path, source: str
) -> None:
    begun = started(at=BEGAN)
    key = key_of(begun.call_id, BEGAN)
    audio = tones({(CALLER, 0): SECONDS, (AGENT, 0): SECONDS})
    path = tools.places.folder / key
    path.parent.mkdir(parents=True)
    if source == "carrier":
        tools.places = replace(
            tools.places, carrier=FakeCarrierRecordings(write_wav(tmp_path / "a.wav", audio))
        )
    else:
        flac.rewrite(path, iter(np.split(audio, SECONDS)))
    taped = RecordingFinished(begun.call_id, NOW, key, "flac", 2, 8000, float(SECONDS), (), "kept", source)
    await store(begun, said(begun.call_id), taped, replace(ended(begun.call_id, at=NOW), duration=40.0))
    await work_after(begun.call_id, tools)
    sound = np.concatenate(list(flac.blocks(path)))
    assert loud(sound, CALLER, 0, SECONDS) == 0.0
    assert loud(sound, AGENT, 0, SECONDS) == (0.0 if source == "carrier" else 1.0)
    assert (await row(database, "SELECT redacted FROM recordings")).redacted


async def test_words_without_a_time_take_the_sound_between_the_turns_with_them(
    database: Database, store: Stored, tools: Tools
) -> None:
    """Redacted is said of a recording only when all that was found is silent."""
    begun = started(at=BEGAN)
    key = key_of(begun.call_id, BEGAN)
    path = tools.places.folder / key
    path.parent.mkdir(parents=True)
    flac.rewrite(path, iter(np.split(tones({(CALLER, 0): SECONDS, (AGENT, 0): SECONDS}), SECONDS)))
    untimed = replace(said(begun.call_id, words=False), caller_started=None, caller_ended=None)
    before = replace(turn(begun.call_id, 0, at=NOW, text="hello"), caller_started=8.0, caller_ended=9.0)
    after = replace(turn(begun.call_id, 2, at=NOW, text="yes"), caller_started=30.0, caller_ended=31.0)
    taped = RecordingFinished(
        begun.call_id, NOW, key, "flac", 2, 8000, float(SECONDS), (), "kept", shifts=NOTHING
    )
    over = replace(ended(begun.call_id, at=NOW), duration=float(SECONDS))
    await store(begun, before, replace(untimed, index=1), after, taped, over)
    await work_after(begun.call_id, tools)
    sound = np.concatenate(list(flac.blocks(path)))
    assert loud(sound, CALLER, 8, 30) == 0.0
    assert loud(sound, CALLER, 0, 7.8) == loud(sound, CALLER, 30.2, SECONDS) == 1.0
    assert loud(sound, AGENT, 0, SECONDS) == 1.0
    assert (await row(database, "SELECT redacted FROM recordings")).redacted

    # The words say it no more; a recording that comes again is made silent again, to its end too.
    await again(database, begun.call_id, tools)
    assert np.array_equal(np.concatenate(list(flac.blocks(path))), sound)


async def test_a_recording_that_is_gone_is_not_said_to_be_redacted(
    database: Database, store: Stored, tools: Tools
) -> None:
    begun = started(at=BEGAN)
    key = key_of(begun.call_id, BEGAN)
    path = tools.places.folder / key
    path.parent.mkdir(parents=True)
    flac.rewrite(path, iter(np.split(tones({}), SECONDS)))
    taped = RecordingFinished(begun.call_id, NOW, key, "flac", 2, 8000, 40.0, (), "kept", shifts=NOTHING)
    await store(begun, said(begun.call_id), taped, replace(ended(begun.call_id, at=NOW), duration=40.0))
    await work_after(begun.call_id, tools)
    path.unlink()
    async with database.transaction() as session:
        await session.execute(text("UPDATE recordings SET redacted = false"))
        await session.execute(text("UPDATE call_steps SET state = 'waiting' WHERE step = 'redact'"))
        await owe(session, [begun.call_id])
    await work_after(begun.call_id, tools)
    assert (await states(database, begun.call_id))[REDACT] == "done"
    assert not (await row(database, "SELECT redacted FROM recordings")).redacted


# The words


@pytest.mark.parametrize("carrier", ["sip", "twilio"])
@pytest.mark.parametrize("stored", ["gone", "of another version"])
async def test_what_nobody_can_say_is_to_be_kept_goes_nowhere(
    database: Database, store: Stored, tools: Tools, stored: str, carrier: str
) -> None:
    """The agent's profile asked for redaction, and cannot be read. Nor does it say who recorded the call."""
    begun = replace(started(at=BEGAN), carrier=carrier)
    await store(begun, said(begun.call_id), ended(begun.call_id, at=NOW))
    change = {
        "gone": "DELETE FROM agent_versions",
        "of another version": "UPDATE agent_versions SET profile = '{}'",
    }
    async with database.transaction() as session:
        await session.execute(text(change[stored]))
    await work_after(begun.call_id, tools)
    found = await states(database, begun.call_id)
    assert {found[step] for step in (REDACT, INDEX, SUMMARY, NOTIFY)} == {"waiting"}
    assert found[STATISTICS] == "done"
    assert (await row(database, "SELECT count(*) FROM call_texts"))[0] == 0
    assert found[FINALISE] == ("waiting" if carrier == "twilio" else "skipped")
    failed = FINALISE if carrier == "twilio" else REDACT
    error = (await row(database, "SELECT error FROM call_steps WHERE step = :step", step=failed)).error
    assert "version 1 of agent 'parcel', cannot be read" in error
    assert "start the step again" in error
    await make_agent(database, AgentProfile(name="parcel", after=AfterCall(redact=True)))
    await again(database, begun.call_id, tools)
    assert set((await states(database, begun.call_id)).values()) == {"done", "skipped"}


async def test_turns_of_a_clock_that_was_set_back_are_redacted_too(
    database: Database, store: Stored, tools: Tools
) -> None:
    begun = started(at=BEGAN)
    early = BEGAN - timedelta(minutes=50)
    keyed = replace(noted(begun.call_id, "dtmf", at=early), detail={"digit": "7"})
    await store(begun, replace(said(begun.call_id), at=early), keyed, ended(begun.call_id, at=NOW))
    await work_after(begun.call_id, tools)
    assert (await row(database, "SELECT caller_text FROM turns")).caller_text.endswith("[card number]")
    assert (await row(database, "SELECT detail FROM call_events")).detail == {"digit": "*"}


@pytest.mark.parametrize("regions", [(), ("DE",)])
async def test_numbers_of_the_regions_of_the_settings_are_known(
    database: Database, store: Stored, tools: Tools, regions: tuple[str, ...]
) -> None:
    tools.settings.privacy = tools.settings.privacy.model_copy(update={"regions": regions})
    begun = replace(started(at=BEGAN), language="xx")  # of which no words are known
    spoken = replace(turn(begun.call_id, at=NOW, text="ring 030 901820 then"), caller_language=None)
    await store(begun, spoken, ended(begun.call_id, at=NOW))
    await work_after(begun.call_id, tools)
    said = (await row(database, "SELECT caller_text FROM turns")).caller_text
    assert said == ("ring [phone number] then" if regions else "ring 030 901820 then")


@pytest.mark.parametrize("name", [*WORDS_IN_NOTES, "barge_in"])
async def test_notes_lose_their_words_and_nothing_else(
    database: Database, store: Stored, tools: Tools, name: str
) -> None:
    begun = started(at=BEGAN)
    detail: dict[str, str | int | float | bool]
    detail = {"kind": "backchannel", "at": 4.0, WORDS_IN_NOTES.get(name, "after"): "tell Jo Smith of 4111"}
    spoken = replace(said(begun.call_id), backchannels=(Backchannel("mm-hmm", "backchannel", 4.0, 4.4),))
    await store(
        begun,
        spoken,
        replace(noted(begun.call_id, name, at=NOW), detail=detail),
        ended(begun.call_id, at=NOW),
    )
    for _ in range(2):
        await again(database, begun.call_id, tools)
        kept = (await row(database, "SELECT detail FROM call_events")).detail
        lost = {WORDS_IN_NOTES[name]: "*"} if name in WORDS_IN_NOTES else {}
        assert kept == detail | lost


def test_every_command_of_an_operator_is_known_to_hold_words() -> None:
    assert {command.value for command in Command} < set(WORDS_IN_NOTES)


# What a killed process left at the carrier


@pytest.mark.parametrize("refused", [False, True])
@pytest.mark.parametrize("by", ["the agent", "the installation"])
async def test_what_the_carrier_recorded_for_a_killed_process_is_fetched_or_deleted(
    database: Database, store: Stored, tools: Tools, tmp_path: Path, by: str, refused: bool
) -> None:
    profile: dict[str, Any] = {"name": "parcel", "after": {"redact": True}}
    if by == "the agent":
        profile["recording"] = {"enabled": True, "by": "carrier"}
    else:
        change = {"enabled": True, "by": "carrier"}
        tools.settings.recordings = tools.settings.recordings.model_copy(update=change)
    await make_agent(database, AgentProfile.model_validate(profile))
    audio = tones({(CALLER, 0): SECONDS, (AGENT, 0): SECONDS})
    carrier = FakeCarrierRecordings(write_wav(tmp_path / "theirs.wav", audio))
    tools.places = replace(tools.places, carrier=carrier)
    begun = started(at=BEGAN)
    notes = [noted(begun.call_id, "recording_refused", at=NOW)] if refused else []
    await store(begun, said(begun.call_id), *notes, ended(begun.call_id, at=NOW))
    await work_after(begun.call_id, tools)
    assert carrier.kept == set()
    found = await row(database, "SELECT * FROM recordings")
    assert (found.source, found.state) == ("carrier", "erased" if refused else "kept")
    path = tools.places.folder / found.path
    assert path.exists() is not refused
    if not refused:  # nobody knows when it began
        assert found.redacted
        assert not np.concatenate(list(flac.blocks(path))).any()
    assert set((await states(database, begun.call_id)).values()) == {"done", "skipped"}
    await again(database, begun.call_id, tools)
    assert set((await states(database, begun.call_id)).values()) == {"done", "skipped"}


async def test_a_call_that_the_carrier_was_not_to_record_is_not_asked_for(
    database: Database, store: Stored, tools: Tools
) -> None:
    carrier = FakeCarrierRecordings()
    tools.places = replace(tools.places, carrier=carrier)
    begun = started(at=BEGAN)
    await store(begun, said(begun.call_id), ended(begun.call_id, at=NOW))
    await work_after(begun.call_id, tools)
    assert (await states(database, begun.call_id))[FINALISE] == "skipped"
    assert carrier.asked == []


@pytest.mark.parametrize("state", ["", "kept", "erased"])
async def test_without_access_to_the_carrier_its_recording_is_not_said_to_be_gone(
    database: Database, store: Stored, tools: Tools, state: str
) -> None:
    own = {"enabled": True, "by": "carrier"}
    await make_agent(database, AgentProfile.model_validate({"name": "parcel", "recording": own}))
    tools.places = replace(tools.places, carrier=None)
    begun = started(at=BEGAN)
    key = key_of(begun.call_id, BEGAN)
    taped = [RecordingFinished(begun.call_id, NOW, key, "flac", 2, 8000, 40.0, (), state, "carrier")] * bool(
        state
    )
    await store(begun, said(begun.call_id), *taped, ended(begun.call_id, at=NOW))
    await work_after(begun.call_id, tools)
    kept = await row(database, "SELECT state, error FROM call_steps WHERE step = 'finalise_recording'")
    assert kept.state == "waiting"
    assert "TRUNKLINE_TWILIO__ACCOUNT_SID" in kept.error
