"""Agents: their profiles, in versions."""
