"""Permissions in the API: each operation with each scope and for each person, by the declared scopes."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from skymailing.api.scopes import Scope
from skymailing.api.views.blueprint import PREFIX
from skymailing.clock import utcnow
from skymailing.models import User
from tests.api.conftest import MakeProgram, Program
from tests.conftest import SignIn
from tests.security.test_csrf import read_tables
from tests.support.factories import UserFactory

pytestmark = pytest.mark.one_engine

MISSING_KEY = 401


def list_operations(app: Flask) -> Iterator[tuple[str, str, Scope, set[str]]]:
    """Yield the endpoint, method, scope and arguments of every operation."""
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith(PREFIX):
            scope = vars(app.view_functions[rule.endpoint])["scope"]
            (method,) = (rule.methods or set()) - {"HEAD", "OPTIONS"}
            yield rule.endpoint, method, scope, set(rule.arguments)


def path_of(app: Flask, endpoint: str, names: set[str], arguments: dict[str, Any]) -> str:
    with app.test_request_context():
        path = app.url_for(endpoint, **{name: arguments[name] for name in names})
    return path.removeprefix(PREFIX)


def test_every_operation_declares_a_scope(app: Flask) -> None:
    operations = list(list_operations(app))
    assert len(operations) > 30
    assert all(isinstance(scope, Scope) for _endpoint, _method, scope, _names in operations)
    names = [endpoint.partition(".")[2] for endpoint, *_rest in operations]
    assert len(names) == len(set(names))  # clients are generated from them


@pytest.mark.parametrize("granted", list(Scope), ids=str)
def test_a_key_can_do_only_what_its_scopes_allow(
    app: Flask,
    session: Session,
    user: User,
    arguments: dict[str, Any],
    make_program: MakeProgram,
    granted: Scope,
) -> None:
    program = make_program(user, scopes=[granted.value])
    before = read_tables(session)
    for endpoint, method, scope, names in list_operations(app):
        if scope is granted:
            continue
        path = path_of(app, endpoint, names, arguments)
        assert program.refuse(method, path, {})[:2] == (403, "scope_missing"), endpoint
    assert read_tables(session) == before
    for endpoint, method, scope, names in list_operations(app):
        if scope is granted and method == "GET":
            assert program.get(path_of(app, endpoint, names, arguments)).status_code == 200, endpoint


def test_without_a_key_everything_is_refused(
    app: Flask, session: Session, user: User, arguments: dict[str, Any], visitor: FlaskClient
) -> None:
    before = read_tables(session)
    for endpoint, _method, _scope, names in list_operations(app):
        path = PREFIX + path_of(app, endpoint, names, arguments)
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
            response = visitor.open(path, method=method, json={})
            assert response.status_code in (MISSING_KEY, 405), endpoint
            if response.status_code == MISSING_KEY:
                assert response.headers["WWW-Authenticate"].startswith("Bearer ")
    assert read_tables(session) == before


def test_a_browser_session_is_not_a_key(
    app: Flask, user: User, arguments: dict[str, Any], sign_in: SignIn
) -> None:
    browser = sign_in(user)
    for endpoint, method, _scope, names in list_operations(app):
        path = PREFIX + path_of(app, endpoint, names, arguments)
        assert browser.open(path, method=method, json={}).status_code == MISSING_KEY, endpoint


BODIES: dict[str, Any] = {
    "update_client": {"full_name": "Taken over"},
    "rename_tag": {"name": "Taken over"},
    "update_message": {"subject": "Taken over"},
    "update_mailing": {"name": "Taken over"},
    "replace_segment": {"name": "Taken over", "conditions": {"field": "email", "op": "is_set"}},
    "update_webhook": {"events": ["run.finished"]},
    "update_topic": {"name": "Taken over"},
    "choose_topic": {"is_joined": True},
    "choose_winner": {"number": 1},
    "add_enrolment": {"client_id": 1},
    "update_sequence": {"name": "Taken over"},
    "add_step": {"message_id": 1},
    "update_step": {"wait": 9},
}
QUERIES = {"attach_file": "?filename=a.pdf"}


def test_objects_of_other_owners_do_not_exist(
    app: Flask, session: Session, user: User, arguments: dict[str, Any], make_program: MakeProgram
) -> None:
    other = make_program(UserFactory.create())
    before = read_tables(session)
    requests = 0
    for endpoint, method, _scope, names in list_operations(app):
        if not names or ("email" in names and method == "PUT"):  # a PUT adds a client of the program's owner
            continue
        name = endpoint.partition(".")[2]
        path, body = path_of(app, endpoint, names, arguments) + QUERIES.get(name, ""), BODIES.get(name)
        assert other.refuse(method, path, body)[:2] == (404, "not_found"), endpoint
        requests += 1
    assert requests > 20
    assert read_tables(session) == before


def test_lists_contain_only_own_objects(
    app: Flask, user: User, arguments: dict[str, Any], make_program: MakeProgram
) -> None:
    other = make_program(UserFactory.create())
    for endpoint, method, _scope, names in list_operations(app):
        if method == "GET" and not names and not endpoint.endswith("get_report"):
            path = path_of(app, endpoint, names, arguments)
            assert other.read(path)["data"] == [], endpoint


# Operations other than reading that test keys may perform; mailings must have been added with test keys.
FOR_TESTS = {
    *("count_conditions", "create_message", "send_letter"),
    *("create_mailing", "update_mailing", "delete_mailing"),
    *("start_mailing", "pause_mailing", "resume_mailing", "cancel_mailing"),
}
OF_A_MAILING = {"mailing_id"}


def test_a_test_key_changes_only_tests(
    app: Flask, session: Session, tester: Program, arguments: dict[str, Any]
) -> None:
    before = read_tables(session)
    allowed = set()
    for endpoint, method, _scope, names in list_operations(app):
        name, path = endpoint.partition(".")[2], path_of(app, endpoint, names, arguments)
        if method == "GET":
            assert tester.get(path).status_code == 200, name
        elif vars(app.view_functions[endpoint])["live_only"]:
            assert tester.refuse(method, path, {})[:2] == (403, "test_key"), name
        else:
            allowed.add(name)
        if method != "GET" and names == OF_A_MAILING:
            assert tester.refuse(method, path, BODIES.get(name))[0] == 403, name
    assert allowed == FOR_TESTS
    assert read_tables(session) == before


@pytest.mark.parametrize("state", ["blocked", "unconfirmed", "leaving", "revoked", "expired"])
def test_a_key_stops_working_immediately(
    session: Session, user: User, make_program: MakeProgram, state: str
) -> None:
    values: dict[str, Any] = {}
    if state == "revoked":
        values["revoked_at"] = utcnow()
    if state == "expired":
        values["expires_at"] = utcnow()
    program: Program = make_program(user, **values)
    if not values:
        assert program.get("/clients").status_code == 200
    if state == "blocked":
        user.blocked_at = utcnow()
    if state == "unconfirmed":
        user.confirmed_at = None
    if state == "leaving":
        user.deletion_at = utcnow()
    session.flush()
    assert program.refuse("GET", "/clients")[:2] == (401, "key_invalid")
