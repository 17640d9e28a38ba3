"""``trunkline call`` and ``trunkline demo``: calls through the carrier simulator, and what came of them."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
import uvloop

from app.cli.settings import start_settings
from config.settings import ROOT, Settings
from telephony.simulator.call import CallerFn
from telephony.simulator.caller import scripted_caller, wav_caller
from telephony.simulator.carrier import Carrier
from telephony.simulator.heard import HeardCall
from telephony.simulator.measure import turns
from telephony.simulator.report import Stage, call_report, waterfall
from telephony.simulator.script import Say, Script, Step, WaitFor, load
from telephony.simulator.webhook import WebhookFailed

DEMO = ROOT / "demo" / "call.yaml"
_STORED_SECONDS = 10.0  # for the record of a call that has ended
_STAGES = ("endpoint", "llm", "phrase", "tts", "send")


class CallFailed(Exception):
    """The call could not be placed or was not stored. The message says what to do."""


@dataclass(frozen=True, slots=True)
class Line:
    """Whom to call and with which account.

    ``origin``: where the server listens; ``public``: what it takes for its own, which signatures are made of.
    """

    origin: str
    public: str
    account_sid: str
    auth_token: str
    api_key: str


def call(
    wav: Annotated[Path | None, typer.Option(help="Play this WAV once the call is answered.")] = None,
    script: Annotated[Path | None, typer.Option(help="Follow this YAML script.")] = None,
    say: Annotated[list[str] | None, typer.Option(help="Say a sentence; repeat for a conversation.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for what was heard, as WAV.")] = Path("var/calls"),
    url: Annotated[str, typer.Option(help="The server's origin; default: this installation's.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Call the running server through the carrier simulator; print transcript and latency of each turn."""
    if sum(choice is not None for choice in (wav, script, say)) != 1:
        raise SystemExit("trunkline: give one of --wav FILE, --script FILE, --say TEXT")
    settings, _ = start_settings("WARNING")
    line = _line(settings, url)

    async def work() -> dict[str, Any]:
        return await place(line, await _caller(wav, script, say), out)

    _show(uvloop.run(work()), as_json=as_json)


def demo(
    out: Annotated[Path, typer.Option(help="Folder for what was heard, as WAV.")] = Path("var/demo"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Start a private server, place the demonstration call, print transcript and latency of each turn."""
    from bench.server import PrivateServer  # noqa: PLC0415 - only this command starts a server

    with PrivateServer(profile="embedded") as server:
        line = Line(server.origin, server.origin, server.account_sid, server.auth_token, server.api_key)

        async def work() -> dict[str, Any]:
            return await place(line, await scripted_caller(load(DEMO)), out)

        result = uvloop.run(work())
    _show(result, as_json=as_json)


async def place(line: Line, caller: CallerFn, out: Path) -> dict[str, Any]:
    """One call and what was stored of it, as plain data. Raises ``CallFailed``, ``TelephonyError``."""
    webhook = f"{line.public}/voice/twilio/incoming"
    via = "" if line.public == line.origin else line.origin
    try:
        async with Carrier(webhook, line.account_sid, line.auth_token, via=via) as carrier:
            heard = await carrier.place_call(caller)
    except WebhookFailed as failed:
        if failed.status:
            raise
        raise CallFailed(f"nothing answers at {line.origin}; start the server with: trunkline run") from None
    name = heard.began.strftime("%Y%m%dT%H%M%S")
    await asyncio.to_thread(heard.write_wav, out / f"{name}-heard.wav")
    await asyncio.to_thread(heard.write_stereo_wav, out / f"{name}-both.wav")
    stored = await _stored(line, heard.call_sid) if heard.twiml and heard.duration else None
    return {
        "carrier_call_id": heard.call_sid,
        "hung_up_by": heard.hung_up_by,
        "duration_seconds": round(heard.duration, 3),
        "heard_wav": str(out / f"{name}-heard.wav"),
        "measured": [_measured(heard, number) for number in range(len(heard.spoken))],
        "violations": [asdict(violation) for violation in heard.violations],
        "report": call_report(heard),
        "call": stored,
    }


def _measured(heard: HeardCall, number: int) -> dict[str, Any]:
    turn = turns(heard)[number]
    return {
        "text": turn.text,
        "response_ms": None if turn.response is None else round(turn.response * 1000, 1),
        "barge_in": turn.barge_in,
        "clear_ms": None if turn.clear_after is None else round(turn.clear_after * 1000, 1),
    }


async def _caller(wav: Path | None, script: Path | None, say: list[str] | None) -> CallerFn:
    if wav is not None:
        return wav_caller(wav)
    if script is not None:
        return await scripted_caller(load(script))
    steps: list[Step] = []
    for sentence in say or []:
        steps += [Say(sentence), WaitFor("agent_finished", 1.0, 15.0)]
    return await scripted_caller(Script((WaitFor("silence", 1.0, 15.0), *steps)))


def _line(settings: Settings, url: str) -> Line:
    twilio = settings.twilio
    return Line(
        origin=url or f"http://{settings.http.host}:{settings.http.port}",
        public=url or settings.origin,
        account_sid=twilio.account_sid,
        auth_token=twilio.auth_token.get_secret_value(),
        api_key=settings.admin.api_key.get_secret_value(),
    )


async def _stored(line: Line, call_sid: str) -> dict[str, Any]:
    """The call as the admin API gives it, once its end is stored. Raises ``CallFailed``."""
    headers = {"Authorization": f"Bearer {line.api_key}"}
    async with httpx.AsyncClient(base_url=f"{line.origin}/api/v1", headers=headers, trust_env=False) as api:
        try:
            async with asyncio.timeout(_STORED_SECONDS):
                while True:
                    page = (await api.get("/calls")).raise_for_status().json()
                    for found in page["calls"]:
                        if found["carrier_call_id"] == call_sid and found["ended_at"]:
                            detail: dict[str, Any] = (await api.get(f"/calls/{found['id']}")).json()
                            return detail
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise CallFailed("the call was heard but its record did not come; see the server's log") from None
        except httpx.HTTPStatusError as error:
            raise CallFailed(
                f"the admin API answered {error.response.status_code}; check TRUNKLINE_ADMIN__API_KEY"
            ) from None


def _show(result: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({name: value for name, value in result.items() if name != "report"}, indent=2))
        return
    print(result["report"])
    stored = result["call"]
    if stored is not None:
        print(f"\nTranscript of call {stored['id']}, as stored ({stored['outcome']}, {stored['cause']}):\n")
        for turn in stored["turns"]:
            _show_turn(turn)
    print(f"What the caller heard: {result['heard_wav']}")


def _show_turn(turn: dict[str, Any]) -> None:
    if turn["caller_text"]:
        print(f"  caller  {turn['caller_text']}")
    if turn["reply_text"]:
        cut = "  [cut off by the caller]" if turn["interrupted"] else ""
        print(f"  agent   {turn['heard_text']}{cut}")
        for over in turn["backchannels"]:
            print(f"  caller    [over it, at {over['started']:.1f} s, {over['kind']}: {over['text'] or '-'}]")
    times = turn["latency_ms"]
    if times["response"] is not None:
        begin, stages = 0.0, []
        for name in _STAGES:
            length = (times[name] or 0.0) / 1000
            stages.append(Stage(name, begin, begin + length))
            begin += length
        print(waterfall(f"  {times['response']:.0f} ms to the first sound", stages))
    print()
