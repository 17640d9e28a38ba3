"""Calls written in YAML, held in virtual time and over the wire, and judged by what the caller heard."""
