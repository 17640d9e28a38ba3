"""Every setting stands in config/example.env with its default, and nothing else does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr, ValidationError

from config.secrets import SecretsError, complete_secrets
from config.settings import PROFILES, ROOT, Settings


def leaves(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, field in model.model_fields.items():
        default = field.get_default(call_default_factory=True)
        if isinstance(default, BaseModel):
            yield from leaves(type(default), f"{prefix}{name.upper()}__")
        else:
            yield f"{prefix}{name.upper()}", default


def documented() -> dict[str, str]:
    lines = (ROOT / "example.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_every_setting_is_documented_with_its_default() -> None:
    expected = dict(leaves(Settings, "TRUNKLINE_"))
    shown = documented()
    assert shown.keys() == expected.keys()
    for name, default in expected.items():
        text = shown[name]
        match default:
            case SecretStr():
                assert text == default.get_secret_value(), name
            case bool():
                assert text == str(default).lower(), name
            case int() | float():
                assert float(text) == default, name
            case tuple() | dict():
                assert json.loads(text) == (list(default) if isinstance(default, tuple) else default), name
            case _:
                assert text == str(default), name


def test_every_documented_setting_is_explained() -> None:
    lines = (ROOT / "example.env").read_text().splitlines()
    units = [line for line in lines if line.startswith("#")]
    assert len(units) >= 30


@pytest.mark.parametrize("profile", sorted(path.stem for path in PROFILES.glob("*.yaml")))
def test_every_profile_loads(profile: str) -> None:
    assert Settings(profile=profile).profile == profile


def test_the_environment_overrides_the_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUNKLINE_PROFILE", "bench")
    monkeypatch.setenv("TRUNKLINE_ENGINES__TTS", "espeak")
    settings = Settings()
    assert (settings.engines.stt, settings.engines.tts) == ("timed", "espeak")


def test_an_unknown_profile_is_named_with_the_known_ones() -> None:
    with pytest.raises(SystemExit, match=r"'nothing'.*bench, cloud, embedded, gpu"):
        Settings(profile="nothing")


@pytest.mark.parametrize(
    "url", ["voice.example.com", "https://h/path", "https://u:p@h", "ftp://h", "https://h?x=1"]
)
def test_a_public_url_is_an_origin(url: str) -> None:
    with pytest.raises(ValidationError, match="TRUNKLINE_PUBLIC_URL"):
        Settings(public_url=url)


def test_secrets_are_made_once_and_kept_for_the_owner_alone(tmp_path: Path) -> None:
    first = Settings(data_dir=tmp_path / "new")
    shown = complete_secrets(first).shown
    assert len(shown) == 3
    assert (tmp_path / "new" / "secrets.json").stat().st_mode & 0o777 == 0o600
    second = Settings(data_dir=tmp_path / "new")
    assert complete_secrets(second).shown == {}
    assert second.twilio.auth_token == first.twilio.auth_token
    assert second.admin.api_key == first.admin.api_key
    assert shown["TRUNKLINE_TWILIO__AUTH_TOKEN"] not in repr(first)


def test_other_profiles_refuse_to_make_secrets(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    settings.profile = "cloud"
    with pytest.raises(SecretsError, match="TRUNKLINE_TWILIO__ACCOUNT_SID is not set"):
        complete_secrets(settings)


def test_a_broken_secrets_file_is_explained(tmp_path: Path) -> None:
    (tmp_path / "secrets.json").write_text("{")
    with pytest.raises(SecretsError, match=r"secrets\.json cannot be read"):
        complete_secrets(Settings(data_dir=tmp_path))
