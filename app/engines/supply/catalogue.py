"""The models that can be fetched, as ``config/models.yaml`` lists them."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from config.settings import ROOT

CATALOGUE = ROOT / "models.yaml"

_Url = Annotated[str, Field(pattern=r"^https?://[^/\s]+/\S+$")]
_Sha256 = Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]
_Md5 = Annotated[str, Field(pattern=r"^([0-9a-f]{32})?$")]


class CatalogueError(Exception):
    """The catalogue cannot be used, or does not know a model. The message says which and what to do."""


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(_Entry):
    """Where bytes come from and what they must be; an empty hash is not known."""

    url: _Url
    bytes: int | None = Field(default=None, ge=1)
    sha256: _Sha256 = ""
    md5: _Md5 = ""


class ModelFile(Source):
    """A file of a model, at ``path`` in its folder."""

    path: str

    @field_validator("path")
    @classmethod
    def _inside_the_folder(cls, value: str) -> str:
        if not is_inside(value):
            raise ValueError("must be a path inside the model's folder")
        return value


class Model(_Entry):
    """A model: files, or one archive whose content is the folder. ``languages`` are BCP 47; mul: many."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    engine: str
    licence: str
    languages: tuple[str, ...]
    about: str
    source: str
    files: tuple[ModelFile, ...] = ()
    archive: Source | None = None

    @model_validator(mode="after")
    def _has_content(self) -> Model:
        if bool(self.files) == bool(self.archive):
            raise ValueError("must have either files or an archive")
        return self

    @property
    def bytes(self) -> int:
        """What must be fetched, as far as it is known."""
        sources: tuple[Source, ...] = (self.archive,) if self.archive else self.files
        return sum(source.bytes or 0 for source in sources)


class _File(_Entry):
    models: tuple[Model, ...]


class Catalogue:
    """The models by name, in the file's order."""

    def __init__(self, models: tuple[Model, ...]) -> None:
        self.models = models
        self._by_name = {model.name: model for model in models}

    def find(self, name: str) -> Model | None:
        """The model of that name, if it is listed."""
        return self._by_name.get(name)

    def get(self, name: str) -> Model:
        """The model of that name. Raises ``CatalogueError``."""
        found = self.find(name)
        if found is None:
            known = ", ".join(self._by_name)
            raise CatalogueError(f"no model is called {name!r}; config/models.yaml has {known}")
        return found


def read_catalogue(path: Path = CATALOGUE) -> Catalogue:
    """The catalogue in a file. Raises ``CatalogueError``."""
    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        models = _File.model_validate(content).models
    except OSError as error:
        raise CatalogueError(f"{path} cannot be read ({error.strerror}); restore it") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CatalogueError(f"{path} is no YAML ({type(error).__name__}); correct it") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise CatalogueError(f"{path}: {where}: {first['msg']}; correct it") from None
    names = [model.name for model in models]
    if doubled := {name for name in names if names.count(name) > 1}:
        raise CatalogueError(f"{path} lists {', '.join(sorted(doubled))} twice; remove one")
    return Catalogue(models)


def is_inside(path: str) -> bool:
    """Whether a path with slashes stays in the folder that it is taken from."""
    parts = PurePosixPath(path).parts
    return (
        bool(parts) and not path.startswith("/") and ".." not in parts and not set(path) & {"\\", "\0", ":"}
    )
