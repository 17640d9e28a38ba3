#!/bin/sh
# Makes the demonstration caller's recordings beside this script. Needs flite 2.2 (apt-get install flite).
# The same input gives the same bytes; texts.tsv says what is said in which file.
set -eu
cd "$(dirname "$0")"
python="${PYTHON:-python3}"
work="$(mktemp -d)"
trap 'rm -r "$work"' EXIT
tail -n +2 texts.tsv | while IFS="$(printf '\t')" read -r name stretch text; do
    flite -voice rms --setf duration_stretch="$stretch" -t "$text" -o "$work/$name.wav"
    "$python" - "$work/$name.wav" "$name.wav" <<'PYTHON'
import sys
from pathlib import Path
import numpy as np
from telephony.simulator.heard import write_wav
from telephony.simulator.speech import read_wav
samples = read_wav(Path(sys.argv[1])).astype(float)
voiced = np.nonzero(np.abs(samples) > 200)[0]
samples = samples[max(0, voiced[0] - 400) : voiced[-1] + 400]  # 50 ms of silence at either end
samples *= 3277 / np.sqrt(np.mean(samples**2))  # -20 dBFS
write_wav(Path(sys.argv[2]), np.clip(samples, -32767, 32767).astype(np.int16))
PYTHON
done
