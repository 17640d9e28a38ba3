"""Where an engine's model is: a path, or a name among those that ``trunkline models fetch`` has put there."""

from __future__ import annotations

from pathlib import Path

from app.engines.errors import EngineUnavailable


def find_model(engine: str, variable: str, given: str, models: Path) -> Path:
    """The file or folder that ``given`` names; ``variable`` is the setting it comes from.

    Raises ``EngineUnavailable`` when it is not there; the message says where to put it.
    """
    if not given:
        raise EngineUnavailable(engine, f"no model named; set {variable}")
    is_path = "/" in given or given.startswith((".", "~"))
    path = Path(given).expanduser() if is_path else models / given
    if path.exists():
        return path.resolve()
    if is_path:
        raise EngineUnavailable(engine, f"{variable} names {given}, and nothing is there")
    raise EngineUnavailable(
        engine,
        f"its model {given} is not in {models}; get it with 'trunkline models fetch {given}', put it there, "
        f"or set {variable} to its path",
    )
