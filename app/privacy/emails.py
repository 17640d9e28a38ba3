"""E-mail addresses as they are said: "j o h n underscore smith at g mail dot com". Pure."""

from __future__ import annotations

from collections.abc import Sequence

from app.privacy.cues import Phrases
from app.privacy.language import Language
from app.privacy.numbers import is_number, letters_of
from app.privacy.tokens import Sort, Token

_WORDS_OF_LOCAL = 4  # at most, without a join between them
_WORDS_OF_DOMAIN = 4  # before its first dot
_PARTS_OF_DOMAIN = 4
_LONGEST_LOCAL = 64  # tokens, as letters may be spelled (RFC 5321: 64 characters)


def emails(
    tokens: Sequence[Token], phrases: Phrases, language: Language, *, asked: bool
) -> list[tuple[int, int]]:
    """Token ranges of all addresses. ``asked``: one was asked for, so that a part of one is one too."""
    asides = _asides(phrases, language)
    found: list[tuple[int, int]] = []
    for index, token in enumerate(tokens):
        if token.text not in language.at or (found and index < found[-1][1]):
            continue
        last = _domain_end(tokens, index + 1, language)
        if last is None:
            continue
        first = _local_begin(tokens, index, language, asides)
        if first < index:
            found.append((max(first, found[-1][1] if found else 0), last))
        elif asked:
            found.append((index, last))
    if not found:
        found += _without_at(tokens, language, asides, asked=asked)
    return found


def _asides(phrases: Phrases, language: Language) -> dict[int, int]:
    """What is said about an address in the middle of it, by the token after it: its first token."""
    places = (phrases.tokens(*match.span()) for match in language.patterns["asides"].finditer(phrases.text))
    return {last: first for first, last in places}


def _domain_end(tokens: Sequence[Token], index: int, language: Language) -> int | None:
    """The token after a domain that begins here: words, a dot, and its end; or a known provider."""
    if index < len(tokens) and tokens[index].text in language.sign:
        index += 1
    at, words, provider = index, 0, None
    while at < len(tokens) and words <= _WORDS_OF_DOMAIN:
        if _is_dot(tokens, at, language):
            end = _top(tokens, at, language) if words else None
            if end is not None:
                return end
            at += 1
            continue
        if tokens[at].text in language.joins and words:
            at += 1
            continue
        if tokens[at].sort is Sort.MASK or not (
            tokens[at].sort in {Sort.WORD, Sort.FIGURES} or tokens[at].text in language.joins
        ):
            break
        letter = letters_of(tokens[at], language)
        words += 0 if letter and words and tokens[at].is_letter else 1
        at += 1
        if provider is None and "".join(token.text for token in tokens[index:at]) in language.providers:
            provider = at
    return provider


def _top(tokens: Sequence[Token], dot: int, language: Language) -> int | None:
    """The token after the last of ``.co.uk`` that begins with this dot; ``None``: no known end follows."""
    end = None
    at = dot
    for _ in range(_PARTS_OF_DOMAIN):
        if at >= len(tokens) or not _is_dot(tokens, at, language):
            break
        last = _top_word(tokens, at + 1, language)
        if last is None:
            if end is not None:
                break
            last = at + 2  # the name of a subdomain
            if last > len(tokens) or tokens[at + 1].sort is not Sort.WORD:
                break
            at = last
            continue
        end = at = last
    return end


def _top_word(tokens: Sequence[Token], index: int, language: Language) -> int | None:
    """The token after an end of domains, which may be spelled: ``c o m``."""
    if index < len(tokens) and tokens[index].text in language.top_domains and not tokens[index].is_letter:
        ends = index + 1 == len(tokens) or tokens[index + 1].sort is not Sort.WORD
        known = tokens[index].text not in language.top_words or ends
        return index + 1 if known or _is_dot(tokens, index + 1, language) else None
    spelled = ""
    for last in range(index, min(index + 4, len(tokens))):
        if not tokens[last].is_letter:
            break
        spelled += tokens[last].text
        if spelled in language.top_domains and not (
            last + 1 < len(tokens) and tokens[last + 1].is_letter and len(spelled) < 3
        ):
            return last + 1
    return None


def _is_dot(tokens: Sequence[Token], index: int, language: Language) -> bool:
    if index >= len(tokens):
        return False
    token = tokens[index]
    if token.text == ".":
        return token.glued and index + 1 < len(tokens) and tokens[index + 1].glued
    return token.text in language.dot


def _local_begin(tokens: Sequence[Token], at: int, language: Language, asides: dict[int, int]) -> int:
    """The first token of what stands before this "at"; ``at`` itself when nothing does."""
    first, words = at, 0
    joined = True
    while first > 0 and at - first < _LONGEST_LOCAL:
        if first in asides:
            first = asides[first]
            continue
        token = tokens[first - 1]
        join = token.text in language.joins or _is_dot(tokens, first - 1, language)
        if join:
            joined = True
        elif token.sort in {Sort.SIGN, Sort.MASK} or not _belongs(
            tokens, first - 1, language, joined=joined and first < at
        ):
            break
        elif not (is_number(token, language) or letters_of(token, language)):
            words += 0 if joined else 1
            joined = False
            if words > _WORDS_OF_LOCAL:
                break
        else:
            joined = False
        first -= 1
    ends = {begin: end for end, begin in asides.items()}
    while first < at:
        if first in ends and ends[first] < at:
            first = ends[first]
        elif tokens[first].text in language.joins or _is_dot(tokens, first, language):
            first += 1
        else:
            break
    return first


def _belongs(tokens: Sequence[Token], index: int, language: Language, *, joined: bool) -> bool:
    """Whether a word is part of an address: any is before a dot or underscore, else one that ends none."""
    token = tokens[index]
    if token.is_letter:
        beside = index > 0 and (tokens[index - 1].is_letter or tokens[index - 1].text in language.joins)
        return token.text not in "ai" or joined or beside or tokens[index + 1].is_letter
    if is_number(token, language):
        return True
    if 0 < index < len(tokens) - 1 and token.text in language.fillers:  # two thousand and two
        return is_number(tokens[index - 1], language) and is_number(tokens[index + 1], language)
    after_join = index > 0 and (
        tokens[index - 1].text in language.joins or _is_dot(tokens, index - 1, language)
    )
    return joined or after_join or token.text not in language.not_in_address


def _without_at(
    tokens: Sequence[Token], language: Language, asides: dict[int, int], *, asked: bool
) -> list[tuple[int, int]]:
    """Parts of an address that was asked for: its "at" was not heard, or comes in another turn."""
    if not asked or any(token.sort is Sort.MASK for token in tokens):
        return []
    for index in range(1, len(tokens)):
        end = _top(tokens, index, language) if _is_dot(tokens, index, language) else None
        if end is not None:
            return [(_local_begin(tokens, index, language, asides), end)]
    joins = [i for i in range(1, len(tokens)) if _joins_words(tokens, i, language)]
    if joins:
        last = joins[-1] + 2
        while last < len(tokens) and (tokens[last].is_letter or is_number(tokens[last], language)):
            last += 1
        return [(_local_begin(tokens, last, language, asides), min(last, len(tokens)))]
    return _spelled(tokens, language) or _short(tokens, language)


def _joins_words(tokens: Sequence[Token], index: int, language: Language) -> bool:
    join = tokens[index].text in language.joins and tokens[index].sort is Sort.WORD
    words = index + 1 < len(tokens) and tokens[index + 1].sort in {Sort.WORD, Sort.FIGURES}
    return (join or _is_dot(tokens, index, language)) and words and tokens[index - 1].sort is Sort.WORD


def _spelled(tokens: Sequence[Token], language: Language) -> list[tuple[int, int]]:
    """Four letters and digits in a row."""
    first = 0
    for index in range(len(tokens) + 1):
        token = tokens[index] if index < len(tokens) else None
        if token is not None and (token.is_letter or is_number(token, language)):
            continue
        letters = sum(token.is_letter for token in tokens[first:index])
        if letters >= 3 and index - first >= 4:
            return [(first, index)]
        first = index + 1
    return []


def _short(tokens: Sequence[Token], language: Language) -> list[tuple[int, int]]:
    """A short answer of words that may all be of an address: "joe bloggs"."""
    first = 0
    while first < len(tokens) and tokens[first].text in language.answer_words:
        first += 1
    words = tokens[first:]
    never = language.not_in_address | language.not_names | language.answer_words
    fits = all(token.sort in {Sort.WORD, Sort.FIGURES} and token.text not in never for token in words)
    return [(first, len(tokens))] if fits and 0 < len(words) <= _WORDS_OF_LOCAL else []
