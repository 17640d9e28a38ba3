"""A small ONNX model, written byte by byte in protobuf's wire format (onnx.proto3)."""

from __future__ import annotations

import struct
from collections.abc import Sequence

_VARINT, _BYTES = 0, 2
_FLOAT, _INT64, _INT, _INTS = 1, 7, 2, 7  # of TensorProto.DataType and AttributeProto.AttributeType


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


def voice_model(hop: int, frames: float, tone_hz: float, sample_rate: int) -> bytes:
    """A model with the inputs and the output of a Piper voice: int64 ``input`` [1, N], ``input_lengths`` [1],
    float32 ``scales`` [3]; float32 ``output`` [1, 1, T].

    Each phoneme lasts ``frames`` of ``hop`` samples, times the second scale, rounded up by its one ``Ceil``
    node; ids above 3 are a tone, others silence.
    """
    float_type, integer_type = (_part(5, _attribute("to", kind)) for kind in (_FLOAT, _INT64))
    steps = [
        _node("Greater", ["input", "three"], "loud"),
        _node("Cast", ["loud"], "loudness", float_type),
        _node("Gather", ["scales", "one"], "scale"),
        _node("Mul", ["scale", "frames"], "exact_length"),
        _node("Mul", ["loudness", "zero"], "zeros"),
        _node("Add", ["zeros", "exact_length"], "exact_lengths"),
        _node("Ceil", ["exact_lengths"], "lengths"),
        _node("ReduceMax", ["lengths"], "longest", _part(5, _attribute("keepdims", 0))),
        _node("Mul", ["longest", "hop"], "samples"),
        _node("Cast", ["samples"], "samples_each", integer_type),
        _node("Reshape", ["samples_each", "flat"], "width"),
        _node("Concat", ["ones", "width"], "shape", _part(5, _attribute("axis", 0))),
        _node("Transpose", ["loudness"], "column"),
        _node("Expand", ["column", "shape"], "rows"),
        _node("Reshape", ["rows", "line"], "envelope"),
        _node("Size", ["envelope"], "count"),
        _node("Cast", ["count"], "end", float_type),
        _node("Range", ["zero", "end", "step"], "time"),
        _node("Mul", ["time", "angle"], "phase"),
        _node("Sin", ["phase"], "tone"),
        _node("Mul", ["tone", "envelope"], "output"),
    ]
    numbers = {"frames": frames, "zero": 0.0, "hop": float(hop), "step": 1.0}
    numbers["angle"] = 2 * 3.141592653589793 * tone_hz / sample_rate
    constants = [_tensor(name, [], [value]) for name, value in numbers.items()]
    constants += [_tensor("three", [], [3]), _tensor("one", [], [1])]
    constants += [_tensor("flat", [1], [-1]), _tensor("ones", [1], [1]), _tensor("line", [3], [1, 1, -1])]
    graph = b"".join(_part(1, step) for step in steps) + _text(2, "graph")
    graph += b"".join(_part(5, constant) for constant in constants)
    graph += _part(11, _value("input", (1, "count"), _INT64)) + _part(
        11, _value("input_lengths", (1,), _INT64)
    )
    graph += _part(11, _value("scales", (3,))) + _part(12, _value("output", (1, 1, "time")))
    return _number(1, 8) + _part(8, _text(1, "") + _number(2, 13)) + _part(7, graph)


def _attribute(name: str, value: int) -> bytes:
    return _text(1, name) + _number(3, value) + _number(20, _INT)


def _tensor(name: str, dimensions: Sequence[int], values: Sequence[float]) -> bytes:
    """Of float32 or int64, as the first value is."""
    kind, form = (_INT64, "q") if isinstance(values[0], int) else (_FLOAT, "f")
    sizes = b"".join(_number(1, size) for size in dimensions)
    return sizes + _number(2, kind) + _text(8, name) + _part(9, struct.pack(f"<{len(values)}{form}", *values))


def _node(kind: str, given: str | Sequence[str], gives: str, attributes: bytes = b"") -> bytes:
    names = [given] if isinstance(given, str) else given
    return b"".join(_text(1, name) for name in names) + _text(2, gives) + _text(4, kind) + attributes


def _value(name: str, shape: Sequence[int | str], kind: int = _FLOAT) -> bytes:
    sizes = (_text(2, size) if isinstance(size, str) else _number(1, size) for size in shape)
    tensor = _number(1, kind) + _part(2, b"".join(_part(1, size) for size in sizes))
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
