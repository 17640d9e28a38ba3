"""The process that looks for patterns in texts: it ends where they take it too long. A script that imports
nothing of ours, so that it starts in 0.02 s.

Reads, as JSON, a list of questions: a pattern, texts, and whether the whole text must match. Writes for each
question a line of JSON: what was found last in each text, or null.
"""

from __future__ import annotations

import json
import re
import resource
import sys
from typing import IO

CPU_SECONDS = 2  # for all questions of a call; a pattern that can be used takes milliseconds


def answer(pattern: str, texts: list[str], whole: bool) -> list[str | None]:
    """What is found last in each text. Raises ``re.error``."""
    expression = re.compile(pattern)
    if whole:
        return [match and match[0] for match in map(expression.fullmatch, texts)]
    found: list[str | None] = []
    for text in texts:
        last = None
        for match in expression.finditer(text):
            last = match[0]
        found.append(last)
    return found


def serve(questions: IO[str], answers: IO[str]) -> None:
    """Answer all questions, each as soon as it can be."""
    for pattern, texts, whole in json.load(questions):
        answers.write(json.dumps(answer(pattern, texts, whole)) + "\n")
        answers.flush()


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 1))
    serve(sys.stdin, sys.stdout)
