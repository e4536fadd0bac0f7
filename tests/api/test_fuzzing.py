"""Requests that schemathesis makes up from the OpenAPI document: no 500, and only documented responses."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi import checks
from sqlalchemy.orm import Session

from skymailing.models import User
from tests.api.conftest import Program

pytestmark = pytest.mark.one_engine

EXAMPLES = 5  # of each operation
SOAK_EXAMPLES = 60
CHECKS: list[Any] = [
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
]
# The same requests each time: a test that fails sometimes would be ignored.
SETTINGS = settings(
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def list_operations(app: Flask) -> Iterator[Any]:
    """Yield the operations, deletions last, so that the others find objects."""
    schema: Any = schemathesis.openapi.from_wsgi("/api/openapi.json", app)
    operations = [result.ok() for result in schema.get_all_operations()]
    yield from sorted(operations, key=lambda operation: operation.method == "delete")


@pytest.mark.parametrize(
    "examples", [EXAMPLES, pytest.param(SOAK_EXAMPLES, marks=pytest.mark.soak)], ids=["few", "many"]
)
@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode))
def test_made_up_requests_get_documented_responses(
    app: Flask,
    session: Session,
    user: User,
    program: Program,
    arguments: dict[str, Any],
    mode: schemathesis.GenerationMode,
    examples: int,
) -> None:
    count, failures = 0, dict[str, str]()
    headers = {"Authorization": f"Bearer {program.key}", "Accept-Encoding": "identity"}

    def send(operation: Any, cases: Any, data: Any) -> None:
        nonlocal count
        case = data.draw(cases)
        if data.draw(st.booleans()):
            case.path_parameters = {name: arguments[name] for name in case.path_parameters or ()}
        response = case.call(headers=headers)
        count += 1
        try:
            case.validate_response(response, checks=CHECKS)
        except FailureGroup as failure:
            failures.setdefault(operation.label, str(failure))

    for operation in list_operations(app):
        # One strategy for all examples: to build it takes as long as to draw several of them.
        cases = operation.as_strategy(generation_mode=mode)
        test = given(st.just(operation), st.just(cases), st.data())(send)
        settings(SETTINGS, max_examples=examples)(test)()
    assert "\n".join(f"{name}: {text}" for name, text in failures.items()) == ""
    assert count > 350
