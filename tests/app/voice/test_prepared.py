from __future__ import annotations

from app.voice.prepared import prepared_phrases
from app.voice.profile import AgentProfile, Sentences


def test_fixed_sentences_and_prepared_answers_are_cut_and_spoken_as_in_a_call() -> None:
    says = Sentences(greeting="Hello! We are **Meadow** Parcel.", no_input=("Still there?", "Say 5, please."))
    profile = AgentProfile(name="parcel", says=says, prepared=("It is open. Until 6 p.m. daily.", "😀"))
    phrases = prepared_phrases(profile)
    assert phrases[:4] == ("Hello!", "We are Meadow Parcel.", "Still there?", "Say five, please.")
    assert phrases[-2:] == ("It is open.", "Until six p.m. daily.")
    assert profile.says.apology.split("? ")[0].split(". ")[0] in " ".join(phrases)


def test_a_phrase_said_twice_is_prepared_once() -> None:
    profile = AgentProfile(name="parcel", says=Sentences(greeting="Goodbye.", max_duration="Goodbye."))
    assert prepared_phrases(profile).count("Goodbye.") == 1
