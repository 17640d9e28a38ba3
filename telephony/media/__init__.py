"""Pure telephone audio: codecs, framing, resampling, level."""
