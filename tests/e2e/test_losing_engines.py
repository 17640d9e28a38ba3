"""Engines that are killed or stall in the middle of a reply, over the wire: every call goes on.

``ENGINE_TRIALS=100 python -m pytest tests/e2e/test_losing_engines.py -s`` measures what bench/README.md says.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.engines.llm.timed import timed_tokens
from app.voice.profile import OUTAGE_ALONE
from bench.server import PrivateServer
from bench.talk import utterances
from config.engines import TimedSettings
from telephony.media.frame import SAMPLE_RATE
from telephony.media.level import AUDIBLE
from telephony.simulator.call import CallerFn
from telephony.simulator.caller import finished
from telephony.simulator.carrier import Carrier
from telephony.simulator.heard import HeardCall
from telephony.simulator.measure import Percentiles
from telephony.simulator.phone import Phone
from tests.e2e.conftest import api_of, stored_calls
from tests.peers.edge_server import CLOSE, EdgeServer, speech
from tests.peers.openai_audio import Answer, OpenAIAudioServer, Request, tone, transcript
from tests.peers.openai_server import BREAK, DONE, OpenAIServer, chunk
from tests.peers.piper_voice import write_voice
from tests.peers.wyoming_server import AudioChunk, AudioStart, AudioStop, WyomingServer

TRIALS = int(os.environ.get("ENGINE_TRIALS", "4"))
AT_ONCE = 5  # calls of each server
LONGEST_SILENCE = 1.5
USUAL = 0.5  # seconds from the caller's last speech to the reply, when nothing is lost
STALL = 60.0
SEAM_SECONDS = 1.0  # that may be lost or repeated where one voice goes on for another
WINDOW = 160  # samples in which one that is audible is enough
SENTENCE = "We are open from eight in the morning to six in the evening, and on Saturdays until one."
WORDS = [f"{word} " for word in SENTENCE.split()]
TOLD = "".join(timed_tokens(TimedSettings().sentence_tokens))
HEARD = TimedSettings().transcript
PATIENT = {"TRUNKLINE_ENGINES__FALLBACK__FAILURES": "1000"}  # each call is to lose its engine anew

Environment = dict[str, str]
faults = random.Random(11)


def loses(port: str, names: str, **settings: str) -> Environment:
    """The settings of a server whose ``port`` has these engines."""
    group = "TRUNKLINE_ENGINES__"
    return {f"{group}{port}": names} | {f"{group}{name.upper()}": value for name, value in settings.items()}


# Peers that fail in the middle of every answer, once the calls begin


class Faults:
    """Kills or stalls each answer at a place of its own."""

    armed = False

    def __init__(self, kill: Any) -> None:
        self._kill = kill

    def cut(self, steps: Sequence[Any]) -> list[Any]:
        if not Faults.armed:
            return list(steps)
        return [*steps[: faults.randrange(len(steps))], faults.choice((self._kill, STALL))]


def words(said: str = "") -> list[str | float | bytes]:
    """The rest of the sentence, at 16 words a second."""
    rest = SENTENCE[len(said.rstrip()) :].lstrip()
    return [step for word in rest.split() for step in (chunk(f"{word} "), 0.06)]


def goes_on(body: dict[str, Any]) -> list[str | float | bytes]:
    """The next model: says what the first has left."""
    said = [message["content"] for message in body["messages"] if message["role"] == "assistant"]
    return [*words(said[-1] if said else ""), chunk(finish="stop"), DONE]


@asynccontextmanager
async def model(backup: bool) -> AsyncIterator[Environment]:
    failing = Faults(BREAK)

    def answer(body: dict[str, Any]) -> list[str | float | bytes]:
        return [*failing.cut(words()), chunk(finish="stop"), DONE]

    async with OpenAIServer(answer).running() as first, OpenAIServer(goes_on).running() as second:
        servers = f'{{"backup": {{"base_url": "{second.url}", "model": "m"}}}}'
        names = "openai_compatible,openai_compatible:backup" if backup else "openai_compatible"
        yield PATIENT | loses("LLM", names, openai__base_url=first.url, openai__model="m", servers=servers)


def unfinished(pieces: Sequence[Any], **others: Any) -> Answer:
    """An answer that, once the calls begin, stalls or (``None``) breaks off before its announced end."""
    sent = [piece for piece in pieces if piece is not None]
    return Answer(sent, framing="length", missing=20 if Faults.armed else 0, **others)


@asynccontextmanager
async def edge() -> AsyncIterator[Environment]:
    failing = Faults(CLOSE)
    async with EdgeServer(lambda text: failing.cut(list(speech(text))), audio_every=0.02).running() as server:
        yield PATIENT | loses("TTS", "edge,timed", edge__url=server.url)


@asynccontextmanager
async def openai_voice() -> AsyncIterator[Environment]:
    failing = Faults(None)

    def answer(request: Request) -> Answer:
        said = request.body["input"]
        sound = tone(0.06 * len(said), 24_000).tobytes()
        pieces = failing.cut([sound[at : at + 9600] for at in range(0, len(sound), 9600)])
        return unfinished(pieces, kind="audio/pcm")

    async with OpenAIAudioServer(answer).running() as server:
        yield PATIENT | loses("TTS", "openai_compatible,timed", openai_tts__base_url=server.url)


@asynccontextmanager
async def openai_ears() -> AsyncIterator[Environment]:
    failing = Faults(None)

    def answer(request: Request) -> Answer:
        return unfinished(failing.cut(transcript(HEARD).pieces))

    async with OpenAIAudioServer(answer).running() as server:
        yield PATIENT | loses("STT", "openai_compatible,timed", openai_stt__base_url=server.url)


@asynccontextmanager
async def wyoming_voice() -> AsyncIterator[Environment]:
    failing = Faults(0.0)  # an end without audio-stop

    def speech(text: str) -> list[Any]:
        sound = tone(0.06 * len(text), 16_000).tobytes()
        chunks = [AudioChunk(16_000, 2, 1, sound[at : at + 6400]) for at in range(0, len(sound), 6400)]
        return [AudioStart(16_000, 2, 1), *failing.cut([*chunks, AudioStop()])]

    async with WyomingServer(speech=speech).running() as server:
        yield PATIENT | loses("TTS", "wyoming,timed", wyoming__tts_url=server.url)


@asynccontextmanager
async def wyoming_ears() -> AsyncIterator[Environment]:
    def after() -> float | None:
        return faults.choice((None, STALL)) if Faults.armed else 0.05

    async with WyomingServer(texts=(HEARD,), answer_after=after).running() as server:
        yield PATIENT | loses("STT", "wyoming,timed", wyoming__stt_url=server.url)


@asynccontextmanager
async def piper() -> AsyncIterator[Environment]:
    with tempfile.TemporaryDirectory() as folder:
        voice = write_voice(Path(folder), "tiny")
        yield loses("TTS", "piper,timed", piper__voice=str(voice))


def worker(port: str, names: str) -> Callable[[], AbstractAsyncContextManager[Environment]]:
    @asynccontextmanager
    async def settings() -> AsyncIterator[Environment]:
        yield loses(port, names)

    return settings


@dataclass(frozen=True)
class Case:
    """Who is lost; ``process``: by signals to the server's worker of this module.

    ``within``: so many seconds after the first caller begins to speak, at most.
    """

    peer: Callable[[], AbstractAsyncContextManager[Environment]]
    told: Callable[[str], bool]
    process: str = ""
    within: float = 0.0


def all_told(reply: str) -> bool:
    return reply.split() == TOLD.split()


CASES = {
    "llm openai_compatible": Case(
        lambda: model(backup=True), lambda reply: reply.split() == SENTENCE.split()
    ),
    "llm openai_compatible alone": Case(
        lambda: model(backup=False),
        lambda reply: (
            reply.endswith(OUTAGE_ALONE.no_match[0])
            and SENTENCE.startswith(reply.removesuffix(OUTAGE_ALONE.no_match[0]).strip())
        ),
    ),
    "tts edge": Case(edge, all_told),
    "tts openai_compatible": Case(openai_voice, all_told),
    "tts wyoming": Case(wyoming_voice, all_told),
    "tts piper": Case(piper, all_told, "piper_worker", 5.0),
    "tts espeak": Case(worker("TTS", "espeak,timed"), all_told, "espeak_worker", 5.0),
    "stt openai_compatible": Case(openai_ears, all_told),
    "stt wyoming": Case(wyoming_ears, all_told),
    "stt pocketsphinx": Case(worker("STT", "pocketsphinx,timed"), all_told, "pocketsphinx_worker", 1.5),
}


@pytest.mark.parametrize("port", ["llm", "tts", "stt"])
async def test_every_call_goes_on(port: str) -> None:
    names = [name for name in CASES if name.startswith(port)]
    heard_whole = asyncio.Barrier(len(names))
    try:
        async with asyncio.TaskGroup() as servers:
            losing = {name: servers.create_task(lose(name, CASES[name], heard_whole)) for name in names}
    finally:
        Faults.armed = False
    bad = {name: task.result() for name, task in losing.items()}
    assert not any(bad.values()), bad


async def lose(name: str, case: Case, heard_whole: asyncio.Barrier) -> list[str]:
    """What was wrong with the calls of a server whose engine was lost in each of them.

    Engines fail once every server has held a call that loses nothing.
    """
    port, engine = name.split()[:2]
    async with case.peer() as environment:
        server = PrivateServer(environment=environment)
        await asyncio.to_thread(server.__enter__)
        try:
            reference, shortest, longest = await undisturbed(server, voice=port == "tts")
            await heard_whole.wait()
            Faults.armed = True
            calls = await trials(server, case, port, engine)
            lost = await failures(server, port, engine)
            async with api_of(server) as api:
                stored = await stored_calls(api, {call.call_sid for call in calls})
            log = server.log()
        finally:
            await asyncio.to_thread(server.__exit__, None, None, None)
    bad = []
    for call in calls:
        turns = [turn for turn in stored[call.call_sid]["turns"] if turn["caller_text"]]
        silent = longest_silence(call)
        right = len(turns) == 1 and case.told(turns[0]["reply_text"])
        right = (
            right
            and turns[0]["heard_text"] == turns[0]["reply_text"]
            and turns[0]["caller_text"] in {HEARD, reference}
        )
        spoken = audible_seconds(call)
        if silent > LONGEST_SILENCE or not right or not shortest <= spoken <= longest:
            texts = [(turn["caller_text"], turn["reply_text"], turn["heard_text"]) for turn in turns]
            bad.append(f"silent for {silent:.2f} s, {spoken:.2f} s of speech: {texts}")
    silences = sorted(longest_silence(call) for call in calls)
    sys.stdout.write(
        f"\n{name}: {len(calls) - len(bad)} of {len(calls)}; silences {Percentiles.of(silences)}\n"
    )
    if lost < (1 if case.process else len(calls)):
        bad.append(f"only {lost:.0f} uses of the engine failed")
    if "Traceback" in log:
        bad.append(f"the log tells of a fault: {log[log.index('Traceback') :]}")
    return bad


def caller(index: int, *, listens: bool = True, begun: asyncio.Event | None = None) -> CallerFn:
    question = utterances()[0]

    async def call(phone: Phone) -> None:
        await phone.wait(0.3 + faults.random())
        if begun is not None:
            begun.set()
        spoken = await phone.say(question)
        phone.note(f"asked {spoken.end}")
        await phone.until(lambda now: phone.agent_began(spoken.end) is not None, 10)
        if listens:
            await phone.until(finished(phone, spoken.end, 2.5), 40)

    return call


async def undisturbed(server: PrivateServer, *, voice: bool) -> tuple[str, float, float]:
    """What a recogniser hears in a call that loses nothing, and how long a reply may be heard.

    The latter where the ``voice`` is lost: between its own length and that of the one that goes on, with at
    most a word or two missing at the seam, or said again.
    """
    async with Carrier(server.webhook, server.account_sid, server.auth_token) as carrier:
        heard = await carrier.place_call(caller(0, listens=voice))
    async with api_of(server) as api:
        stored = await stored_calls(api, {heard.call_sid})
    understood = str(stored[heard.call_sid]["turns"][0]["caller_text"])
    if not voice:
        return understood, 0.0, float("inf")
    lengths = (audible_seconds(heard), TimedSettings().seconds_per_character * len(TOLD))
    return understood, min(lengths) - SEAM_SECONDS, max(lengths) + SEAM_SECONDS


async def trials(server: PrivateServer, case: Case, port: str, engine: str) -> list[HeardCall]:
    calls: list[HeardCall] = []
    async with Carrier(server.webhook, server.account_sid, server.auth_token) as carrier:
        while len(calls) < TRIALS:
            async with asyncio.TaskGroup() as wave:
                begun = asyncio.Event()
                sabotage = wave.create_task(strike(server, case, port, engine, begun))
                count = min(AT_ONCE, TRIALS - len(calls))
                heard = await carrier.place_calls(
                    count, partial(caller, begun=begun), spread_seconds=1.0, keep_audio=True
                )
                sabotage.cancel()
            for call in heard:
                if isinstance(call, BaseException):
                    raise call
                calls.append(call)
    return calls


async def strike(server: PrivateServer, case: Case, port: str, engine: str, begun: asyncio.Event) -> None:
    """Stop the worker, and kill it or leave it to be found, until a call has lost it."""
    if not case.process:
        return
    before = await failures(server, port, engine)
    await begun.wait()
    await asyncio.sleep(faults.uniform(0.0, case.within))
    while await failures(server, port, engine) == before:
        send(server, case.process, signal.SIGSTOP)
        if faults.random() < 0.5:
            await asyncio.sleep(faults.uniform(0.0, 0.5))
            send(server, case.process, signal.SIGKILL)
        await asyncio.sleep(1.3)  # a call waits no longer for an engine


def send(server: PrivateServer, module: str, number: signal.Signals) -> None:
    for child in psutil.Process(server.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if module in " ".join(child.cmdline()):
                child.send_signal(number)


async def failures(server: PrivateServer, port: str, engine: str) -> float:
    """How often calls have lost this engine so far."""
    async with httpx.AsyncClient(base_url=server.origin, trust_env=False) as client:
        metrics = (await client.get("/metrics")).text
    return sum(
        sample.value
        for family in text_string_to_metric_families(metrics)
        for sample in family.samples
        if sample.name == "trunkline_engine_failures_total"
        and (sample.labels["port"], sample.labels["engine"]) == (port, engine)
        and sample.labels["reason"] != "trial"
    )


def longest_silence(call: HeardCall) -> float:
    """The longest time in which the caller waited within the reply, or for it beyond the usual."""
    asked, audible = reply_of(call)
    if not len(audible):
        return float("inf")
    edges = np.concatenate(([(asked + USUAL) * SAMPLE_RATE], audible))
    return float(np.diff(edges).max()) / SAMPLE_RATE


def audible_seconds(call: HeardCall) -> float:
    """How long the reply is heard, without its silences."""
    _, audible = reply_of(call)
    return len(np.unique(audible // WINDOW)) * WINDOW / SAMPLE_RATE


def reply_of(call: HeardCall) -> tuple[float, npt.NDArray[np.int64]]:
    """When the caller had asked, in seconds, and the audible samples of the agent from then on."""
    asked = next(
        float(event.detail.removeprefix("asked "))
        for event in call.events
        if event.detail.startswith("asked ")
    )
    audible = np.flatnonzero(np.abs(call.agent.astype(np.int32)) > AUDIBLE)
    return asked, audible[audible > asked * SAMPLE_RATE]


async def test_an_engine_that_was_given_up_is_not_asked_and_costs_later_calls_nothing() -> None:
    def first_answers(body: dict[str, Any]) -> list[str | float | bytes]:
        return [BREAK] if Faults.armed else goes_on(body)

    async with OpenAIServer(first_answers).running() as first, OpenAIServer(goes_on).running() as second:
        servers = f'{{"backup": {{"base_url": "{second.url}", "model": "m"}}}}'
        environment = loses(
            "LLM",
            "openai_compatible,openai_compatible:backup",
            openai__base_url=first.url,
            openai__model="m",
            servers=servers,
            fallback__retry_seconds="600",
        )
        server = PrivateServer(environment=environment)
        await asyncio.to_thread(server.__enter__)
        try:
            before = await response_times(server)
            Faults.armed = True
            await response_times(server)  # three failures open the breaker
            asked = len(first.requests)
            after = await response_times(server)
            async with httpx.AsyncClient(base_url=server.origin, trust_env=False) as client:
                ready = (await client.get("/health/ready")).json()
                metrics = (await client.get("/metrics")).text
        finally:
            Faults.armed = False
            await asyncio.to_thread(server.__exit__, None, None, None)
    assert len(first.requests) == asked
    extra = float(np.median(after) - np.median(before))
    sys.stdout.write(f"\nresponse before {np.median(before):.0f} ms, {extra:+.1f} ms once it was given up\n")
    assert extra <= 20.0
    states = {engine["engine"]: engine["state"] for engine in ready["engines"] if engine["port"] == "llm"}
    assert states == {"openai_compatible": "open", "openai_compatible:backup": "closed"}
    assert 'trunkline_engine_breaker{engine="openai_compatible",port="llm"} 2.0' in metrics


async def response_times(server: PrivateServer) -> list[float]:
    """The response latency of calls, in milliseconds, as the server stored it."""
    async with Carrier(server.webhook, server.account_sid, server.auth_token) as carrier:
        heard = await carrier.place_calls(
            max(4, TRIALS // 4), lambda index: caller(index, listens=False), spread_seconds=2.0
        )
    sids = {call.call_sid for call in heard if isinstance(call, HeardCall)}
    async with api_of(server) as api:
        stored = await stored_calls(api, sids)
    return [call["turns"][0]["latency_ms"]["response"] for call in stored.values()]
