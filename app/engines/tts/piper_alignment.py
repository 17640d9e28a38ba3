"""Where Piper's words begin: a voice made to say how long each phoneme lasts, and phonemes led back to words.

A VITS model computes the lengths (the output of its one ``Ceil`` node) without giving them away.
``with_lengths`` adds them to the outputs as Piper's own patch does, but in protobuf's wire format
(onnx.proto3), so that nobody needs the onnx package. Voices that were patched before stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from difflib import SequenceMatcher

_MODEL_GRAPH, _GRAPH_NODE, _GRAPH_OUTPUT = 7, 1, 12
_NODE_OUTPUT, _NODE_TYPE, _VALUE_NAME = 2, 4, 1
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_STRESS = "ˈˌː"
_TOKEN = re.compile(r"\S+")


def with_lengths(model: bytes) -> bytes:
    """The model with the lengths of its phonemes as a second output, or as it is where they are not found."""
    outputs: set[bytes] = set()
    lengths: set[bytes] = set()
    try:
        for graph in _fields(model, _MODEL_GRAPH):
            outputs.update(
                name for value in _fields(graph, _GRAPH_OUTPUT) for name in _fields(value, _VALUE_NAME)
            )
            for node in _fields(graph, _GRAPH_NODE):
                if b"Ceil" in _fields(node, _NODE_TYPE):
                    lengths.update(_fields(node, _NODE_OUTPUT))
    except (IndexError, ValueError):
        return model  # whoever loads it will say what is wrong
    if len(lengths) != 1 or lengths <= outputs:
        return model
    output = _part(_GRAPH_OUTPUT, _part(_VALUE_NAME, lengths.pop()))
    return model + _part(_MODEL_GRAPH, output)  # a message that comes twice is merged


class WordPlaces:
    """Where the words of a phrase begin in its sentences' phonemes.

    ``sentences``: the phonemes of the phrase as it is spoken; ``phonemes_of``: of one word alone. They differ
    where words run together ("of the"), so one sequence is laid along the other.
    """

    def __init__(
        self, phrase: str, sentences: Sequence[Sequence[str]], phonemes_of: Callable[[str], list[str]]
    ) -> None:
        spoken = [
            (number, index)
            for number, phonemes in enumerate(sentences)
            for index, phoneme in enumerate(phonemes)
            if _is_sound(phoneme)
        ]
        alone: list[str] = []
        begins: list[tuple[int, int]] = []  # a word's character, and its first sound among those of all words
        for token in _TOKEN.finditer(phrase):
            sounds = [phoneme for phoneme in phonemes_of(token[0]) if _is_sound(phoneme)]
            if sounds:
                begins.append((token.start() + _first_letter(token[0]), len(alone)))
                alone += sounds
        together = [sentences[number][index] for number, index in spoken]
        self._places: dict[int, list[tuple[int, int]]] = {}
        for char, sound in _laid_along(begins, alone, together):
            number, index = spoken[sound]
            while index and sentences[number][index - 1] in _STRESS:
                index -= 1
            self._places.setdefault(number, []).append((char, index))

    def of(self, sentence: int) -> Sequence[tuple[int, int]]:
        """The words of a sentence: the character in the phrase, and the phoneme in the sentence."""
        return self._places.get(sentence, ())


def _laid_along(
    begins: Sequence[tuple[int, int]], alone: list[str], together: list[str]
) -> Iterator[tuple[int, int]]:
    """For each word its character and its first sound in ``together``; of words that share one, the first."""
    blocks = SequenceMatcher(None, alone, together, autojunk=False).get_matching_blocks()
    last, block = -1, 0
    for char, sound in begins:
        while block + 1 < len(blocks) and blocks[block + 1].a <= sound:
            block += 1
        match = blocks[block]
        place = match.b + max(0, sound - match.a) if match.a <= sound else sound
        if last < place < len(together):
            yield char, place
            last = place


def _is_sound(phoneme: str) -> bool:
    return phoneme[:1].isalpha() and phoneme not in _STRESS


def _first_letter(token: str) -> int:
    return next((index for index, char in enumerate(token) if char.isalnum()), 0)


def _fields(message: bytes, wanted: int) -> list[bytes]:
    """The contents of a message's fields of this number. Raises ``IndexError`` or ``ValueError``."""
    found: list[bytes] = []
    at = 0
    while at < len(message):
        key, at = _varint_at(message, at)
        kind = key & 7
        if kind == _VARINT:
            _, at = _varint_at(message, at)
            continue
        if kind == _BYTES:
            length, at = _varint_at(message, at)
        elif kind in {_FIXED64, _FIXED32}:
            length = 8 if kind == _FIXED64 else 4
        else:
            raise ValueError("no protobuf")
        if at + length > len(message):
            raise ValueError("cut off")
        if key >> 3 == wanted:
            found.append(message[at : at + length])
        at += length
    return found


def _varint_at(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _part(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | _BYTES) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])
