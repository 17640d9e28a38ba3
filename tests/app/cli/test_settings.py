from __future__ import annotations

import pytest

from app.cli.settings import read_settings


@pytest.mark.parametrize(("variable", "value", "told"), [
    ("ENGINES__SERVERS", "xx", "TRUNKLINE_ENGINES__SERVERS: is no JSON"),
    ("ENGINES__SERVERS", '{"b": {"api_key": "secret" "m"}}', "TRUNKLINE_ENGINES__SERVERS: is no JSON"),
    ("ENGINES__SERVERS", '{"Backup": {"model": "m"}}', "a-z, 0-9 and _, not 'Backup'"),
    ("TWILIO__SHARED_KEYS", "{secret", "TRUNKLINE_TWILIO__SHARED_KEYS: is no JSON"),
    ("HTTP__PORT", "http", "TRUNKLINE_HTTP__PORT: Input should be a valid integer"),
])  # fmt: skip
def test_a_wrong_setting_ends_the_command_and_is_named(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, told: str
) -> None:
    monkeypatch.setenv(f"TRUNKLINE_{variable}", value)
    with pytest.raises(SystemExit) as caught:
        read_settings()
    message = str(caught.value)
    assert told in message
    assert "secret" not in message
