"""Latency and capacity of a running server, measured over the wire as a caller hears it."""
