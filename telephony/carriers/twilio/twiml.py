"""The TwiML documents that Trunkline answers with, written by Twilio's own library."""

from __future__ import annotations

from dataclasses import dataclass

from twilio.twiml.voice_response import Connect, Dial, VoiceResponse


@dataclass(frozen=True, slots=True)
class Routes:
    """Where the carrier reaches us: absolute URLs without a query, since ``<Stream>`` takes none."""

    stream: str
    stream_status: str
    after: str

    @classmethod
    def under(cls, origin: str) -> Routes:
        """The fixed routes under a public origin."""
        socket_origin = "ws" + origin.removeprefix("http")
        return cls(
            stream=f"{socket_origin}/media/twilio",
            stream_status=f"{origin}/voice/twilio/stream-status",
            after=f"{origin}/voice/twilio/after",
        )


def connect_stream(routes: Routes, token: str) -> str:
    """Connect the call to our socket. When the socket closes, the carrier asks ``after`` how to go on."""
    connect = Connect(action=routes.after, method="POST")
    stream = connect.stream(url=routes.stream, status_callback=routes.stream_status)
    stream.parameter(name="token", value=token)
    return _document(VoiceResponse().append(connect))


def apologise(sentence: str, fallback_number: str, routes: Routes) -> str:
    """Nobody can answer: dial the fallback number where one is set, else say so politely and hang up."""
    return dial(fallback_number, routes) if fallback_number else say_goodbye(sentence)


def dial(number: str, routes: Routes) -> str:
    """Put the caller through to a number. When that is over, the carrier asks ``after`` how to go on."""
    response = VoiceResponse()
    dialled = Dial(action=routes.after, method="POST", timeout=30, answer_on_bridge=True)
    dialled.number(number)
    return _document(response.append(dialled))


def say_goodbye(sentence: str) -> str:
    """A sentence in the carrier's own voice, then hang up."""
    response = VoiceResponse()
    response.say(sentence)
    response.hangup()
    return _document(response)


def hang_up() -> str:
    """End the call."""
    response = VoiceResponse()
    response.hangup()
    return _document(response)


def _document(response: VoiceResponse) -> str:
    return str(response)
