"""Engines in an order of preference: when one fails, the call goes on with the next.

A call keeps the engine that it was moved to. What is known of an engine's health is shared by all calls.
"""
