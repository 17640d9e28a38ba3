"""Proxies and certificates of the environment that cannot be used, by all that makes an HTTP client."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from pydantic import SecretStr

from app.engines.errors import EngineUnavailable
from app.engines.llm.openai_compatible import OpenAICompatible
from app.engines.mt.apertium_server import ApertiumServer
from app.engines.supply.download import new_client
from config.engines import OpenAISettings


async def model() -> None:
    settings = OpenAISettings(base_url="http://127.0.0.1:1/v1", api_key=SecretStr("k"), model="m")
    await OpenAICompatible(settings).start()


async def translator() -> None:
    await ApertiumServer("http://127.0.0.1:1").start()


async def download() -> None:
    new_client()


@pytest.mark.parametrize("use", [model, translator, download])
@pytest.mark.parametrize(("variable", "value", "told"), [
    ("ALL_PROXY", "socks5://me:secret@127.0.0.1:1", "SOCKS proxy: install the package socksio"),
    ("HTTPS_PROXY", "secret://127.0.0.1:1", "(ValueError); check ALL_PROXY, HTTPS_PROXY"),
    ("SSL_CERT_FILE", "/nonexistent/secret", "(FileNotFoundError); check .* SSL_CERT_FILE"),
])  # fmt: skip
async def test_it_is_told_which_variables_to_look_at(
    monkeypatch: pytest.MonkeyPatch, use: Callable[[], Awaitable[None]], variable: str, value: str, told: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(EngineUnavailable, match=told.replace("(", r"\(").replace(")", r"\)")) as caught:
        await use()
    assert "secret" not in str(caught.value)
