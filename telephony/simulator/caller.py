"""A caller who follows a script, going by what is heard, as a person would."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from telephony.media.frame import Samples
from telephony.simulator import script as steps
from telephony.simulator.call import CallerFn
from telephony.simulator.heard import EventKind, Utterance
from telephony.simulator.phone import Phone
from telephony.simulator.script import Script
from telephony.simulator.speech import SpeakFn, SpeechError, default_voice, read_wav


async def scripted_caller(script: Script, voice: SpeakFn | None = None) -> CallerFn:
    """A caller for ``Carrier.place_call``; all speech is made now, before the call.

    ``voice`` speaks the texts; by default flite. Raises ``SpeechError``.
    """
    speak = voice or default_voice()
    said: dict[steps.Step, Utterance] = {}
    for step in script.steps:
        if isinstance(step, (steps.Say, steps.Play)) and step not in said:
            said[step] = await asyncio.to_thread(_utterance, step, speak)

    async def caller(phone: Phone) -> None:
        await _Following(phone, script, said).run()

    return caller


def wav_caller(path: Path, pause: float = 2.0, patience: float = 15.0) -> CallerFn:
    """A caller who plays a WAV file from the moment of the answer, then listens until the agent has said
    nothing for ``pause`` seconds, at most ``patience``. Raises ``SpeechError``.
    """
    utterance = _heard(read_wav(path), path.name, str(path))

    async def caller(phone: Phone) -> None:
        spoken = await phone.say(utterance)
        await phone.until(finished(phone, spoken.end, pause), patience)

    return caller


def finished(phone: Phone, since: float, pause: float) -> Callable[[float], bool]:
    """Condition: the agent has been heard since a time, and then not for ``pause`` seconds."""

    def is_so(now: float) -> bool:
        last = phone.playout.last_heard(now)
        return last is not None and last > since and now - last >= pause

    return is_so


def silent(phone: Phone, since: float, pause: float) -> Callable[[float], bool]:
    """Condition: the agent has not been heard for ``pause`` seconds, all of them after ``since``."""

    def is_so(now: float) -> bool:
        return now - max(since, phone.playout.last_heard(now) or 0.0) >= pause

    return is_so


def _utterance(step: steps.Say | steps.Play, speak: SpeakFn) -> Utterance:
    if isinstance(step, steps.Say):
        return _heard(speak(step.text), step.text, repr(step.text))
    return _heard(read_wav(step.path), step.path.name, str(step.path))


def _heard(samples: Samples, text: str, name: str) -> Utterance:
    try:
        return Utterance.of(samples, text)
    except ValueError as error:
        raise SpeechError(f"{name}: {error}") from error


class _Following:
    """One call's progress through a script."""

    def __init__(self, phone: Phone, script: Script, said: dict[steps.Step, Utterance]) -> None:
        self._phone = phone
        self._script = script
        self._said = said
        self._since = 0.0  # what the caller waits for is counted from here: the end of what was said last

    async def run(self) -> None:
        for number, step in enumerate(self._script.steps, start=1):
            if isinstance(step, steps.HangUp):
                return
            if not await self._follow(step):
                self._phone.note(f"step {number}: waited in vain ({step})")

    async def _follow(self, step: steps.Step) -> bool:
        phone = self._phone
        match step:
            case steps.Say() | steps.Play():
                spoken = await phone.say(self._said[step])
                self._since = spoken.end
            case steps.WaitFor():
                return await phone.until(self._condition(step), step.timeout)
            case steps.Wait(seconds):
                await phone.wait(seconds)
            case steps.InterruptAfter(seconds, timeout):
                return await self._interrupt(seconds, timeout)
            case steps.Dtmf(keys):
                await phone.press(keys)
                self._since = phone.now
            case steps.HangUp():
                pass
        return True

    def _condition(self, step: steps.WaitFor) -> Callable[[float], bool]:
        phone, began = self._phone, self._phone.now
        match step.what:
            case "agent_finished":
                return finished(phone, self._since, step.seconds)
            case "silence":
                return silent(phone, began, step.seconds)
            case "agent_speaking":
                return lambda now: phone.playout.first_heard(max(self._since, began - 0.2), now) is not None
            case "mark":
                seen = len(phone.events)
                return lambda _now: any(event.kind is EventKind.MARK_ECHOED for event in phone.events[seen:])

    async def _interrupt(self, seconds: float, timeout_seconds: float) -> bool:
        phone = self._phone
        since = self._since

        def is_time(now: float) -> bool:
            began = phone.playout.first_heard(since, now)
            return began is not None and now - began >= seconds

        return await phone.until(is_time, timeout_seconds)
