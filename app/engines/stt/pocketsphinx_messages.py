"""What the pocketsphinx recogniser and its worker processes say to each other.

To a worker: PREPARE a domain, OPEN a stream of it, its AUDIO (PCM16 at 8 kHz), EXPECT and FINISH, CLOSE.
From it: PREPARED with the words it cannot hear, HEARD samples as they are taken, INTERIM and FINAL.
Kinds 0 to 9 belong to ``wire``.
"""

from __future__ import annotations

import struct

PREPARE, OPEN, AUDIO, EXPECT, FINISH, CLOSE = 10, 11, 12, 13, 14, 15
PREPARED, HEARD, INTERIM, FINAL = 20, 21, 22, 23

ID = struct.Struct("<I")  # of a domain or a stream; begins every body
OPENED = struct.Struct("<II")  # stream, domain
EXPECTED = struct.Struct("<Ii")  # stream, digits: ANYTHING, ANY_LENGTH or how many
TAKEN = struct.Struct("<II")  # stream, samples
RESULT = struct.Struct("<If")  # stream, confidence; the text follows

ANYTHING, ANY_LENGTH = -1, 0
