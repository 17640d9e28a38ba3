"""Apertium's codes of languages and its text format, in which some characters are commands. Pure."""

from __future__ import annotations

import re

from app.engines.languages import root

_ISO_639_3 = {
    "af": "afr", "an": "arg", "ar": "ara", "be": "bel", "bg": "bul", "br": "bre", "bs": "hbs", "ca": "cat",
    "cs": "ces", "cy": "cym", "da": "dan", "de": "deu", "el": "ell", "en": "eng", "eo": "epo", "es": "spa",
    "et": "est", "eu": "eus", "fi": "fin", "fo": "fao", "fr": "fra", "ga": "gle", "gl": "glg", "hi": "hin",
    "hr": "hbs", "hu": "hun", "id": "ind", "is": "isl", "it": "ita", "kk": "kaz", "ky": "kir", "lt": "lit",
    "lv": "lav", "mk": "mkd", "ms": "msa", "mt": "mlt", "nb": "nob", "nl": "nld", "nn": "nno", "no": "nob",
    "oc": "oci", "pl": "pol", "pt": "por", "ro": "ron", "ru": "rus", "sc": "srd", "se": "sme", "sh": "hbs",
    "sk": "slk", "sl": "slv", "sr": "hbs", "sv": "swe", "tg": "tgk", "tr": "tur", "tt": "tat", "uk": "ukr",
    "ur": "urd", "uz": "uzb", "zh": "zho",
}  # fmt: skip
"""BCP 47 language to ISO 639-3, for the languages of Apertium's pairs; others are three letters in both."""

_COMMANDS = re.compile(r"[][{}<>@/\\^$]")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_END = re.compile(r"\.?\[\]")
_MARKS = re.compile(r"(?<!\w)[*#@](?=\w)")  # a word that no dictionary has, or that could not be inflected


def iso_639_3(language: str) -> str:
    """A BCP 47 language in Apertium's code, without its region: ``es-MX`` is ``spa``."""
    code = root(language)
    return _ISO_639_3.get(code, code)


def modes(source: str, target: str) -> tuple[str, ...]:
    """The names under which Apertium may have the pair, the best first: ``spa-eng_US``, ``spa-eng``."""
    region = target.replace("_", "-").rpartition("-")[2].upper()
    base = f"{iso_639_3(source)}-{iso_639_3(target)}"
    return (f"{base}_{region}", base) if len(region) == 2 and region != target.upper() else (base,)


def no_pair(source: str, target: str) -> str:
    """What to say of a pair that is not installed."""
    first, second = iso_639_3(source), iso_639_3(target)
    return (
        f"no translation from {source} into {target} is installed; install the Debian package "
        f"apertium-{first}-{second} or apertium-{second}-{first}, whichever there is, or choose another "
        "translator with TRUNKLINE_ENGINES__MT"
    )


def escape(text: str) -> str:
    """A phrase in Apertium's stream format, its end marked as the end of a sentence."""
    return f"{_COMMANDS.sub(_backslash, text.replace('~', ' '))}.[]"


def unescape(stream: str) -> str:
    """The phrase in what Apertium answers to ``escape``."""
    return unmark(_ESCAPED.sub(r"\1", _END.sub("", stream)))


def unmark(text: str) -> str:
    """A translation without Apertium's marks of words it does not know."""
    return " ".join(_MARKS.sub("", text).split())


def _backslash(match: re.Match[str]) -> str:
    return f"\\{match[0]}"
