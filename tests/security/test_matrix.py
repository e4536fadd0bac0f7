"""Check every route and method for every person: each cell of the table in `decisions.py`.

The routes come from the app's URL map, so a route without a decision fails here. Each test checks all
cells for one person and reports all errors at once.
"""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import inspect
from sqlalchemy.orm import Session
from werkzeug.exceptions import MethodNotAllowed
from werkzeug.test import TestResponse

from tests.conftest import SignIn
from tests.security.decisions import (
    ACCESS,
    DEVELOPMENT_ONLY,
    find_expected_outcome,
)
from tests.security.owned_objects import SAFE, VERBS, OwnedObjects, list_methods, sign_in_person
from tests.security.rules import PUBLIC, Outcome, Own, Panel, Person, list_page_rules
from tests.support.databases import read_version
from tests.support.factories import UserFactory

# Permissions are checked in Python, so one database is enough; the tests of each feature read from both.
pytestmark = pytest.mark.one_engine

MISSING_ID = 999_999_999
LOGOUT = "auth.logout"


def read_values(session: Session, row: Any) -> dict[str, object]:
    """Return the stored values of a row."""
    if row is None:
        return {}
    session.refresh(row)
    return {attribute.key: getattr(row, attribute.key) for attribute in inspect(row).mapper.column_attrs}


def classify(response: TestResponse) -> str:
    """Return the outcome of a request, in the terms of the table."""
    if response.status_code == 302 and response.location.startswith("/auth/login?"):
        return Outcome.LOGIN
    if response.status_code in (401, 403, 404, 405) or response.status_code >= 500:
        return str(response.status_code)
    return Outcome.OPEN


def request(browser: FlaskClient, verb: str, path: str, form: dict[str, Any]) -> str:
    data, query = (None, form) if verb in SAFE else (form, None)
    response = browser.open(path, method=verb, data=data, query_string=query)
    with response:
        return classify(response)


def test_every_route_has_a_decision(app: Flask) -> None:
    endpoints = {rule.endpoint for rule in list_page_rules(app)} - DEVELOPMENT_ONLY
    assert endpoints == set(ACCESS)


def test_every_route_with_an_id_has_a_decision_about_that_object(app: Flask) -> None:
    undecided = []
    for rule in list_page_rules(app):
        ids = {name for name in rule.arguments if name.endswith("_id")}
        access = ACCESS.get(rule.endpoint)
        argument = access.argument if isinstance(access, Own | Panel) else None
        if ids and ids != {argument} and rule.endpoint not in DEVELOPMENT_ONLY:
            undecided.append(f"{rule.endpoint}: {ids} does not match {access}")
    assert undecided == []


@pytest.mark.parametrize("person", list(Person), ids=str)
def test_each_person_gets_the_expected_outcome_from_each_route(
    app: Flask, session: Session, sign_in: SignIn, person: Person
) -> None:
    browser, user = sign_in_person(person, app, session, sign_in)
    owner = user if user and person.owns else None
    untouched = OwnedObjects(app, session, owner or UserFactory.create())
    foreign = OwnedObjects(app, session, UserFactory.create())
    errors = []
    for endpoint in sorted(ACCESS, key=lambda name: (name == LOGOUT, name)):
        expected = find_expected_outcome(endpoint, person)
        for verb in list_methods(app, endpoint):
            does_something = expected is Outcome.OPEN and verb not in SAFE
            # A token for their own account would let blocked and unconfirmed people in.
            objects = foreign if ACCESS[endpoint] == PUBLIC else untouched
            version = read_version(session)
            path, row = objects.path(endpoint), objects.get_object(endpoint)
            before = read_values(session, row)
            actual = request(browser, verb, path, objects.form(endpoint))
            if actual != expected:
                errors.append(f"{verb} {path} ({endpoint}): {actual} instead of {expected}")
            if not does_something and read_values(session, row) != before:
                errors.append(f"{verb} {path} ({endpoint}) changed the object")
            if expected is Outcome.MISSING:
                # A request for another user's object has the same outcome as for a missing one.
                missing = path.replace(f"/{row.id}", f"/{MISSING_ID}", 1)
                if (actual := request(browser, verb, missing, {})) != expected:
                    errors.append(f"{verb} {missing} ({endpoint}): {actual} instead of {expected}")
            if does_something and read_version(session) != version:
                # The previous objects may have been changed or deleted; otherwise, they are reused.
                untouched = OwnedObjects(app, session, owner or UserFactory.create())
    assert errors == []


def test_undeclared_methods_are_rejected_by_every_route(
    app: Flask, session: Session, sign_in: SignIn
) -> None:
    """One person is enough: the URL map rejects the method before any view runs."""
    browser, _ = sign_in_person(Person.ADMIN, app, session, sign_in)
    objects = OwnedObjects(app, session, UserFactory.create())
    routes = app.url_map.bind("localhost")
    errors = []
    for endpoint in sorted(ACCESS):
        path = objects.path(endpoint)
        for verb in VERBS:
            try:
                routes.match(path, verb)
            except MethodNotAllowed:
                if (actual := request(browser, verb, path, objects.form(endpoint))) != "405":
                    errors.append(f"{verb} {path} ({endpoint}): {actual}")
    assert errors == []
