from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from app.engines.errors import EngineError, EngineTimeout, EngineUnavailable, RequestRefused
from app.engines.mt import apertium_command, apertium_server
from app.engines.mt.apertium import ApertiumTranslator
from app.engines.mt.apertium_command import ApertiumCommand
from app.engines.mt.apertium_pipeline import command_line
from app.engines.mt.apertium_text import escape, modes, unescape, unmark
from app.engines.ports import TranslationRequest
from config.engines import ApertiumSettings
from tests.peers.apertium_server import ApertiumPeer

URL = "TRUNKLINE_ENGINES__APERTIUM__URL"
# A program that stands in for Apertium's: it answers in upper case, breaks, hangs or is slow when told to.
PROGRAM = """
import sys, time
assert sys.argv[1] == "-z", sys.argv
buffer = b""
while data := sys.stdin.buffer.raw.read(65536):
    buffer += data
    while b"\\0" in buffer:
        phrase, buffer = buffer.split(b"\\0", 1)
        if b"break" in phrase:
            sys.exit(1)
        if b"hang" in phrase:
            time.sleep(60)
        if b"slow" in phrase:
            time.sleep(0.4)
        if b"flood" in phrase:
            sys.stdout.buffer.write(b"x" * 3_000_000)
        sys.stdout.buffer.write(phrase.upper() + b"\\0")
        sys.stdout.buffer.flush()
"""


@asynccontextmanager
async def connected(server: ApertiumPeer) -> AsyncIterator[ApertiumTranslator]:
    async with server.running():
        engine = ApertiumTranslator(ApertiumSettings(url=server.url))
        await engine.start()
        try:
            yield engine
        finally:
            await engine.close()


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An Apertium whose pairs are two of the stand-in in a row."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "share" / "apertium" / "modes").mkdir(parents=True)
    command = tmp_path / "bin" / "apertium"
    command.touch(mode=0o755)
    program = tmp_path / "it's a program"
    program.write_text(f"#!{sys.executable}\n{PROGRAM}")
    program.chmod(0o755)
    quoted = str(program).replace("'", "'\"'\"'")
    for pair in ("eng-spa", "spa-eng", "spa-eng_US"):
        mode = f"'{quoted}' $2 | '{quoted}' $1 'a file'"
        (tmp_path / "share" / "apertium" / "modes" / f"{pair}.mode").write_text(mode)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.delenv("APERTIUM_DATADIR", raising=False)
    return tmp_path


@pytest.fixture
async def command(installation: Path) -> AsyncIterator[ApertiumCommand]:
    command = ApertiumCommand()
    await command.start()
    yield command
    await command.close()


def ask(text: str = "Where is my parcel?", target: str = "es-ES") -> TranslationRequest:
    return TranslationRequest(text, "en-US", target)


async def translate(engine: ApertiumTranslator, request: TranslationRequest) -> str:
    return "".join([piece async for piece in engine.translate(request)])


# With a server


async def test_a_server_is_asked_for_the_pair_over_one_connection() -> None:
    server = ApertiumPeer()
    async with connected(server) as engine:
        for _ in range(3):
            assert await translate(engine, ask("Where is Xyzzy?")) == "dónde está Xyzzy?"
    assert server.connections == 1
    assert server.requests[0]["langpair"] == "eng|spa"
    assert server.requests[0]["q"] == "Where is Xyzzy?"


async def test_a_regional_pair_is_preferred() -> None:
    server = ApertiumPeer()
    async with connected(server) as engine:
        await translate(engine, TranslationRequest("a", "es-MX", "en-US"))
        await translate(engine, TranslationRequest("a", "es-MX", "en-GB"))
    assert [request["langpair"] for request in server.requests] == ["spa|eng_US", "spa|eng"]


async def test_the_same_language_needs_no_pair() -> None:
    async with connected(ApertiumPeer()) as engine:
        assert await translate(engine, ask("As it is.", "en-GB")) == "As it is."


async def test_a_pair_that_is_not_there_names_its_package() -> None:
    async with connected(ApertiumPeer()) as engine:
        with pytest.raises(RequestRefused, match=r"apertium-eng-deu .*TRUNKLINE_ENGINES__MT") as caught:
            await translate(engine, ask(target="de-AT"))
    assert not caught.value.retryable


@pytest.mark.parametrize(("status", "body", "words", "retryable"), [
    (503, None, "answers 503: internal error", True),
    (400, b'{"explanation": "That pair is not installed"}', "answers 400: That pair is not installed", False),
    (200, b"", "answers 200: no translation", False),
    (200, b"\xff\xfe", "answers 200", False),
    (200, b"[]", "answers 200", False),
    (200, b'{"responseData": {"translatedText": 5}}', "answers 200", False),
    (200, b'{"responseData": []}', "answers 200", False),
    (200, b"x" * 2_000_000, "answers 200", False),
])  # fmt: skip
async def test_an_answer_that_is_no_translation(
    status: int, body: bytes, words: str, retryable: bool
) -> None:
    async with connected(ApertiumPeer(status=status, body=body)) as engine:
        with pytest.raises(EngineError, match=words) as caught:
            await translate(engine, ask())
    assert caught.value.retryable is retryable
    assert isinstance(caught.value, RequestRefused) is (status == 400)


async def test_a_connection_that_breaks_fails_the_phrase_alone() -> None:
    server = ApertiumPeer()
    async with connected(server) as engine:
        server.broken = True
        with pytest.raises(EngineError, match="its server sent what is no HTTP"):
            await translate(engine, ask())
        server.broken = False
        assert await translate(engine, ask("hello")) == "hola"


async def test_a_server_that_is_silent_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    server = ApertiumPeer()
    async with connected(server) as engine:
        monkeypatch.setattr(apertium_server, "_SECONDS", 0.2)
        server.delay = 30.0
        with pytest.raises(EngineTimeout, match=r"nothing from its server for 0\.2 s"):
            await translate(engine, ask())


@pytest.mark.parametrize("url", ["nonsense", "ftp://x", "http://", "http://[", "http://h:99999"])
async def test_what_is_no_url_names_the_setting(url: str) -> None:
    with pytest.raises(EngineUnavailable, match=URL) as caught:
        await ApertiumTranslator(ApertiumSettings(url=url)).start()
    assert not caught.value.retryable


async def test_a_server_that_is_not_there_may_come_later() -> None:
    async with ApertiumPeer().running() as server:
        url = server.url
    with pytest.raises(EngineUnavailable, match=f"no connection to its server; .*{URL}") as caught:
        await ApertiumTranslator(ApertiumSettings(url=url.replace("//", "//me:secret@"))).start()
    assert caught.value.retryable
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("body", [b"<html>", b"{}", b'{"responseData": [1, {"x": 2}, null]}', b""])
async def test_another_server_names_the_setting(body: bytes) -> None:
    pairs = () if body == b"{}" else (("eng", "spa"),)
    async with ApertiumPeer(pairs, pairs_body=body).running() as server:
        engine = ApertiumTranslator(ApertiumSettings(url=server.url))
        if b"x" in body:
            await engine.start()
            with pytest.raises(RequestRefused, match="no translation from en-US into es-ES"):
                await translate(engine, ask())
            await engine.close()
            return
        with pytest.raises(EngineUnavailable, match=f"without a pair of languages; set {URL}"):
            await engine.start()


# With the command


async def test_one_chain_serves_many_phrases(command: ApertiumCommand) -> None:
    for number in range(50):
        assert await command.translate(f"phrase {number}", "en", "es") == f"PHRASE {number}"
    assert len(command.pids) == 1


async def test_at_once_they_do_not_mix(command: ApertiumCommand) -> None:
    found = await asyncio.gather(*(command.translate(f"phrase {n}", "en", "es") for n in range(40)))
    assert found == [f"PHRASE {n}" for n in range(40)]


@pytest.mark.parametrize("bad", ["break", "flood"])
async def test_a_chain_that_breaks_fails_its_phrase_alone(command: ApertiumCommand, bad: str) -> None:
    for _ in range(3):
        with pytest.raises(EngineError) as caught:
            await command.translate(bad, "en", "es")
        assert caught.value.retryable
        assert await command.translate("good", "en", "es") == "GOOD"


async def test_a_chain_that_hangs_is_replaced(command: ApertiumCommand) -> None:
    assert await command.translate("good", "en", "es") == "GOOD"  # it has loaded
    with pytest.raises(EngineTimeout, match="no translation within 2 s"):
        await command.translate("hang", "en", "es")
    assert await command.translate("good", "en", "es") == "GOOD"


async def test_a_new_chain_has_time_to_load(
    command: ApertiumCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apertium_command, "_ANSWER_SECONDS", 0.2)
    assert await command.translate("slow", "en", "es") == "SLOW"
    with pytest.raises(EngineTimeout):
        await command.translate("slow", "en", "es")


async def test_a_chain_that_hangs_is_replaced_when_whoever_asked_gives_up(command: ApertiumCommand) -> None:
    for _ in range(2):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.8):
                await command.translate("hang", "en", "es")
        assert await command.translate("good", "en", "es") == "GOOD"


async def test_a_chain_that_was_killed_while_idle_is_not_noticed(command: ApertiumCommand) -> None:
    await command.translate("good", "en", "es")
    (pid,) = command.pids
    os.killpg(pid, signal.SIGKILL)
    await asyncio.sleep(0.2)
    assert await command.translate("good", "en", "es") == "GOOD"


async def test_the_answer_to_a_cancelled_phrase_is_dropped(command: ApertiumCommand) -> None:
    await command.translate("warm", "en", "es")
    for number in range(20):
        task = asyncio.create_task(command.translate(f"cancelled {number}", "en", "es"))
        await asyncio.sleep(0.0005 * (number % 4))
        task.cancel()
        assert await command.translate(f"wanted {number}", "en", "es") == f"WANTED {number}"


async def test_closing_ends_what_is_being_translated(command: ApertiumCommand) -> None:
    task = asyncio.create_task(command.translate("hang", "en", "es"))
    await asyncio.sleep(0.3)
    async with asyncio.timeout(10):
        await command.close()
        with pytest.raises(EngineError):
            await task
    with pytest.raises(EngineError, match="not running"):
        await command.translate("good", "en", "es")


async def test_closing_while_a_pair_is_asked_for_the_first_time_leaves_no_process(installation: Path) -> None:
    mode = installation / "share/apertium/modes/eng-spa.mode"
    content = mode.read_text()
    mode.unlink()
    os.mkfifo(mode)  # who reads it waits for the content
    command = ApertiumCommand()
    await command.start()
    task = asyncio.create_task(command.translate("good", "en", "es"))
    await asyncio.sleep(0.1)
    await command.close()
    await asyncio.to_thread(mode.write_text, content)
    async with asyncio.timeout(10):
        with pytest.raises(EngineError, match="not running"):
            await task
    assert not command.pids


async def test_a_pair_that_is_not_installed_names_its_package(command: ApertiumCommand) -> None:
    with pytest.raises(EngineError, match="apertium-eng-fra or apertium-fra-eng") as caught:
        await command.translate("a", "en", "fr-CA")
    assert not caught.value.retryable


async def test_a_broken_mode_is_named(installation: Path) -> None:
    (installation / "share/apertium/modes/eng-spa.mode").write_text("lt-proc 'unfinished")
    command = ApertiumCommand()
    await command.start()
    with pytest.raises(EngineError, match=r"eng-spa\.mode cannot be used"):
        await command.translate("a", "en", "es")
    await command.close()


async def test_no_apertium_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineUnavailable, match=f"apertium-eng-spa, or set {URL}"):
        await ApertiumTranslator(ApertiumSettings()).start()


async def test_no_pair_says_what_to_install(installation: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APERTIUM_DATADIR", str(installation))
    with pytest.raises(EngineUnavailable, match=r"no pair of languages in .*apertium-eng-spa"):
        await ApertiumTranslator(ApertiumSettings()).start()


# Its text


@pytest.mark.parametrize("text", ["a [b] c", "^x$ /y/ {z} <b>", "a\\b", "me@example.com", "[] [7]", "5.[]"])
def test_commands_in_a_phrase_are_text(text: str) -> None:
    assert unescape(escape(text)) == text


def test_marks_of_unknown_words_are_removed() -> None:
    assert unmark("*Xyzzy es #estar @word, a@b 5*3") == "Xyzzy es estar word, a@b 5*3"


@pytest.mark.parametrize(("source", "target", "names"), [
    ("en-US", "es-MX", ("eng-spa_MX", "eng-spa")),
    ("es", "en", ("spa-eng",)),
    ("pt_BR", "ca", ("por-cat",)),
    ("ast", "es-ES", ("ast-spa_ES", "ast-spa")),
    ("zh-Hant", "en-Latn", ("zho-eng",)),
])  # fmt: skip
def test_languages_become_modes(source: str, target: str, names: tuple[str, ...]) -> None:
    assert modes(source, target) == names


@pytest.mark.parametrize("mode", ["", "a | | b", "a |", "'a"])
def test_what_is_no_mode_is_refused(mode: str) -> None:
    with pytest.raises(ValueError, match=r"missing|closing"):
        command_line(mode)
