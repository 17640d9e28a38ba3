"""Whether the last clause of unpunctuated words is whole, by closed-class words and common verbs. Pure.

No parser: does the last word wait for another, is there a verb, has a subordinate clause its finite verb and
its main clause, has a question its subject and its verb. Ambiguous words are taken as they are most common.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from app.voice.language.model import Grammar


class Clause(StrEnum):
    """What words come to."""

    HANGING = "hanging"  # a part is missing
    FRAGMENT = "fragment"  # no verb: a short answer, or a beginning
    STATED = "stated"  # a whole statement or request
    ASKED = "asked"  # a whole question


def last_clause(words: Sequence[str], grammar: Grammar) -> Clause:
    """What the last main clause of some normalised words comes to; there is at least one word."""
    clause = _last_main_clause(words, grammar)
    if not clause:
        return Clause.HANGING
    asks = _asks(clause, grammar)
    if _last_word_waits(clause, grammar, asks=asks):
        return Clause.HANGING
    verbs = _verb_groups(clause, grammar)
    if not verbs:
        return _fragment(words[0], clause, grammar)
    if _has_open_subclause(clause, verbs, grammar, asks=asks):
        return Clause.HANGING
    return _question(clause, verbs[0], grammar) if asks else Clause.STATED


def _last_main_clause(words: Sequence[str], grammar: Grammar) -> Sequence[str]:
    """From the last "and", "but" or "so" that begins a clause, without the words before the clause proper."""
    start = 0
    for index in range(len(words) - 2, 0, -1):
        if words[index] in grammar.coordinators and words[index + 1] in grammar.beginnings:
            start = index
            break
    while start < len(words) and words[start] in grammar.openers:
        start += 1
    return words[start:]


def _asks(clause: Sequence[str], grammar: Grammar) -> bool:
    """Whether it is a question by its order: "where is", "what time do", "can you"."""
    if clause[0] in grammar.contracted:
        return clause[0] in grammar.questions
    if clause[0] not in grammar.questions:
        return clause[0] in grammar.auxiliaries
    # Its verb comes before its subject: "when i was" asks nothing.
    first = (word for word in clause[1:4] if word in grammar.auxiliaries or word in grammar.subjects)
    return next(first, "") in grammar.auxiliaries


def _last_word_waits(clause: Sequence[str], grammar: Grammar, *, asks: bool) -> bool:
    """Whether the last word waits for another one."""
    last = clause[-1]
    before = clause[-2] if len(clause) > 1 else ""
    after_verb = before in grammar.verbs or before in grammar.wanting
    embedded = any(word in grammar.relatives for word in clause[1 if asks else 0 : -1])
    if last in grammar.prepositions:
        if last == "to":
            return True
        particle = last in grammar.particles and (after_verb or before in grammar.objects)
        left_behind = (asks and clause[0] in grammar.questions) or (embedded and after_verb)
        return not (particle or left_behind)
    if last in grammar.auxiliaries:  # but "yes i do", "where it is"
        return before not in grammar.subjects or (last in grammar.copulas and not embedded)
    if last in grammar.wanting and before not in grammar.determiners:  # but "what do you need"
        return not (embedded or (asks and clause[0] in grammar.object_questions))
    if last in grammar.persons and before in grammar.wanting:  # "could you tell me"
        return True
    if last in grammar.only_subjects:  # but "where are they"
        return before not in grammar.auxiliaries
    if last in grammar.negations and len(clause) > 2:  # but "i do not"
        return before not in grammar.auxiliaries
    joins = last in grammar.coordinators or last in grammar.questions
    return joins and len(clause) > 1 and not after_verb  # but "i think so", "i don't know why"


def _verb_groups(clause: Sequence[str], grammar: Grammar) -> list[int]:
    """Where the groups of verbs begin: "could have been delivered" is one."""
    groups: list[int] = []
    inside = False
    for index, word in enumerate(clause):
        before = clause[index - 1] if index else ""
        if word in grammar.auxiliaries or _is_main_verb(word, before, grammar):
            if not inside:
                groups.append(index)
            inside = True
        else:
            inverted = word in grammar.subjects and before in grammar.auxiliaries
            inside = inside and (inverted or word in grammar.between)
    return groups


def _is_main_verb(word: str, before: str, grammar: Grammar) -> bool:
    """Whether it is a verb here: "my order" and "in use" are none."""
    if word not in grammar.verbs and word not in grammar.wanting:
        return False
    return before == "to" or (before not in grammar.determiners and before not in grammar.prepositions)


def _fragment(first: str, clause: Sequence[str], grammar: Grammar) -> Clause:
    """Words without a verb: an answer such as "on monday", or the beginning of a sentence."""
    begins = clause[0] in grammar.only_subjects or _subordinates(clause, 0, grammar)
    asks = clause[0] in grammar.questions and len(clause) > 1
    joined = first in grammar.coordinators
    return Clause.HANGING if begins or asks or joined else Clause.FRAGMENT


def _question(clause: Sequence[str], verb: int, grammar: Grammar) -> Clause:
    """A question is whole once its subject and something more, or after "where is" a subject, was said."""
    after = clause[verb + 1 :]
    if clause[0] in grammar.questions:
        return Clause.ASKED if after or clause[-1] in grammar.verbs else Clause.HANGING
    more = len(after) > 1 and any(word not in grammar.subjects for word in after)
    return Clause.ASKED if more else Clause.HANGING


def _has_open_subclause(clause: Sequence[str], verbs: Sequence[int], grammar: Grammar, *, asks: bool) -> bool:
    """Whether the last "because" or "if" waits for its finite verb, or the first for its main clause."""
    if not asks and len(verbs) < 2 and _subordinates(clause, 0, grammar):
        return True
    for index in range(len(clause) - 1, 0, -1):
        if _subordinates(clause, index, grammar):
            return not any(verb > index and clause[verb - 1] != "to" for verb in verbs)
    return False


def _subordinates(clause: Sequence[str], index: int, grammar: Grammar) -> bool:
    """Whether the word begins a subordinate clause; "before" and "since" do so only before a subject."""
    word = clause[index]
    if word not in grammar.subordinators:
        return False
    following = clause[index + 1] if index + 1 < len(clause) else ""
    return word not in grammar.prepositions or following in grammar.subjects
