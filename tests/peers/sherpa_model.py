"""A tiny streaming transducer for sherpa-onnx, with weights set by hand, that hears tones as colours.

Every 40 ms the encoder says how loud each of eight bands is; the joiner adds what the decoder says, which is
that a word is not said twice in a row; where nothing is loud, the blank wins.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.peers.onnx_graph import OnnxGraph

COLOURS = {
    "RED": 200, "ORANGE": 400, "YELLOW": 650, "GREEN": 930, "BLUE": 1300, "VIOLET": 1800, "WHITE": 2500,
    "BLACK": 3400,
}  # fmt: skip
"""Each word and the frequency of a tone, in Hz, that is heard as it."""

_MELS = 80
_FRAMES, _SUBSAMPLING = 16, 4  # a chunk of 160 ms
_TOKENS = ("<blk>", "<sos/eos>", "<unk>", *(f"▁{colour}" for colour in COLOURS))
_FIRST = 3
_QUIET = 2.0  # natural logarithm of a band's mean energy; a tone at -12 dB reaches 5 to 9


def build_sherpa(folder: Path, *, hotwords: bool = False, ctc: bool = False) -> Path:
    """Write a transducer to ``folder``, as sherpa-onnx's are published; or a CTC model of NeMo's kind."""
    folder.mkdir(parents=True, exist_ok=True)
    tokens = (*_TOKENS[_FIRST:], "<blk>") if ctc else _TOKENS
    lines = [f"{token} {index}\n" for index, token in enumerate(tokens)]
    (folder / "tokens.txt").write_text("".join(lines), encoding="utf-8")
    if ctc:
        (folder / "model.onnx").write_bytes(_nemo_ctc())
        return folder
    (folder / "encoder-epoch-1-avg-1.onnx").write_bytes(_encoder())
    (folder / "decoder-epoch-1-avg-1.onnx").write_bytes(_decoder())
    (folder / "joiner-epoch-1-avg-1.onnx").write_bytes(_joiner())
    if hotwords:
        scores = [f"{token}\t{-index}\n" for index, token in enumerate(_TOKENS)]
        (folder / "bpe.vocab").write_text("".join(scores), encoding="utf-8")
    return folder


def _weights(first: int, size: int, quiet: float = _QUIET) -> tuple[np.ndarray, np.ndarray]:
    """How loud each band is, from the 80 energies: matrix and offset."""
    edges = [_mel_bin(hertz) for hertz in COLOURS.values()]
    weights, offset = np.zeros((_MELS, size), np.float32), np.zeros(size, np.float32)
    for index, middle in enumerate(edges):
        bins = slice(max(0, middle - 1), middle + 2)
        weights[bins, first + index] = 1 / len(range(*bins.indices(_MELS)))
        offset[first + index] = -quiet
    return weights, offset


def _mel_bin(hertz: float) -> int:
    """The filter of Kaldi's 80, from 20 Hz to 7600 Hz, whose middle is nearest."""

    def mel(value: float) -> float:
        return 1127 * float(np.log(1 + value / 700))

    return round((mel(hertz) - mel(20)) / (mel(7600) - mel(20)) * (_MELS + 1)) - 1


def _encoder() -> bytes:
    size = len(_TOKENS)
    graph = OnnxGraph({
        "model_type": "lstm", "num_encoder_layers": 1, "T": _FRAMES, "decode_chunk_len": _FRAMES,
        "rnn_hidden_size": 4, "d_model": 4,
    })  # fmt: skip
    features = graph.takes("x", ("N", _FRAMES, _MELS))
    states = [graph.takes(name, (1, "N", 4)) for name in ("state0", "state1")]
    weights, offset = _weights(_FIRST, size)
    graph.constant("shape", np.array([-1, _FRAMES // _SUBSAMPLING, _SUBSAMPLING, _MELS], np.int64))
    graph.add("Reshape", (features, "shape"), "groups")
    graph.add("ReduceMean", ("groups",), "energies", axes=[2], keepdims=0)
    graph.add("MatMul", ("energies", graph.constant("weights", weights)), "levels")
    graph.add("Add", ("levels", graph.constant("offset", offset)), "encoder_out")
    graph.gives("encoder_out", ("N", _FRAMES // _SUBSAMPLING, size))
    for state in states:
        graph.gives(graph.add("Identity", (state,), f"new_{state}"), (1, "N", 4))
    return graph.encode()


def _decoder() -> bytes:
    size = len(_TOKENS)
    graph = OnnxGraph({"context_size": 2, "vocab_size": size})
    graph.takes("y", ("N", 2), np.int64)
    table = np.zeros((size, size), np.float32)
    table[range(_FIRST, size), range(_FIRST, size)] = -100.0
    graph.add("Gather", ("y", graph.constant("last", np.array(1, np.int64))), "token", axis=1)
    graph.add("Gather", (graph.constant("table", table), "token"), "decoder_out")
    graph.gives("decoder_out", ("N", size))
    return graph.encode()


def _joiner() -> bytes:
    size = len(_TOKENS)
    graph = OnnxGraph({"joiner_dim": size})
    for name in ("encoder_out", "decoder_out"):
        graph.takes(name, ("N", size))
    never = np.zeros(size, np.float32)
    never[1:_FIRST] = -100.0
    graph.add("Add", ("encoder_out", "decoder_out"), "sum")
    graph.add("Add", ("sum", graph.constant("never", never)), "logit")
    graph.gives("logit", ("N", size))
    return graph.encode()


def _nemo_ctc() -> bytes:
    size = len(COLOURS)
    graph = OnnxGraph({
        "window_size": _FRAMES, "chunk_shift": _FRAMES, "subsampling_factor": _SUBSAMPLING,
        "vocab_size": size,
        "cache_last_channel_dim1": 1, "cache_last_channel_dim2": 1, "cache_last_channel_dim3": 1,
        "cache_last_time_dim1": 1, "cache_last_time_dim2": 1, "cache_last_time_dim3": 1,
        "model_type": "EncDecCTCModelBPE", "normalize_type": "",
    })  # fmt: skip
    graph.takes("audio_signal", ("N", _MELS, _FRAMES))
    graph.takes("length", ("N",), np.int64)
    caches = [graph.takes(name, ("N", 1, 1, 1)) for name in ("cache_last_channel", "cache_last_time")]
    graph.takes("cache_last_channel_len", ("N",), np.int64)
    weights, offset = _weights(0, size + 1, quiet=-6.0)
    graph.add("Transpose", ("audio_signal",), "features", perm=[0, 2, 1])
    graph.constant("shape", np.array([-1, _FRAMES // _SUBSAMPLING, _SUBSAMPLING, _MELS], np.int64))
    graph.add("Reshape", ("features", "shape"), "groups")
    graph.add("ReduceMean", ("groups",), "energies", axes=[2], keepdims=0)
    graph.add("MatMul", ("energies", graph.constant("weights", weights)), "levels")
    graph.add("Add", ("levels", graph.constant("offset", offset)), "loud")
    graph.add("LogSoftmax", ("loud",), "logprobs", axis=2)
    graph.gives("logprobs", ("N", _FRAMES // _SUBSAMPLING, size + 1))
    graph.gives(graph.add("Identity", ("length",), "encoded_lengths"), ("N",), np.int64)
    for cache in caches:
        graph.gives(graph.add("Identity", (cache,), f"{cache}_next"), ("N", 1, 1, 1))
    next_length = graph.add("Identity", ("cache_last_channel_len",), "cache_last_channel_next_len")
    graph.gives(next_length, ("N",), np.int64)
    return graph.encode()
