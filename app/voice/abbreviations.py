"""Full stops that end no sentence: abbreviations, initials and ordinals, by language. Pure.

An abbreviation stands here in lower case and without its last stop.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from app.engines.languages import root

_NONE: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Abbreviations:
    """What a stop means after a word of one language.

    ``before_words`` never end a sentence (``Mr.``), ``before_numbers`` do not when a digit follows
    (``No. 5``). Any other initials (``p.m.``) and ``trailing`` (``etc.``) end one when what
    follows is capitalised, which says nothing where ``nouns`` are. ``ordinals``: ``3.`` is the third.
    """

    before_words: frozenset[str] = _NONE
    before_numbers: frozenset[str] = _NONE
    trailing: frozenset[str] = _NONE
    names_of_days: frozenset[str] = _NONE  # and of months, where they are capitalised
    words_of_a_letter: frozenset[str] = _NONE  # which may end a sentence, unlike an initial
    ordinals: bool = False
    nouns: bool = False


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_EVERYWHERE = _words("dr prof st vs etc no nr tel")
_ORDINAL_STOPS = frozenset(
    {"cs", "da", "de", "et", "fi", "hr", "hu", "is", "lv", "nb", "nn", "no", "pl", "sk", "sl"}
)

_BY_LANGUAGE = {
    "en": Abbreviations(
        before_words=_words(
            "mr mrs ms mx dr prof rev st mt gen col sgt capt lt sen rep gov hon "
            "vs approx e.g i.e cf u.s u.k e.u"
        ),
        before_numbers=_words(
            "no nos nr p pp fig vol ch sec art tel ext apt jan feb mar apr jun jul aug sep sept oct nov dec"
        ),
        trailing=_words("etc inc ltd co corp jr sr"),
        names_of_days=_words(
            "monday tuesday wednesday thursday friday saturday sunday january february march april may june "
            "july august september october november december"
        ),
        words_of_a_letter=_words("i"),
    ),
    "de": Abbreviations(
        before_words=_words(
            "dr prof hr hrn fr frl st bzw ca evtl ggf inkl exkl zzgl sog vgl "
            "z.b d.h u.a u.u i.d.r v.a v.chr n.chr bspw gem usw etc"
        ),
        before_numbers=_words(
            "nr nrn tel str abs art bd kap max min jan feb mär apr jun jul aug sep sept okt nov dez"
        ),
        ordinals=True,
        nouns=True,
    ),
    "es": Abbreviations(
        before_words=_words(
            "sr sra srta sres dr dra dña prof ud uds vd p.ej av avda gral lic ing sta sto aprox ee"
        ),
        before_numbers=_words("núm nro n.º no tel pág págs art cap km"),
        trailing=_words("etc cía uu"),
        words_of_a_letter=_words("a y o"),
    ),
    "fr": Abbreviations(
        before_words=_words("mm mme mmes mlle dr pr prof me st ste p.ex av bd env cf"),
        before_numbers=_words("no nos tél art chap vol fig p"),
        trailing=_words("etc"),
        words_of_a_letter=_words("y à"),
    ),
    "it": Abbreviations(
        before_words=_words("sig sigg sig.ra sig.na dott dott.ssa prof avv ing geom spett p.es ecc"),
        before_numbers=_words("n nr tel art pag cap"),
    ),
    "nl": Abbreviations(
        before_words=_words("dhr mevr mw dr prof bijv bv d.w.z o.a ca incl excl t.a.v m.b.t i.v.m"),
        before_numbers=_words("nr tel art blz"),
        trailing=_words("enz etc"),
    ),
    "pt": Abbreviations(
        before_words=_words("sr sra dr dra prof profa eng av exmo exma p.ex"),
        before_numbers=_words("n.º nº tel pág art"),
        trailing=_words("etc"),
        words_of_a_letter=_words("a e o"),
    ),
}

_LAST_WORD = re.compile(r"(?<![^\s\"'(\[“‘„«¿¡*_])(?:[^\W\d_]+\.)*[^\W\d_]+º?$")
_INITIALS = re.compile(r"(?:[^\W\d_]{1,2}\.)+[^\W\d_]{1,2}")
_LAST_NUMBER = re.compile(r"(?<![\w.,:/])\d{1,2}$")
_FOLLOWING = re.compile(r"\s+[\"'(\[“‘„«¿¡*_]*(?P<word>\S)(?P<rest>[^\W\d_]*)")


def abbreviations_of(tag: str) -> Abbreviations:
    """The abbreviations of a BCP 47 tag's language; for a language unknown, those that many share."""
    language = root(tag)
    known = _BY_LANGUAGE.get(language)
    return known or Abbreviations(before_words=_EVERYWHERE, ordinals=language in _ORDINAL_STOPS)


def stop_binds(abbreviations: Abbreviations, before: str) -> bool:
    """A stop after the text ``before`` belongs to what follows: after ``Mr``, ``J``, ``No``, ``am 3``."""
    if (match := _LAST_WORD.search(before)) is None:
        return _LAST_NUMBER.search(before) is not None
    word = match[0].lower()
    if len(word) == 1:
        return word not in abbreviations.words_of_a_letter
    return word in abbreviations.before_words or word in abbreviations.before_numbers


def stop_ends(abbreviations: Abbreviations, before: str, after: str, *, final: bool) -> bool | None:
    """Whether a stop between ``before`` and ``after``, which begins with white space, ends a sentence.

    None: not known before more of ``after`` is, unless ``final`` says that no more will come.
    """
    if (number := _LAST_NUMBER.search(before)) is not None:
        return not (abbreviations.ordinals or number.start() == 0)  # a list's number stands first
    if (match := _LAST_WORD.search(before)) is None:
        return True
    word = match[0].lower()
    if len(word) == 1:
        return word in abbreviations.words_of_a_letter
    if word in abbreviations.before_words:
        return False
    if word in abbreviations.before_numbers:
        following = _FOLLOWING.match(after)
        return (True if final else None) if following is None else not following["word"].isdigit()
    if word in abbreviations.trailing or _INITIALS.fullmatch(word):
        return _capitalised(abbreviations, after, final=final)
    return True


def _capitalised(abbreviations: Abbreviations, after: str, *, final: bool) -> bool | None:
    """A word that opens a sentence follows, rather than one that is always capitalised."""
    following = _FOLLOWING.match(after)
    if following is None:
        return True if final else None
    if not following["word"].isupper() or abbreviations.nouns:
        return False
    if following.end() == len(after) and not final:
        return None  # the word may go on
    return (following["word"] + following["rest"]).lower() not in abbreviations.names_of_days
