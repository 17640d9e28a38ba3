"""The caller of a scenario: does each line of ``call`` when its time has come, on any phone."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from telephony.media.frame import Samples
from telephony.simulator import wire
from telephony.simulator.heard import Utterance
from telephony.simulator.phone import HungUpError, Phone
from tests.scenarios import sounds
from tests.scenarios.engines import SharedEar
from tests.scenarios.scenario import Action, After, At, HangUp, Into, Press, Scenario, Sound, Speak, Stay
from tests.scenarios.took import Done, sayings_began

PATIENCE = 30.0
"""Seconds for which a line of ``call`` waits for what the agent must do first."""

ANSWER = 14.0
"""Seconds for which the caller, at the end, waits to be answered: more than any deadline of the default."""

_QUIET = 1.0  # seconds of the agent's silence after which the caller hangs up at the end
_AHEAD = 0.03  # seconds from deciding to speak to the frame that carries it
_KEY = 0.25  # seconds from key to key


class Caller:
    """One caller on one phone. ``faults`` are the lines that could not be carried out."""

    def __init__(self, scenario: Scenario, phone: Phone, ear: SharedEar) -> None:
        self._scenario = scenario
        self._phone = phone
        self._ear = ear
        self.done: list[Done] = []
        self.faults: list[str] = []

    async def run(self) -> None:
        """All lines, then wait for the answer. Returns when it is time to hang up."""
        async with asyncio.TaskGroup() as tasks:
            for number, action in enumerate(self._scenario.actions, start=1):
                tasks.create_task(self._carry_out(number, action))
        if not self._hung_up:
            with suppress(HungUpError):
                await self._wait_for_answer()

    @property
    def _hung_up(self) -> bool:
        return any(isinstance(done.action.deed, HangUp) for done in self.done)

    async def _carry_out(self, number: int, action: Action) -> None:
        try:
            if await self._time_comes(action):
                await self._do(number, action)
            else:
                self.faults.append(f"the agent never came so far that the caller could do: {action.text}")
        except HungUpError:
            if not (isinstance(action.deed, Stay) or self._hung_up):
                self.faults.append(f"the call was over before the caller could do: {action.text}")

    async def _time_comes(self, action: Action) -> bool:
        phone = self._phone
        match action.when:
            case At(seconds):
                return await phone.until(lambda now: now >= seconds - _AHEAD)
            case Into(saying, seconds):

                def is_into(now: float) -> bool:
                    began = sayings_began(phone)
                    return len(began) >= saying and now >= began[saying - 1] + seconds - _AHEAD

                return await phone.until(is_into, PATIENCE)
            case After(saying, seconds):

                def is_after(now: float) -> bool:
                    last = phone.agent_last_heard()
                    quiet = last is not None and now >= last + seconds - _AHEAD
                    return quiet and len(sayings_began(phone)) >= saying

                return await phone.until(is_after, PATIENCE)

    async def _do(self, number: int, action: Action) -> None:
        phone = self._phone
        begin = end = phone.now
        match action.deed:
            case Speak(text, seconds, level):
                spoken = phone.speak(_utterance(sounds.speech(seconds, "caller", text, level), text))
                begin, end = spoken.begin, spoken.begin + seconds
                self._ear.speak(text, begin, end)
            case Sound(kind, seconds, level):
                make = sounds.cough if kind == "cough" else sounds.noise
                spoken = phone.speak(_utterance(make(seconds, level), kind))
                begin, end = spoken.begin, spoken.begin + seconds
            case Press(keys):
                end = begin + _KEY * (len(keys) - 1)
        self.done.append(Done(number, action, begin, end))
        match action.deed:
            case Press(keys):
                await phone.press(keys, _KEY)
            case HangUp():
                phone.hang_up()
            case _:
                await phone.until(lambda now: now >= end)

    async def _wait_for_answer(self) -> None:
        """Until the agent has answered the last words and finished, or for as long as it may take."""
        phone = self._phone
        last = max((done.end for done in self.done), default=0.0)
        spoke = max(
            (done.end for done in self.done if isinstance(done.action.deed, Speak | Press)), default=None
        )

        def is_answered(now: float) -> bool:
            heard = phone.agent_last_heard() or 0.0
            return now - max(last, heard) >= _QUIET and (spoke is None or heard > spoke)

        await phone.until(is_answered, ANSWER)


def _utterance(samples: Samples, text: str) -> Utterance:
    """Audio of any loudness: what is too quiet to be heard is said all the same."""
    return Utterance(samples, text, wire.frame_payloads(samples), 0, len(samples))
