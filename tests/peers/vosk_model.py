"""A tiny Kaldi model for Vosk, with weights set by hand, that hears tones as colours.

Eight bands and silence are its phones, each of one state; the network turns cepstra back into the energies of
mel filters and says how loud each band is; the graph lets any word follow any, at a price.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

COLOURS = {
    "red": 200, "orange": 400, "yellow": 650, "green": 930, "blue": 1300, "violet": 1800, "white": 2500,
    "black": 3300,
}  # fmt: skip
"""Each word and the frequency of a tone, in Hz, that is heard as it."""

NUMBERS = {
    "zero": 163, "oh": 273, "one": 398, "two": 538, "three": 697, "four": 876, "five": 1077, "six": 1305,
    "seven": 1562, "eight": 1851, "nine": 2178, "double": 2450, "[unk]": 2750, "orange": 3100, "green": 3450,
}  # fmt: skip
"""The same, of digits and of other words."""

_MELS = 40
_LOW_HZ, _HIGH_HZ = 20.0, 7600.0
_WORD_COST = 30.0
_QUIET = 16.0  # natural logarithm of a filter's energy, of samples up to 32768; a tone at -12 dB has 22 to 30
_FST_MAGIC, _FST_VERSION = 2125659606, 2


def build_vosk(folder: Path, words: Mapping[str, int] = COLOURS, *, dynamic: bool = False) -> Path:
    """Write the model to ``folder``, as Vosk's are published; ``dynamic``: with a graph that takes grammars.

    ``words``: each with its tone.
    """
    for part in ("am", "conf", "graph/phones"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    (folder / "conf" / "mfcc.conf").write_text(
        f"--sample-frequency=16000\n--use-energy=false\n--num-mel-bins={_MELS}\n--num-ceps={_MELS}\n"
        f"--low-freq={_LOW_HZ}\n--high-freq={_HIGH_HZ}\n--cepstral-lifter=0\n--dither=0\n"
    )
    (folder / "conf" / "model.conf").write_text(
        "--beam=200.0\n--lattice-beam=8.0\n--max-active=3000\n--acoustic-scale=1.0\n"
        "--frame-subsampling-factor=3\n--endpoint.silence-phones=1\n"
    )
    (folder / "graph" / "words.txt").write_text(
        "".join(f"{word} {index}\n" for index, word in enumerate(("<eps>", *words)))
    )
    boundaries = ["1 nonword", *(f"{phone} singleton" for phone in range(2, len(words) + 2))]
    (folder / "graph" / "phones" / "word_boundary.int").write_text("\n".join(boundaries) + "\n")
    (folder / "am" / "final.mdl").write_text(f"{_transitions(len(words))}\n{_network(words)}")
    (folder / "graph" / ("HCLr.fst" if dynamic else "HCLG.fst")).write_bytes(_graph(len(words)))
    if dynamic:
        any_word = [(number, number, 0.0, 0) for number in range(1, len(words) + 1)]
        (folder / "graph" / "Gr.fst").write_bytes(_fst([_state(0.0, any_word)], len(words)))
        (folder / "graph" / "disambig_tid.int").write_text("")
    return folder


def _transitions(words: int) -> str:
    """One state a phone: identity 2 n + 1 stays in the state of phone n + 1, identity 2 n + 2 leaves it."""
    phones = range(1, words + 2)
    listed = " ".join(map(str, phones))
    triples = "\n".join(f"{phone} 0 {phone - 1}" for phone in phones)
    costs = " ".join(["0"] + ["-0.6931472"] * (2 * len(phones)))
    return (
        f"<TransitionModel>\n<Topology>\n<TopologyEntry>\n<ForPhones>\n{listed}\n</ForPhones>\n"
        "<State> 0 <PdfClass> 0 <Transition> 0 0.5 <Transition> 1 0.5 </State>\n<State> 1 </State>\n"
        f"</TopologyEntry>\n</Topology>\n<Triples> {len(phones)}\n{triples}\n</Triples>\n"
        f"<LogProbs>\n [ {costs} ]\n</LogProbs>\n</TransitionModel>"
    )


def _network(words: Mapping[str, int]) -> str:
    """Cepstra to log-likelihoods: those of silence are 0, of a band how much louder than quiet it is."""
    rows = np.arange(_MELS)[:, None]
    cosines = np.sqrt(2 / _MELS) * np.cos(np.pi / _MELS * (np.arange(_MELS)[None, :] + 0.5) * rows)
    cosines[0] = np.sqrt(1 / _MELS)  # orthonormal: its transpose is its inverse
    bands = np.zeros((len(words) + 1, _MELS))
    for index, hertz in enumerate(words.values(), 1):
        bands[index, _mel_bin(hertz)] = 1.0
    weights = bands @ cosines.T
    offset = np.array([0.0] + [-_QUIET] * len(words))
    matrix = "\n".join(" ".join(f"{value:.6f}" for value in row) for row in weights)
    return (
        f"<Nnet3> \ninput-node name=input dim={_MELS}\n"
        "component-node name=bands component=bands input=input\n"
        "output-node name=output input=bands objective=linear\n\n"
        "<NumComponents> 1\n<ComponentName> bands <FixedAffineComponent> <LinearParams>  [\n"
        f"{matrix} ]\n<BiasParams>  [ {' '.join(f'{value:.6f}' for value in offset)} ]\n"
        "</FixedAffineComponent>\n</Nnet3>\n<LeftContext> 0 <RightContext> 0 <Priors>  [ ]\n"
    )


def _mel_bin(hertz: float) -> int:
    """The filter whose middle is nearest."""

    def mel(value: float) -> float:
        return 1127 * float(np.log(1 + value / 700))

    return round((mel(hertz) - mel(_LOW_HZ)) / (mel(_HIGH_HZ) - mel(_LOW_HZ)) * (_MELS + 1)) - 1


def _graph(words: int) -> bytes:
    """From state 0 into a phone's own state, round it, and back to state 0."""
    count = words + 1
    enter = [(2 * phone + 2, phone, _WORD_COST if phone else 0.0, phone + 1) for phone in range(count)]
    states = [_state(0.0, enter)]
    states += [_state(0.0, [(2 * phone + 1, 0, 0.0, phone + 1), (0, 0, 0.0, 0)]) for phone in range(count)]
    return _fst(states, 3 * count)


def _fst(states: Sequence[bytes], arcs: int) -> bytes:
    kinds = b"".join(struct.pack("<i", len(name)) + name for name in (b"vector", b"standard"))
    header = struct.pack("<iiQqqq", _FST_VERSION, 0, 3, 0, len(states), arcs)
    return struct.pack("<i", _FST_MAGIC) + kinds + header + b"".join(states)


def _state(final: float, arcs: Sequence[tuple[int, int, float, int]]) -> bytes:
    return struct.pack("<fq", final, len(arcs)) + b"".join(struct.pack("<iifi", *arc) for arc in arcs)
