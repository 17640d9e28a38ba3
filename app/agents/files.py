"""Agent profiles in YAML files, one agent a file. A wrong file says which field and what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from app.voice.profile import AgentProfile


class AgentFileError(Exception):
    """An agent's file cannot be used: file, field, problem, what to do."""


def read_profiles(folder: Path) -> list[AgentProfile]:
    """The profiles of all ``*.yaml`` files of a folder, by name. Raises ``AgentFileError``."""
    if not folder.is_dir():
        raise AgentFileError(f"there is no folder {folder} to read agents from")
    return [read_profile(path) for path in sorted(folder.glob("*.yaml"))]


def read_profile(path: Path) -> AgentProfile:
    """The profile in one file, whose name must be the agent's. Raises ``AgentFileError``."""
    content = _load(path)
    try:
        profile = AgentProfile.model_validate(content)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, problem['loc'])) or 'the file'}: {problem['msg']}"
            for problem in error.errors(include_url=False, include_context=False, include_input=False)
        )
        raise AgentFileError(f"{path}: {problems}. Correct the file and start again") from None
    if profile.name != path.stem:
        raise AgentFileError(
            f"{path}: name: is {profile.name!r}, but must be {path.stem!r} like the file. "
            "Rename one of them and start again"
        )
    return profile


def _load(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise AgentFileError(f"{path}: cannot be read ({error.strerror}). Check its permissions") from None
    except UnicodeDecodeError:
        raise AgentFileError(f"{path}: is not UTF-8. Save it as UTF-8 and start again") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        problem = getattr(error, "problem", None) or "is not YAML"
        raise AgentFileError(f"{path}: {where}{problem}. Correct the file and start again") from None
    if not isinstance(content, dict):
        raise AgentFileError(f"{path}: must hold fields such as 'name: {path.stem}'")
    return content
