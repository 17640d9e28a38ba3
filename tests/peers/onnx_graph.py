"""ONNX models written by hand, in protobuf's wire format (onnx.proto3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

_VARINT, _BYTES = 0, 2
_INT_ATTRIBUTE, _INTS_ATTRIBUTE = 2, 7
_TYPES = {np.dtype(np.float32): 1, np.dtype(np.int64): 7}
Shape = Sequence[int | str]


@dataclass
class OnnxGraph:
    """Values are named; a shape has sizes and, for sizes that vary, names."""

    metadata: Mapping[str, int | str]
    _nodes: list[bytes] = field(default_factory=list)
    _constants: list[bytes] = field(default_factory=list)
    _inputs: list[bytes] = field(default_factory=list)
    _outputs: list[bytes] = field(default_factory=list)

    def takes(self, name: str, shape: Shape, kind: type = np.float32) -> str:
        self._inputs.append(_value(name, shape, np.dtype(kind)))
        return name

    def gives(self, name: str, shape: Shape, kind: type = np.float32) -> None:
        self._outputs.append(_value(name, shape, np.dtype(kind)))

    def constant(self, name: str, array: np.ndarray) -> str:
        shape = b"".join(_number(1, size) for size in array.shape)
        self._constants.append(
            shape + _number(2, _TYPES[array.dtype]) + _text(8, name) + _part(9, array.tobytes())
        )
        return name

    def add(self, kind: str, inputs: Sequence[str], output: str, **attributes: int | Sequence[int]) -> str:
        node = b"".join(_text(1, name) for name in inputs) + _text(2, output) + _text(4, kind)
        self._nodes.append(node + b"".join(_part(5, _attribute(*item)) for item in attributes.items()))
        return output

    def encode(self) -> bytes:
        graph = b"".join(_part(1, node) for node in self._nodes) + _text(2, "graph")
        graph += b"".join(_part(5, constant) for constant in self._constants)
        graph += b"".join(_part(11, value) for value in self._inputs)
        graph += b"".join(_part(12, value) for value in self._outputs)
        model = _number(1, 8) + _part(8, _text(1, "") + _number(2, 13)) + _part(7, graph)
        return model + b"".join(
            _part(14, _text(1, key) + _text(2, str(value))) for key, value in self.metadata.items()
        )


def _attribute(name: str, value: int | Sequence[int]) -> bytes:
    if isinstance(value, int):
        return _text(1, name) + _number(3, value) + _number(20, _INT_ATTRIBUTE)
    return _text(1, name) + b"".join(_number(8, item) for item in value) + _number(20, _INTS_ATTRIBUTE)


def _value(name: str, shape: Shape, kind: np.dtype) -> bytes:
    sizes = (_text(2, size) if isinstance(size, str) else _number(1, size) for size in shape)
    tensor = _number(1, _TYPES[kind]) + _part(2, b"".join(_part(1, size) for size in sizes))
    return _text(1, name) + _part(2, _part(1, tensor))


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3 | _VARINT) + _varint(value)


def _text(number: int, value: str) -> bytes:
    return _part(number, value.encode())


def _part(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | _BYTES) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    value &= 0xFFFFFFFFFFFFFFFF
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])
