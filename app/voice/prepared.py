"""What an agent says in words known beforehand, as it is given to speech: phrases and their voice. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from app.engines.ports import VoiceSpec
from app.voice.chunker import Chunker
from app.voice.profile import AgentProfile
from app.voice.speakable import speakable


def prepared_phrases(profile: AgentProfile) -> tuple[str, ...]:
    """The spoken phrases of the agent's fixed sentences and prepared answers, each once, in their order."""
    phrases: dict[str, None] = {}
    for text in (*_sentences(profile), *profile.prepared):
        chunker = Chunker(profile.phrasing, profile.language)
        for phrase in chunker.feed(text) + chunker.finish():
            if spoken := speakable(phrase.text, profile.language).text:
                phrases[spoken] = None
    return tuple(phrases)


def voice_of(profile: AgentProfile) -> VoiceSpec:
    """The voice of all that the agent says."""
    voice = profile.voice
    return VoiceSpec(
        voice.name, profile.language, voice.rate, voice.pitch, tuple(sorted(voice.names.items()))
    )


def _sentences(profile: AgentProfile) -> Iterator[str]:
    for _, said in profile.says:
        if isinstance(said, str):
            yield said
        else:
            yield from said
    if profile.recording.consent:
        yield from (profile.recording.consent, profile.recording.refused)
    yield from profile.in_outage.no_match
    for intent in profile.in_outage.intents.values():
        yield intent.say
