"""A telephone with a caller: dials our webhook and media socket exactly as Twilio would.

It shares no code with ``telephony.carriers``: an error in one side is not mirrored in the other.
"""
