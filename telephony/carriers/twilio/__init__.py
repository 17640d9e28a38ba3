"""Twilio Programmable Voice: signed webhooks and bidirectional Media Streams."""
