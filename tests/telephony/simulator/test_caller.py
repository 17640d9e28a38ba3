"""Callers who follow scripts, going by what they hear."""

from __future__ import annotations

import asyncio
import base64
import shutil
from pathlib import Path

import numpy as np
import pytest

from telephony.media import level
from telephony.media.frame import Samples, silence
from telephony.simulator import script
from telephony.simulator.caller import scripted_caller, wav_caller
from telephony.simulator.carrier import Carrier
from telephony.simulator.heard import EventKind, write_wav
from telephony.simulator.measure import turns
from telephony.simulator.speech import SpeechError, default_voice, read_wav
from tests.telephony.simulator.media_server import MediaServer, Stream, tone


def voice(text: str) -> Samples:
    """0.3 s of a tone, whatever is to be said."""
    return (8000 * np.sin(np.arange(2400) / 4)).astype(np.int16)


async def greets_then_answers(stream: Stream) -> None:
    """A greeting of 0.5 s; then 0.5 s whenever the caller has stopped for 0.2 s."""
    await stream.until("start")
    await stream.play(tone(0.5))
    await stream.mark("greeting")
    quiet, heard = 0, False
    while True:
        message = await stream.receive()
        if message["event"] == "stop":
            return
        if message["event"] != "media":
            continue
        silent = level.is_quiet(base64.b64decode(message["media"]["payload"]))
        heard, quiet = heard or not silent, quiet + 1 if silent else 0
        if heard and quiet == 10:
            heard = False
            await stream.play(tone(0.5))


async def follow(carrier: Carrier, text: str) -> tuple[list[str], list[float]]:
    """Notes of a call made by a script, and when the caller spoke."""
    call = await carrier.place_call(await scripted_caller(script.parse(text, "s.yaml", Path()), voice))
    notes = [event.detail for event in call.events if event.kind is EventKind.NOTE]
    return notes, [spoken.onset for spoken in call.spoken]


async def test_a_polite_caller_waits_for_the_end_of_each_reply(server: MediaServer, carrier: Carrier) -> None:
    server.agent = greets_then_answers
    text = """
pause: 0.2
steps:
- wait_for: agent_finished
- say: one
- wait_for: agent_speaking
- wait_for: agent_finished
- say: two
- wait_for: mark
  timeout: 0.1
- hang_up
- say: never
"""
    notes, onsets = await follow(carrier, text)
    assert len(notes) == 1
    assert notes[0].startswith("step 6: waited in vain")
    first, second = onsets
    assert first == pytest.approx(0.72, abs=0.08)  # the greeting and a pause
    assert second - first == pytest.approx(0.3 + 0.2 + 0.5 + 0.2, abs=0.12)


async def test_an_impatient_caller_interrupts(server: MediaServer, carrier: Carrier) -> None:
    server.agent = greets_then_answers
    text = "- interrupt_after: 0.2\n- say: stop\n- wait_for: silence 0.3\n- dtmf: '1#'\n- wait: 0.1"
    notes, onsets = await follow(carrier, text)
    assert notes == []
    assert onsets[0] == pytest.approx(0.24, abs=0.06)
    keys = [message["dtmf"]["digit"] for message in server.streams[0].messages if message["event"] == "dtmf"]
    assert keys == ["1", "#"]


async def test_a_recording_is_played_from_the_answer(
    server: MediaServer, carrier: Carrier, tmp_path: Path
) -> None:
    path = tmp_path / "caller.wav"
    write_wav(path, np.concatenate([voice("x"), silence(800)]))
    call = await carrier.place_call(wav_caller(path, pause=0.4))
    (turn,) = turns(call)
    assert turn.onset < 0.1
    assert turn.response == pytest.approx(0.31, abs=0.06)
    call.write_wav(tmp_path / "out" / "heard.wav")
    call.write_stereo_wav(tmp_path / "out" / "both.wav")
    assert np.array_equal(read_wav(tmp_path / "out" / "heard.wav"), call.agent)
    both = read_wav(tmp_path / "out" / "both.wav")
    assert len(both) == len(call.agent)


async def test_a_caller_with_nothing_to_say(tmp_path: Path) -> None:
    write_wav(tmp_path / "silence.wav", silence(8000))
    with pytest.raises(SpeechError, match=r"silence\.wav: nothing .* loud enough"):
        wav_caller(tmp_path / "silence.wav")
    with pytest.raises(SpeechError, match="'mute': nothing"):
        await scripted_caller(script.parse("- say: mute", "s.yaml", Path()), lambda _text: silence(10))
    played = script.parse("- play: silence.wav", "s.yaml", tmp_path)
    with pytest.raises(SpeechError, match="loud enough"):
        await scripted_caller(played, voice)


def test_recordings_of_any_rate(tmp_path: Path) -> None:
    import wave

    time = np.arange(22_050) / 22_050
    with wave.open(str(tmp_path / "cd.wav"), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(22_050)
        one = (10_000 * np.sin(2 * np.pi * 440 * time)).astype("<i2")
        file.writeframes(np.stack([one, one], axis=1).tobytes())
    samples = read_wav(tmp_path / "cd.wav")
    assert len(samples) == pytest.approx(8000, abs=20)
    spectrum = np.abs(np.fft.rfft(samples[:8000]))
    assert int(spectrum.argmax()) == pytest.approx(440, abs=1)


def test_recordings_that_cannot_be_read(tmp_path: Path) -> None:
    import wave

    for length in (0, 3, 20, 43):
        (tmp_path / "cut.wav").write_bytes((b"RIFF\x24\x00\x00\x00WAVEfmt " + b"\x10" * 40)[:length])
        with pytest.raises(SpeechError, match="cannot be read"):
            read_wav(tmp_path / "cut.wav")
    with pytest.raises(SpeechError, match="cannot be read"):
        read_wav(tmp_path / "none.wav")
    with wave.open(str(tmp_path / "byte.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(8000)
        file.writeframes(b"\x80" * 100)
    with pytest.raises(SpeechError, match="8-bit"):
        read_wav(tmp_path / "byte.wav")


async def test_without_a_synthesiser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(SpeechError, match="apt-get install flite"):
        await asyncio.to_thread(default_voice(), "hello")
    assert len(default_voice(voice)("hello")) == 2400


@pytest.mark.skipif(shutil.which("flite") is None, reason="flite is not installed")
def test_flite_speaks() -> None:
    samples = default_voice()("hello there")
    assert 0.4 < len(samples) / 8000 < 3.0
    assert level.heard_span(samples) is not None
