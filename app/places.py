"""Where recordings come from and go to, by the settings."""

from __future__ import annotations

from app.recordings.ports import CarrierRecordings, Places
from app.recordings.stores import Bucket, LocalFolder
from config.secrets import read_secrets
from config.settings import Settings
from telephony.carriers.twilio.recordings import TwilioRecordings
from telephony.carriers.twilio.signature import TwilioCredentials


def build_places(settings: Settings) -> Places:
    """The store that new recordings go to, and the one that old ones may be in. Connects to nothing.

    Raises ``SecretsError`` where stored secrets cannot be read.
    """
    folder = settings.recordings_dir
    local, bucket = LocalFolder(folder), _bucket(settings)
    if bucket is None:
        return Places(folder, local, _carrier(settings))
    if settings.recordings.store == "s3":
        return Places(folder, bucket, _carrier(settings), (local,))
    return Places(folder, local, _carrier(settings), (bucket,))


def _bucket(settings: Settings) -> Bucket | None:
    named = settings.recordings.s3
    if not named.bucket:
        return None
    return Bucket(
        named.bucket,
        named.region,
        endpoint=named.endpoint,
        access_key=named.access_key,
        secret_key=named.secret_key.get_secret_value(),
        prefix=named.prefix,
        timeout_seconds=named.timeout_seconds,
    )


def _carrier(settings: Settings) -> CarrierRecordings | None:
    """The carrier whose recordings are fetched; ``None`` without an account."""
    read_secrets(settings)
    twilio = settings.twilio
    if not twilio.account_sid or not twilio.auth_token:
        return None
    credentials = TwilioCredentials(twilio.account_sid, twilio.auth_token.get_secret_value())
    return TwilioRecordings(credentials, settings.origin, twilio.api_url)
