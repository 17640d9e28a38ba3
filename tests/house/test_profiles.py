"""Every profile names engines that there are, and says in its first lines what it needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.agents.files import read_profiles
from app.engines.build import build_engines
from app.engines.supply.catalogue import read_catalogue
from app.engines.supply.needs import needs
from config.secrets import SELF_CONTAINED
from config.settings import AGENTS, PROFILES, Settings

NAMES = sorted(path.stem for path in PROFILES.glob("*.yaml"))
EMBEDDED = {"pocketsphinx", "scripted", "espeak"}


def head(profile: str) -> str:
    lines = (PROFILES / f"{profile}.yaml").read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines[: next(i for i, line in enumerate(lines) if line[0] != "#")])


@pytest.mark.parametrize("profile", NAMES)
def test_its_engines_can_be_built(profile: str, tmp_path: Path) -> None:
    assert build_engines(Settings(profile=profile).engines, tmp_path).all()


@pytest.mark.parametrize("profile", NAMES)
def test_its_agent_is_there(profile: str) -> None:
    assert Settings(profile=profile).calls.agent in {agent.name for agent in read_profiles(AGENTS)}


@pytest.mark.parametrize("profile", [name for name in NAMES if name not in SELF_CONTAINED])
def test_it_says_what_it_needs(profile: str, tmp_path: Path) -> None:
    told, settings = head(profile), Settings(profile=profile, data_dir=tmp_path)
    found = needs(settings.engines, settings.models_dir, read_catalogue())
    if any(need.model for need in found):
        assert f"trunkline models fetch --profile {profile}" in told
    assert "make engines" in told
    assert "trunkline models check" in told
    for secret in (
        "TRUNKLINE_TWILIO__ACCOUNT_SID",
        "TRUNKLINE_TWILIO__AUTH_TOKEN",
        "TRUNKLINE_ADMIN__API_KEY",
    ):
        assert secret in told
    model = settings.engines.openai.model
    assert "ollama pull" not in told or f"ollama pull {model}" in told


@pytest.mark.parametrize("profile", [name for name in NAMES if name not in SELF_CONTAINED])
def test_its_last_engine_of_each_kind_is_embedded(profile: str) -> None:
    engines = Settings(profile=profile).engines
    for names in (engines.stt, engines.llm, engines.tts):
        assert names.split(",")[-1].strip() in EMBEDDED


@pytest.mark.parametrize("profile", NAMES)
def test_no_voice_or_recogniser_that_stalls_is_waited_for_longer_than_the_caller_bears(
    profile: str, tmp_path: Path
) -> None:
    engines = build_engines(Settings(profile=profile).engines, tmp_path)
    for listed in (engines.recogniser, engines.voices):
        for candidate in listed.roster.candidates:
            assert candidate.first.most <= 1.2
