"""Finding and loading a streaming model of sherpa-onnx, and saying what to do when it cannot be.

The library ends the process (``exit``) when it does not like a model: so a model is tried in a process of its
own first, which takes as long as loading it.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from app.engines.errors import EngineUnavailable
from app.engines.models import find_model
from app.engines.stt.trial import what_fails
from config.engines import SherpaOnnxSettings

NAME = "sherpa_onnx"
RATE = 16_000
_SETTING = "TRUNKLINE_ENGINES__SHERPA_ONNX__MODEL"
_CTC_KINDS = (  # what only its kind's metadata has
    ("cache_last_channel_dim1", "nemo_ctc"),
    ("frame_length_ms", "t_one_ctc"),
    ("encoder_dims", "zipformer2_ctc"),
    ("cnn_module_kernel", "wenet_ctc"),
)


@dataclass(frozen=True, slots=True)
class SherpaFiles:
    """The files of a model. ``parts``: encoder, decoder and joiner of a transducer, the one file of CTC."""

    kind: str
    tokens: Path
    parts: tuple[Path, ...]
    unit: str  # in which hotwords are written: bpe, cjkchar, or none that can be
    bpe_vocab: Path | None
    upper: bool  # its words are all in capital letters


class SherpaModel:
    """A loaded model. Its methods are for one thread."""

    def __init__(self, files: SherpaFiles, settings: SherpaOnnxSettings) -> None:
        self.files = files
        self.rate = 8_000 if files.kind == "t_one_ctc" else RATE
        self.takes_hotwords = bool(files.unit)
        self.recogniser = _recogniser(files, settings)

    def decode(self, streams: list[Any]) -> None:
        """Decode all that these streams have, together where the model can."""
        most = 1 if self.files.kind == "wenet_ctc" else len(streams)  # it ends the process for more
        while ready := [stream for stream in streams if self.recogniser.is_ready(stream)]:
            self.recogniser.decode_streams(ready[:most])


def load(settings: SherpaOnnxSettings, models: Path) -> SherpaModel:
    """The model; in a thread. Raises ``EngineUnavailable``: no library, no or a broken model."""
    try:
        import sherpa_onnx  # noqa: F401, PLC0415 - 0.1 s that only processes with this engine pay
    except ImportError as error:
        raise EngineUnavailable(
            NAME, f"its library is not installed ({error}); run 'make engines'"
        ) from error
    folder = find_model(NAME, _SETTING, settings.model, models)
    files = find_files(folder)
    if problem := what_fails("app.engines.stt.sherpa_loading", settings.model_dump_json(), str(folder)):
        raise _bad(folder, f"cannot be loaded: {problem}")
    return SherpaModel(files, settings)


def find_files(folder: Path) -> SherpaFiles:
    """Which model the folder holds. Raises ``EngineUnavailable`` where it holds none that streams."""
    tokens = folder / "tokens.txt"
    if not tokens.is_file():
        raise _bad(folder, "has no tokens.txt")
    encoder, decoder, joiner = (_best(folder, part) for part in ("encoder", "decoder", "joiner"))
    bpe_vocab = folder / "bpe.vocab"
    upper, chinese = _letters(tokens)
    if encoder and decoder and joiner:
        unit = "cjkchar" if chinese else ""
        if bpe_vocab.is_file():
            unit = "cjkchar+bpe" if chinese else "bpe"
        vocab = bpe_vocab if bpe_vocab.is_file() else None
        return SherpaFiles("transducer", tokens, (encoder, decoder, joiner), unit, vocab, upper)
    if encoder and decoder:
        return SherpaFiles("paraformer", tokens, (encoder, decoder), "", None, upper)
    model = _best(folder, "model") or _best(folder, "ctc")
    if model is None:
        raise _bad(folder, "has neither encoder*.onnx, decoder*.onnx and joiner*.onnx nor model*.onnx")
    return SherpaFiles(_ctc_kind(folder, model), tokens, (model,), "", None, upper)


def _best(folder: Path, part: str) -> Path | None:
    """The part's file; of several the one with weights of 8 bits, which is faster on a CPU."""
    found = sorted(folder.glob(f"{part}*.onnx"))
    return next((file for file in found if "int8" in file.name), found[0] if found else None)


def _letters(tokens: Path) -> tuple[bool, bool]:
    """Whether a model writes capital letters only, and whether it writes Chinese."""
    try:
        lines = tokens.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise _bad(tokens.parent, f"has a tokens.txt that is no text: {error}") from error
    text = "".join(line.split(maxsplit=1)[0] for line in lines if line.strip() and line[0] != "<")
    return any(map(str.isupper, text)) and not any(map(str.islower, text)), any(
        "一" <= c <= "鿿" for c in text
    )


def _ctc_kind(folder: Path, model: Path) -> str:
    import onnxruntime  # noqa: PLC0415 - 0.2 s that only processes with calls pay

    try:
        session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own, one for each kind of bad file
        raise _bad(folder, f"has a {model.name} that is no ONNX model: {error}") from error
    metadata = session.get_modelmeta().custom_metadata_map
    for key, kind in _CTC_KINDS:
        if key in metadata:
            return kind
    raise _bad(folder, f"has a {model.name} whose metadata names no streaming model that is known here")


def _recogniser(files: SherpaFiles, settings: SherpaOnnxSettings) -> Any:
    from sherpa_onnx import OnlineRecognizer  # noqa: PLC0415

    tokens, parts = str(files.tokens), [str(part) for part in files.parts]
    threads = settings.threads
    match files.kind:
        case "transducer":
            return OnlineRecognizer.from_transducer(
                tokens,
                *parts,
                num_threads=threads,
                decoding_method="modified_beam_search" if files.unit else "greedy_search",
                hotwords_score=settings.hotwords_score,
                modeling_unit=files.unit or "cjkchar",
                bpe_vocab=str(files.bpe_vocab or ""),
            )
        case "paraformer":
            return OnlineRecognizer.from_paraformer(tokens, *parts, num_threads=threads)
        case kind:
            return getattr(OnlineRecognizer, f"from_{kind}")(tokens, *parts, num_threads=threads)


def _bad(folder: Path, problem: str) -> EngineUnavailable:
    return EngineUnavailable(
        NAME, f"the model in {folder} {problem}; get it again, or set {_SETTING} to another streaming one"
    )


def main(settings: str, folder: str) -> None:
    """Load the model of this folder and let it hear a second of silence."""
    model = SherpaModel(find_files(Path(folder)), SherpaOnnxSettings.model_validate_json(settings))
    stream = model.recogniser.create_stream()
    stream.accept_waveform(model.rate, np.zeros(model.rate, dtype=np.float32))
    stream.input_finished()
    model.decode([stream])
    model.recogniser.get_result_all(stream)


if __name__ == "__main__":
    main(*sys.argv[1:])
