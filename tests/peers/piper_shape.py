"""A voice of the shape of Piper's medium ones, with random weights: what synthesis costs, not what is said.

The vocoder's shape is that of piper_train (HiFi-GAN, residual blocks of the second kind, 256 channels,
8 x 8 x 4 samples a frame), which is most of such a voice; its text encoder and flow are left out. Each
phoneme lasts as many frames as in ``piper_voice``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.peers.onnx_graph import OnnxGraph
from tests.peers.piper_voice import FRAMES, write_voice

_CHANNELS = 256
_UPSAMPLING = ((8, 16), (8, 16), (4, 8))  # factor and kernel
_BLOCKS = ((3, (1, 2)), (5, (2, 6)), (7, (3, 12)))  # kernel and dilations


def write_medium_voice(folder: Path, name: str) -> Path:
    """The voice's two files; returns the path of its model, 4 MB."""
    path = write_voice(folder, name)
    path.write_bytes(_Shape().encode())
    return path


class _Shape(OnnxGraph):
    def __init__(self) -> None:
        super().__init__({})
        self._random = np.random.default_rng(1)
        self._count = 0

    def encode(self) -> bytes:
        frames = self._frames()
        value = self._conv(frames, 1, _CHANNELS, 7)
        channels = _CHANNELS
        for factor, kernel in _UPSAMPLING:
            value = self._upsampled(value, channels, factor, kernel)
            channels //= 2
            value = self._blocks(value, channels)
        output = self.add("Tanh", (self._conv(value, channels, 1, 7),), "output")
        self.gives(output, (1, 1, "time"))
        return super().encode()

    def _frames(self) -> str:
        """Each id's number for as many frames as it lasts: [1, 1, frames]."""
        self.takes("input", (1, "count"), np.int64)
        self.takes("input_lengths", (1,), np.int64)
        self.takes("scales", (3,))
        length = self.constant("length", np.array([FRAMES], np.float32))
        scale = self.add("Gather", ("scales", self.constant("one", np.array([1], np.int64))), "scale")
        ids = self.add("Cast", ("input",), "ids", to=1)
        zeros = self.add("Mul", (ids, self.constant("zero", np.array([0], np.float32))), "zeros")
        exact = self.add("Mul", (scale, length), "exact")
        self.add("Ceil", (self.add("Add", (zeros, exact), "each"),), "lengths")
        longest = self.add("ReduceMax", ("lengths",), "longest", keepdims=0)
        width = self.add("Reshape", (self.add("Cast", (longest,), "whole", to=7),
                                     self.constant("flat", np.array([-1], np.int64))), "width")  # fmt: skip
        ones = self.constant("ones", np.array([1], np.int64))
        shape = self.add("Concat", (ones, width), "shape", axis=0)
        rows = self.add("Expand", (self.add("Transpose", (ids,), "column"), shape), "rows")
        return self.add("Reshape", (rows, self.constant("line", np.array([1, 1, -1], np.int64))), "frames")

    def _upsampled(self, value: str, channels: int, factor: int, kernel: int) -> str:
        weights = self._weights(channels, channels // 2, kernel)
        pads = (kernel - factor) // 2
        return self.add(
            "ConvTranspose", (self._active(value), weights), self._new(), strides=[factor], pads=[pads, pads]
        )

    def _blocks(self, value: str, channels: int) -> str:
        total = ""
        for kernel, dilations in _BLOCKS:
            inner = value
            for dilation in dilations:
                added = self._conv(self._active(inner), channels, channels, kernel, dilation)
                inner = self.add("Add", (inner, added), self._new())
            total = self.add("Add", (total, inner), self._new()) if total else inner
        return total

    def _conv(self, value: str, inputs: int, outputs: int, kernel: int, dilation: int = 1) -> str:
        pads = (kernel - 1) * dilation // 2
        weights = self._weights(outputs, inputs, kernel)
        return self.add("Conv", (value, weights), self._new(), dilations=[dilation], pads=[pads, pads])

    def _active(self, value: str) -> str:
        return self.add("LeakyRelu", (value,), self._new())

    def _weights(self, *shape: int) -> str:
        spread = np.float32(1 / np.sqrt(shape[1] * shape[2]))
        return self.constant(self._new(), self._random.standard_normal(shape, np.float32) * spread)

    def _new(self) -> str:
        self._count += 1
        return f"value{self._count}"
