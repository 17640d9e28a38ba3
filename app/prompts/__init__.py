"""Prompts: what language models are told, in versions."""
