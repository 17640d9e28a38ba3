"""A model of the shape of Whisper's tiny.en, with random weights: what decoding costs, not what was said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np

from tests.peers.whisper_model import build_whisper

_LAYERS, _HEADS, _WIDTH, _MELS, _FRAMES, _TOKENS = 4, 6, 384, 80, 1500, 448
_VOCABULARY = 51_864
_PROMPT = 2  # tokens of an English model's prompt


def build_tiny_en(folder: Path, words: int = 12) -> Path:
    """Write the model to ``folder``, 60 MB. It says so many tokens of text about any audio."""
    build_whisper(folder)
    vocabulary = json.loads((folder / "vocabulary.json").read_text(encoding="utf-8"))
    random = np.random.default_rng(1)
    spec = ctranslate2.specs.WhisperSpec(_LAYERS, _HEADS, _LAYERS, _HEADS)
    _encoder(spec.encoder, random)
    end = vocabulary.index("<|endoftext|>")
    texts = [index for index, token in enumerate(vocabulary[:end]) if token[0] == " " and len(token) > 1]
    _decoder(spec.decoder, random, slice(texts[0], texts[-1] + 1), end, words)
    spec.register_vocabulary([*vocabulary, *(f"unused {n}" for n in range(_VOCABULARY - len(vocabulary)))])
    spec.config.suppress_ids = []
    spec.config.suppress_ids_begin = []
    spec.config.lang_ids = []
    spec.config.alignment_heads = [[1, 0], [2, 0], [2, 5], [3, 0], [3, 1], [3, 2], [3, 3], [3, 4]]  # its own
    spec.validate()
    spec.optimize(quantization="int8")
    spec.save(str(folder))
    return folder


def _encoder(spec: Any, random: np.random.Generator) -> None:
    for conv, channels in ((spec.conv1, _MELS), (spec.conv2, _WIDTH)):
        conv.weight, conv.bias = _weights(random, _WIDTH, channels, 3), np.zeros(_WIDTH, np.float32)
    spec.position_encodings.encodings = _weights(random, _FRAMES, _WIDTH)
    _norm(spec.layer_norm)
    for layer in spec.layer:
        _attention(layer.self_attention, random, (3, 1))
        _feed_forward(layer.ffn, random)


def _decoder(spec: Any, random: np.random.Generator, spoken: slice, end: int, words: int) -> None:
    """Each word is followed by the next one; the first dimension counts, and turns it to the end of text."""
    embeddings = np.zeros((_VOCABULARY, _WIDTH), np.float32)
    embeddings[spoken] = random.standard_normal((spoken.stop - spoken.start, _WIDTH), np.float32)
    projection = embeddings.copy()
    projection[spoken] = np.roll(embeddings[spoken], -1, axis=0)
    projection[spoken, 0], projection[end, 0] = -1.0, 100.0
    positions = np.zeros((_TOKENS, _WIDTH), np.float32)
    positions[:, 0] = np.where(np.arange(_TOKENS) < _PROMPT + words - 1, -5.0, 20.0)
    spec.embeddings.weight, spec.projection.weight = embeddings, projection
    spec.position_encodings.encodings = positions
    _norm(spec.layer_norm)
    for layer in spec.layer:
        _attention(layer.self_attention, random, (3, 1))
        _attention(layer.attention, random, (1, 2, 1))
        _feed_forward(layer.ffn, random)


def _attention(spec: Any, random: np.random.Generator, outputs: tuple[int, ...]) -> None:
    _norm(spec.layer_norm)
    for linear, times in zip(spec.linear, outputs, strict=True):
        _linear(linear, random, times * _WIDTH, _WIDTH)


def _feed_forward(spec: Any, random: np.random.Generator) -> None:
    _norm(spec.layer_norm)
    _linear(spec.linear_0, random, 4 * _WIDTH, _WIDTH)
    _linear(spec.linear_1, random, _WIDTH, 4 * _WIDTH)


def _linear(spec: Any, random: np.random.Generator, outputs: int, inputs: int) -> None:
    spec.weight, spec.bias = _weights(random, outputs, inputs), np.zeros(outputs, np.float32)


def _weights(random: np.random.Generator, *shape: int) -> np.ndarray:
    return random.standard_normal(shape, np.float32) * np.float32(0.02)


def _norm(spec: Any) -> None:
    spec.gamma, spec.beta = np.ones(_WIDTH, np.float32), np.zeros(_WIDTH, np.float32)
