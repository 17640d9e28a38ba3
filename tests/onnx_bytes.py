"""A small ONNX model, written byte by byte in protobuf's wire format (onnx.proto3)."""

from __future__ import annotations

from collections.abc import Sequence

_VARINT, _BYTES = 0, 2
_FLOAT, _INTS = 1, 7  # of TensorProto.DataType and AttributeProto.AttributeType


def mean_model(given: str, functions: Sequence[str]) -> bytes:
    """A model of float32 ``given`` [batch, 80, 800]: its mean through functions of one argument; [batch]."""
    axes = _text(1, "axes") + _number(8, 1) + _number(8, 2) + _number(20, _INTS)
    keep = _text(1, "keepdims") + _number(3, 0) + _number(20, 2)
    names = [f"value{index}" for index in range(len(functions) + 1)]
    nodes = [_node("ReduceMean", given, names[0], _part(5, axes) + _part(5, keep))]
    nodes += [
        _node(function, before, after)
        for function, before, after in zip(functions, names, names[1:], strict=False)
    ]
    graph = b"".join(_part(1, node) for node in nodes) + _text(2, "graph")
    graph += _part(11, _value(given, ("batch", 80, 800))) + _part(12, _value(names[-1], ("batch",)))
    return _number(1, 8) + _part(8, _text(1, "") + _number(2, 13)) + _part(7, graph)


def _node(kind: str, given: str, gives: str, attributes: bytes = b"") -> bytes:
    return _text(1, given) + _text(2, gives) + _text(4, kind) + attributes


def _value(name: str, shape: Sequence[int | str]) -> bytes:
    sizes = (_text(2, size) if isinstance(size, str) else _number(1, size) for size in shape)
    tensor = _number(1, _FLOAT) + _part(2, b"".join(_part(1, size) for size in sizes))
    return _text(1, name) + _part(2, _part(1, tensor))


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3 | _VARINT) + _varint(value)


def _text(field: int, value: str) -> bytes:
    return _part(field, value.encode())


def _part(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | _BYTES) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])
