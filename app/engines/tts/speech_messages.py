"""What a synthesiser and its worker processes say to each other.

To the worker: SPEAK and CANCEL. From it: VOICES where it knows them, and for each request AUDIO pieces, then
DONE, for a cancelled one too, or REFUSED with the reason. Kinds 0 to 9 belong to ``wire``.
"""

from __future__ import annotations

import struct

SPEAK, CANCEL = 10, 11
VOICES, AUDIO, DONE, REFUSED = 20, 21, 22, 23

REQUEST = struct.Struct("<I")
SPEAK_HEAD = struct.Struct("<IffH")  # request, rate, pitch, bytes of the voice's name; name and phrase follow
AUDIO_HEAD = struct.Struct("<IH")  # request, number of words; words and PCM16 follow
WORD = struct.Struct("<II")  # char, sample
