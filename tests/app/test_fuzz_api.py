"""The admin API as its description says: any request, by any role, is answered as documented.

``FUZZ_EXAMPLES`` sets how many requests of each kind are made of each operation and role.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import pytest
import schemathesis
from fastapi.routing import iter_route_contexts
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.schemas import APIOperation, BaseSchema
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from app.auth.service import Role
from tests.app.served_api import ServedApi, served_api

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "2"))
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
_MALFORMED = {400, 413, 415, 422}  # told before anybody is asked for a key


@pytest.fixture(scope="module")
def served(postgres: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedApi]:
    import asyncio

    from tests.db_fixtures import execute, with_database

    asyncio.run(execute(postgres, f"CREATE DATABASE fuzzed TEMPLATE {template}"))
    with served_api(with_database(postgres, "fuzzed"), tmp_path_factory.mktemp("recordings")) as served:
        yield served
    asyncio.run(execute(postgres, "DROP DATABASE fuzzed WITH (FORCE)"))


@pytest.fixture(scope="module")
def schema(served: ServedApi) -> BaseSchema:
    return schemathesis.openapi.from_dict(served.app.openapi())


def roles_of(served: ServedApi) -> dict[tuple[str, str], Role]:
    """The least role that each operation needs, as the application's routes say it."""
    found: dict[tuple[str, str], Role] = {}
    for route in iter_route_contexts(served.app.routes):
        if route.path == "/openapi.json":
            continue
        needed = [each.call.role for each in route.dependant.dependencies if hasattr(each.call, "role")]
        assert needed, f"{route.path} can be used by anybody"
        for method in route.methods or ():
            found[method, str(route.path)] = max(needed, key=list(Role).index)
    return found


def test_who_may_do_what(served: ServedApi) -> None:
    table = roles_of(served)
    for (method, path), role in table.items():
        if path.startswith(("/keys", "/audit", "/webhooks", "/erasures")):
            assert role is Role.ADMIN, (method, path)
        elif path.startswith("/agents") and method != "GET":
            assert role is (Role.OPERATOR if path.endswith("/try") else Role.ADMIN), (method, path)
        elif method != "GET":
            assert role is not Role.VIEWER, (method, path)


def test_every_post_can_be_sent_again(served: ServedApi) -> None:
    for path, operations in served.app.openapi()["paths"].items():
        for method, operation in operations.items():
            names = {parameter["name"] for parameter in operation.get("parameters", ())}
            assert ("Idempotency-Key" in names) == (method == "post" and not path.endswith("/try")), path


def test_every_change_of_a_resource_with_an_etag_needs_if_match(served: ServedApi) -> None:
    for path, operations in served.app.openapi()["paths"].items():
        tagged = "304" in operations.get("get", {}).get("responses", {})
        for method in ("put", "patch", "delete"):
            if tagged and method in operations:
                assert {"412", "428"} <= set(operations[method]["responses"]), (method, path)


@pytest.mark.parametrize("role", [None, *Role])
def test_every_answer_is_as_documented(served: ServedApi, schema: BaseSchema, role: Role | None) -> None:
    table = roles_of(served)
    headers = {"Authorization": f"Bearer {served.keys[role]}"} if role else {}
    wrong: list[Exception] = []
    for result in schema.get_all_operations():
        assert isinstance(result, Ok)
        operation = result.ok()
        needed = table[operation.method.upper(), operation.path]
        may = role is not None and role.includes(needed)
        for mode in GenerationMode:
            try:
                _try(served, operation, mode, headers, EXAMPLES if may else 1, _allowed(role, may=may))
            except Exception as error:  # noqa: BLE001 - the others are to be heard of too
                wrong.append(error)
    if wrong:
        raise ExceptionGroup(f"{len(wrong)} operations are not as documented", wrong)


def _allowed(role: Role | None, *, may: bool) -> set[int] | None:
    """The statuses that a key without the role may see; ``None``: any but those of strangers."""
    return None if may else _MALFORMED | {401 if role is None else 403}


def _try(
    served: ServedApi,
    operation: APIOperation[Any, Any, Any, Any],
    mode: GenerationMode,
    headers: dict[str, str],
    examples: int,
    allowed: set[int] | None,
) -> None:
    @given(st.data())
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def one(data: Any) -> None:
        case: Any = data.draw(operation.as_strategy(mode))
        names = [name for name in case.path_parameters or {} if name in served.known]
        if names and data.draw(st.booleans()):
            for name in names:
                case.path_parameters[name] = data.draw(st.sampled_from(served.known[name]))
        # A mounted application is not found below a path with a line feed: nothing of it can answer.
        assume("\n" not in unquote(case.formatted_path))
        own = {name: value for name, value in (case.headers or {}).items() if name.lower() != "authorization"}
        case.headers = {**own, **headers}
        response = case.call(base_url=served.url)
        case.validate_response(response, checks=CHECKS)
        if allowed is not None:
            assert response.status_code in allowed, (operation.label, response.status_code)
        else:
            assert response.status_code not in {401, 403}, (operation.label, response.status_code)

    try:
        one()
    except Exception as error:
        if "Unsatisfiable" not in type(error).__name__:  # nothing in it can be wrong
            raise
