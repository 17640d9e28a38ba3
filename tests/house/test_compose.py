"""What the container files name is there: settings, profiles, build arguments, services, files."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from config.settings import PROFILES, Settings
from tests.house.test_settings import leaves

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
FILES = ("docker-compose.yml", "docker-compose.gpu.yml")
VARIABLE = re.compile(r"^\$\{(\w+)(?::[-?]([^}]*))?\}$")


def read(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))
    return content


def merged() -> dict[str, Any]:
    """Both files as ``docker compose -f ... -f ...`` puts them together, as far as these tests look."""
    base, over = read(FILES[0]), read(FILES[1])
    services = {
        name: base["services"].get(name, {}) | over["services"].get(name, {})
        for name in {**base["services"], **over["services"]}
    }
    for name, service in services.items():
        for key in ("environment", "depends_on"):
            service[key] = {
                **(base["services"].get(name, {}).get(key) or {}),
                **(over["services"].get(name, {}).get(key) or {}),
            }
    return {"services": services, "volumes": {**(base["volumes"] or {}), **(over["volumes"] or {})}}


def builds() -> Iterator[dict[str, Any]]:
    for name in FILES:
        for service in read(name)["services"].values():
            if "build" in service:
                yield service["build"]


def default_of(value: str) -> str:
    found = VARIABLE.match(value)
    return (found[2] or "") if found else value


@pytest.mark.parametrize("name", FILES)
def test_every_variable_of_ours_is_a_setting(name: str) -> None:
    known = {variable for variable, _ in leaves(Settings, "TRUNKLINE_")}
    named = {
        variable
        for service in read(name)["services"].values()
        for variable in service.get("environment") or {}
        if variable.startswith("TRUNKLINE_")
    }
    assert named
    assert named <= known
    told = set(re.findall(r"TRUNKLINE_\w+", (ROOT / name).read_text(encoding="utf-8")))
    assert told <= known


@pytest.mark.parametrize("name", FILES)
def test_the_default_profile_is_there(name: str) -> None:
    for service in read(name)["services"].values():
        profile = (service.get("environment") or {}).get("TRUNKLINE_PROFILE")
        if profile is not None:
            assert (PROFILES / f"{default_of(profile)}.yaml").is_file()


def test_build_arguments_are_those_of_the_dockerfile() -> None:
    arguments = set(re.findall(r"^ARG (\w+)", DOCKERFILE, re.MULTILINE))
    known = re.search(r"EXTRAS may name ([a-z, ]+);", DOCKERFILE)
    assert known
    found = list(builds())
    assert found
    for build in found:
        assert set(build["args"]) <= arguments
        assert set(default_of(build["args"]["EXTRAS"]).split()) <= set(known[1].split(", "))
    for extra in known[1].split(", "):
        assert re.search(rf"^\s+{extra}\) ", DOCKERFILE, re.MULTILINE)


def test_what_the_dockerfile_copies_is_there() -> None:
    for line in re.findall(r"^COPY (.+)$", DOCKERFILE, re.MULTILINE):
        for source in shlex.split(line)[:-1]:
            assert (ROOT / source).exists(), source


def test_services_volumes_and_conditions_fit_together() -> None:
    content = merged()
    for name, service in content["services"].items():
        for needed in service["depends_on"]:
            assert needed in content["services"], name
            if service["depends_on"][needed]["condition"] == "service_healthy":
                other = content["services"][needed]
                assert "healthcheck" in other or "HEALTHCHECK" in DOCKERFILE
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            if source.startswith("./"):  # a mount of the repository's
                assert (ROOT / source).is_dir(), source
            else:
                assert source in content["volumes"], name


def test_the_gpu_is_reserved_where_a_model_runs_on_it() -> None:
    services = merged()["services"]
    for name in ("web", "ollama"):
        (device,) = services[name]["deploy"]["resources"]["reservations"]["devices"]
        assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])
    url = default_of(services["web"]["environment"]["TRUNKLINE_ENGINES__OPENAI__BASE_URL"])
    assert url == "http://ollama:11434/v1"


def test_the_model_to_pull_is_the_profiles() -> None:
    told = re.search(r"ollama pull (\S+)", (ROOT / FILES[1]).read_text(encoding="utf-8"))
    assert told
    assert Settings(profile="gpu").engines.openai.model == told[1]
