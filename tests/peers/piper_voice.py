"""A tiny Piper voice, whose phonemes are tones of 23 ms: the real loading and phonemising, no real speech."""

from __future__ import annotations

import json
from pathlib import Path

from tests.onnx_bytes import voice_model

HZ, HOP, FRAMES = 22_050, 256, 1.5  # two frames a phoneme
_SYMBOLS = (
    "_^$ !'(),-.:;?abcdefhijklmnopqrstuvwxyzæçðøħŋœɐɑɒɓɔɕɖɗəɚɛɜɝɟɡɣɤɥɦɧɨɪɫɬɭɮɯɱɲɳɵɸɹɺɻɽɾʁʂʃʈʊʋʌʍʎʏʐʑʒʔʕ"
    "θχᵻˈˌːˑ˞βε"
)


def write_voice(
    folder: Path, name: str, *, language: str = "en_US", espeak: str = "en-us", tone_hz: float = 440.0
) -> Path:
    """The voice's two files; returns the path of its model."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.onnx"
    path.write_bytes(voice_model(HOP, FRAMES, tone_hz, HZ))
    described = {
        "audio": {"sample_rate": HZ, "quality": "tiny"},
        "espeak": {"voice": espeak},
        "inference": {"noise_scale": 0.667, "length_scale": 1.0, "noise_w": 0.8},
        "phoneme_type": "espeak",
        "phoneme_id_map": {symbol: [number] for number, symbol in enumerate(dict.fromkeys(_SYMBOLS))},
        "num_symbols": len(_SYMBOLS),
        "num_speakers": 1,
        "speaker_id_map": {},
        "language": {"code": language},
        "dataset": name.split("-")[1] if "-" in name else name,
        "hop_length": HOP,
    }
    Path(f"{path}.json").write_text(json.dumps(described), encoding="utf-8")
    return path
