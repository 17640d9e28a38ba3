"""Loading a Kaldi model with Vosk, and saying what to do when it cannot be.

Kaldi ends the process over some models: so a model is tried in a process of its own first, which takes as
long as loading it.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from app.engines.errors import EngineUnavailable
from app.engines.models import find_model
from app.engines.stt.trial import what_fails
from config.engines import VoskSettings

NAME = "vosk"
_SETTING = "TRUNKLINE_ENGINES__VOSK__MODEL"
_FEATURES = ("conf/mfcc.conf", "mfcc.conf")  # of the models since 2020 and before
_GRAPHS = (("graph/Gr.fst", "graph/HCLr.fst"), ("Gr.fst", "HCLr.fst"))
_RATE = re.compile(r"^\s*--sample-frequency=(\d+)", re.MULTILINE)
_KALDI_RATE = 16_000  # where the configuration does not say


class VoskModel:
    """A loaded model, for any number of threads."""

    def __init__(self, folder: Path) -> None:
        import vosk  # noqa: PLC0415 - 0.3 s that only processes with this engine pay

        self._library = vosk
        self._model = vosk.Model(str(folder))
        self.rate = _sample_rate(folder)
        self.takes_grammars = any(all((folder / file).is_file() for file in pair) for pair in _GRAPHS)

    def knows(self, phrase: str) -> bool:
        """Whether all words of the phrase are in the model's dictionary."""
        return all(self._model.vosk_model_find_word(word) >= 0 for word in phrase.split())

    def recogniser(self, grammar: str = "") -> Any:
        """A recogniser of one segment. ``grammar``: JSON, a list of phrases; empty: anything."""
        arguments = (self._model, self.rate, grammar) if grammar else (self._model, self.rate)
        recogniser = self._library.KaldiRecognizer(*arguments)
        recogniser.SetWords(True)
        return recogniser


def load(settings: VoskSettings, models: Path) -> VoskModel:
    """The model; in a thread. Raises ``EngineUnavailable``: no library, no or a broken model."""
    try:
        import vosk  # noqa: PLC0415
    except ImportError as error:
        raise EngineUnavailable(
            NAME, f"its library is not installed ({error}); run 'make engines'"
        ) from error
    folder = find_model(NAME, _SETTING, settings.model, models)
    if not any((folder / file).is_file() for file in _FEATURES):
        raise _bad(folder, f"is none of Vosk's: it has no {_FEATURES[0]}")
    if problem := what_fails("app.engines.stt.vosk_loading", str(folder)):
        raise _bad(folder, f"cannot be loaded: {problem}")
    vosk.SetLogLevel(-1)
    return VoskModel(folder)


def _sample_rate(folder: Path) -> int:
    """Hz, as the model's features are made; Kaldi's default where they do not say."""
    for file in _FEATURES:
        if (folder / file).is_file():
            said = _RATE.search((folder / file).read_text(encoding="utf-8", errors="replace"))
            return int(said[1]) if said else _KALDI_RATE
    return _KALDI_RATE


def _bad(folder: Path, problem: str) -> EngineUnavailable:
    return EngineUnavailable(
        NAME, f"the model in {folder} {problem}; get it again, or set {_SETTING} to another"
    )


def main(folder: str) -> None:
    """Load the model of this folder and let it hear half a second of silence."""
    model = VoskModel(Path(folder))
    recogniser = model.recogniser()
    recogniser.AcceptWaveform(bytes(model.rate))
    recogniser.FinalResult()


if __name__ == "__main__":
    main(*sys.argv[1:])
