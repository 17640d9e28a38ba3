"""The only I/O in telephony: one folder a carrier, strangers to each other."""
