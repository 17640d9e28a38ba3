"""A tiny Whisper model, with weights set by hand, that tells tones from silence.

It says the colour of every half second: one of eight, by where the sound's energy is; of a silent one
nothing; and it ends at the second silent half second in a row. Nothing in it is learnt:

- the encoder's convolutions sum what is loud in each of the eight bands; its positions name the half second;
- each token of the decoder names the half second that comes next; the query of its attention meets the keys
  of that half second's frames; what it finds there is added to the state, and the loudest of the bands and a
  threshold is the next token.

So cross-attention lies where the sound is, and words have true times. A token is a word and the number of its
half second, which decoding to text takes away: a silent one is the number alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
import tokenizers
from faster_whisper.tokenizer import _LANGUAGE_CODES
from tokenizers import Regex, decoders, models, pre_tokenizers

SLOT_SECONDS = 0.5
COLOURS = {
    "red": 130, "orange": 400, "yellow": 650, "green": 930, "blue": 1300, "violet": 1800, "white": 2500,
    "black": 3500,
}  # fmt: skip
"""Each word and the frequency of a tone, in Hz, that is heard as it."""

_SLOTS = 60
_BAND_PAIRS = 4  # of mels
_MELS, _WIDTH, _FRAMES, _TOKENS = 80, 128, 1500, 448
_TASKS = (
    "<|translate|>",
    "<|transcribe|>",
    "<|startoflm|>",
    "<|startofprev|>",
    "<|nospeech|>",
    "<|notimestamps|>",
)
_TEXT_TOKENS = 50_257  # of the multilingual models, whose special tokens come next
_BANDS = slice(64, 64 + len(COLOURS))  # of the state's dimensions; 0 to 59 are the half seconds
_CONST, _THRESHOLD, _WAS_SILENT = 80, 81, 82
_CHARACTERS = [chr(code) for code in range(32, 127)]


def build_whisper(folder: Path, *, multilingual: bool = False) -> Path:
    """Write the model to ``folder``, as a converted model lies there; 2 MB; ``multilingual``: 50 MB."""
    vocabulary = _vocabulary(multilingual)
    spec = ctranslate2.specs.WhisperSpec(1, 1, 1, 1)
    _encoder(spec.encoder)
    _decoder(spec.decoder, {token: index for index, token in enumerate(vocabulary)})
    spec.register_vocabulary(vocabulary)
    spec.config.suppress_ids = []
    spec.config.suppress_ids_begin = []
    spec.config.lang_ids = [vocabulary.index(f"<|{language}|>") for language in _LANGUAGE_CODES[:99]]
    spec.config.alignment_heads = [[0, 0]]
    spec.validate()
    folder.mkdir(parents=True, exist_ok=True)
    spec.save(str(folder))
    _tokenizer(vocabulary).save(str(folder / "tokenizer.json"))
    return folder


def _vocabulary(multilingual: bool) -> list[str]:
    text = _CHARACTERS + [f" {colour}{slot}" for slot in range(_SLOTS) for colour in COLOURS]
    text += [f"{slot}" for slot in range(10, _SLOTS + 10)]  # silence; of two figures, as one is a character
    if multilingual:
        text += [f"unused {index}" for index in range(_TEXT_TOKENS - len(text) - 1)]
        text.append("")  # by which ctranslate2 knows a multilingual model
    languages = [f"<|{language}|>" for language in _LANGUAGE_CODES[:99]]
    times = [f"<|{index * 0.02:.2f}|>" for index in range(1501)]
    return [*text, "<|endoftext|>", "<|startoftranscript|>", *languages, *_TASKS, *times]


def _tokenizer(vocabulary: list[str]) -> Any:
    tokenizer = tokenizers.Tokenizer(
        models.BPE({token: index for index, token in enumerate(vocabulary)}, [], unk_token=" ")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    tokenizer.decoder = decoders.Sequence([decoders.Replace(Regex("[0-9]+"), ""), decoders.Fuse()])
    tokenizer.add_special_tokens([token for token in vocabulary if token.startswith("<|")])
    return tokenizer


def _encoder(spec: Any) -> None:
    pairs = np.arange(_MELS // 2)
    first = np.zeros((_WIDTH, _MELS, 3), np.float32)
    for channels in (pairs, pairs + pairs.size):  # the second are subtracted, so that loudness has a limit
        first[channels, 2 * pairs, 1] = first[channels, 2 * pairs + 1, 1] = 4.0
    spec.conv1.weight = first
    spec.conv1.bias = np.repeat(
        np.array([-2.4, -6.4, 0.0], np.float32), [pairs.size, pairs.size, _WIDTH - 2 * pairs.size]
    )
    second = np.zeros((_WIDTH, _WIDTH, 3), np.float32)
    for band in range(len(COLOURS)):
        own = slice(band * _BAND_PAIRS, (band + 1) * _BAND_PAIRS)
        second[_BANDS.start + band, pairs[own], 1] = 0.2
        second[_BANDS.start + band, pairs[own] + pairs.size, 1] = -0.2
    spec.conv2.weight, spec.conv2.bias = second, np.zeros(_WIDTH, np.float32)
    positions = np.zeros((_FRAMES, _WIDTH), np.float32)
    positions[np.arange(_FRAMES), (np.arange(_FRAMES) * 0.02 / SLOT_SECONDS).astype(int)] = 4.0
    spec.position_encodings.encodings = positions
    _norm(spec.layer_norm)
    _attention(spec.layer[0].self_attention, 2)
    _feed_forward(spec.layer[0].ffn)


def _decoder(spec: Any, tokens: dict[str, int]) -> None:
    embeddings = np.zeros((len(tokens), _WIDTH), np.float32)
    embeddings[:, (_CONST, _THRESHOLD)] = 1.0
    embeddings[tokens["<|notimestamps|>"], 0] = 1.0
    projection = np.zeros((len(tokens), _WIDTH), np.float32)
    for slot in range(_SLOTS):
        spoken = [tokens[f" {colour}{slot}"] for colour in COLOURS]
        silent = tokens[f"{slot + 10}"]
        if slot + 1 < _SLOTS:
            embeddings[[*spoken, silent], slot + 1] = 1.0
        embeddings[silent, _WAS_SILENT] = 1.0
        projection[[*spoken, silent], slot] = 4.0
        projection[spoken, range(_BANDS.start, _BANDS.stop)] = 2.0
        projection[silent, _THRESHOLD] = 2.0
    projection[tokens["<|de|>"], _CONST] = 3.0  # the language that it hears; any token of text is likelier
    end = tokens["<|endoftext|>"]
    projection[end, (_CONST, _WAS_SILENT, _THRESHOLD)] = (3.0, 1.5, 2.0)
    spec.embeddings.weight = embeddings
    spec.position_encodings.encodings = np.zeros((_TOKENS, _WIDTH), np.float32)
    spec.projection.weight = projection
    _norm(spec.layer_norm)
    layer = spec.layer[0]
    _attention(layer.self_attention, 2)
    _feed_forward(layer.ffn)
    slots = np.diag((np.arange(_WIDTH) < _SLOTS).astype(np.float32))
    levels = np.zeros((_WIDTH, _WIDTH), np.float32)
    levels[_BANDS, _BANDS] = np.eye(len(COLOURS))
    nothing = np.zeros(_WIDTH, np.float32)
    _norm(layer.attention.layer_norm)
    query, keys_values, output = layer.attention.linear
    query.weight, query.bias = slots, nothing
    louder = np.zeros((_WIDTH, _WIDTH), np.float32)  # a loud frame's position is smaller, after the norm
    louder[:_SLOTS, _BANDS] = 0.2
    keys_values.weight = np.concatenate((slots + louder, levels))
    keys_values.bias = np.zeros(2 * _WIDTH, np.float32)
    output.weight, output.bias = levels, nothing


def _attention(spec: Any, linears: int) -> None:
    """One that adds nothing."""
    _norm(spec.layer_norm)
    outputs = (3 * _WIDTH, _WIDTH)
    for linear, size in zip(spec.linear[:linears], outputs, strict=True):
        linear.weight, linear.bias = np.zeros((size, _WIDTH), np.float32), np.zeros(size, np.float32)


def _feed_forward(spec: Any) -> None:
    """One that adds nothing."""
    _norm(spec.layer_norm)
    for linear in (spec.linear_0, spec.linear_1):
        linear.weight, linear.bias = np.zeros((_WIDTH, _WIDTH), np.float32), np.zeros(_WIDTH, np.float32)


def _norm(spec: Any) -> None:
    spec.gamma, spec.beta = np.ones(_WIDTH, np.float32), np.zeros(_WIDTH, np.float32)
