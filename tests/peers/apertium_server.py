"""A server that speaks apertium-apy's HTTP over a real socket, and misbehaves as told."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from tests.peers.http_server import Client, HttpRequest, HttpServer, answer

PAIRS = (("eng", "spa"), ("spa", "eng"), ("spa", "eng_US"))
WORDS = {"where": "dónde", "is": "está", "my": "mi", "parcel": "paquete", "hello": "hola"}


@dataclass
class ApertiumPeer(HttpServer):
    """Translates word by word; an unknown word is marked where the client does not decline marks.

    ``status`` and ``body``: answered to ``/translate`` instead. ``delay``: seconds before each answer.
    ``broken``: break off in the middle of it.
    """

    pairs: tuple[tuple[str, str], ...] = PAIRS
    status: int = 200
    body: bytes | None = None
    pairs_body: bytes | None = None
    delay: float = 0.0
    broken: bool = False
    requests: list[dict[str, str]] = field(default_factory=list)

    async def answer_to(self, request: HttpRequest, client: Client) -> bool:
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        whole = answer(*self._answer(request.path, form))
        await asyncio.sleep(self.delay)
        await client.send(whole[: len(whole) - 5] if self.broken else whole)
        return not self.broken

    def _answer(self, path: str, form: dict[str, str]) -> tuple[int, bytes]:
        if path == "/listPairs":
            listed = [{"sourceLanguage": source, "targetLanguage": target} for source, target in self.pairs]
            return 200, self.pairs_body if self.pairs_body is not None else _json({"responseData": listed})
        if path != "/translate":
            return 404, b"<html>no such page</html>"
        self.requests.append(form)
        if self.body is not None or self.status != 200:
            return self.status, self.body if self.body is not None else _json(
                {"status": "error", "code": self.status, "explanation": "internal error"}
            )
        mark = "" if form.get("markUnknown") == "no" else "*"
        text = " ".join(
            WORDS.get(word.lower().strip("?."), mark + word) for word in form.get("q", "").split()
        )
        return 200, _json({"responseData": {"translatedText": text}, "responseStatus": 200})


def _json(content: Any) -> bytes:
    return json.dumps(content).encode()
