"""A call's signalling and audio. Knows no model and no database."""
