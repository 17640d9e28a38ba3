"""The store that the settings name."""

from __future__ import annotations

from app.recordings.ports import Store
from app.recordings.stores import Bucket, BucketSettings, LocalFolder
from config.settings import Settings


def build_store(settings: Settings) -> Store:
    """A folder or a bucket. Connects to nothing."""
    recordings, bucket = settings.recordings, settings.recordings.s3
    if recordings.store == "local":
        return LocalFolder(settings.recordings_dir)
    return Bucket(
        BucketSettings(
            bucket=bucket.bucket,
            region=bucket.region,
            endpoint=bucket.endpoint,
            access_key=bucket.access_key,
            secret_key=bucket.secret_key.get_secret_value(),
            prefix=bucket.prefix,
            timeout_seconds=bucket.timeout_seconds,
        )
    )
