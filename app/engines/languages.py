"""Languages as engines and servers write them, and as BCP 47 does."""

from __future__ import annotations

from collections.abc import Callable, Sequence

MULTIPLE = "mul"
"""The language of a voice that speaks several, or that does not say which: ISO 639-2's own code for it."""


def tag(language: str) -> str:
    """BCP 47 as it is commonly written: ``en-US`` of ``en_us``."""
    _, *rest = language.replace("_", "-").split("-")
    return "-".join([root(language), *(part.upper() if len(part) == 2 else part for part in rest)])


def root(language: str) -> str:
    """The language alone, without script and region: ``en`` of ``en_US``."""
    return language.replace("_", "-").split("-", maxsplit=1)[0].lower()


def nearest(language: str, offered: Sequence[str]) -> str | None:
    """The one of ``offered`` that is this BCP 47 language, or its root, or a sister; ``None``: none is."""
    wanted = tag(language)
    tests: tuple[Callable[[str], bool], ...] = (
        lambda known: known == wanted,
        lambda known: known == root(wanted),
        lambda known: root(known) == root(wanted),
    )
    for fits in tests:
        for known in offered:
            if fits(tag(known)):
                return known
    return None
