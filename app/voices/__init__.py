"""Voices: names of our own for what speech engines offer."""
