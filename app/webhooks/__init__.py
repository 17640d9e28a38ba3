"""Telling the customer's systems about calls."""
