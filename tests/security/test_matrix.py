"""Every route, method and person: each cell of the table in `decisions.py`.

The routes come from the app's URL map, so a route without a decision fails here. A test checks all cells
of one person and reports all that are wrong.
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
from tests.security.decisions import ACCESS, DEVELOPMENT_ONLY, PUBLIC, Answer, Own, Panel, Person, decide
from tests.security.owned_objects import SAFE, VERBS, OwnedObjects, methods_of, sign_in_person
from tests.support.factories import UserFactory

MISSING_ID = 999_999_999
LOGOUT = "auth.logout"


def values_of(session: Session, row: Any) -> dict[str, object]:
    """Return the stored values of a row."""
    if row is None:
        return {}
    session.refresh(row)
    return {attribute.key: getattr(row, attribute.key) for attribute in inspect(row).mapper.column_attrs}


def classify(answer: TestResponse) -> str:
    """Return the kind of the answer, in the words of the table."""
    if answer.status_code == 302 and answer.location.startswith("/auth/login?"):
        return Answer.LOGIN
    if answer.status_code in (401, 403, 404, 405) or answer.status_code >= 500:
        return str(answer.status_code)
    return Answer.OPEN


def request(browser: FlaskClient, verb: str, path: str, form: dict[str, Any]) -> str:
    data, query = (None, form) if verb in SAFE else (form, None)
    answer = browser.open(path, method=verb, data=data, query_string=query)
    with answer:
        return classify(answer)


def test_every_route_has_a_decision(app: Flask) -> None:
    endpoints = {rule.endpoint for rule in app.url_map.iter_rules()} - DEVELOPMENT_ONLY
    assert endpoints == set(ACCESS)


def test_every_route_with_an_id_has_a_decision_about_that_object(app: Flask) -> None:
    undecided = []
    for rule in app.url_map.iter_rules():
        ids = {name for name in rule.arguments if name.endswith("_id")}
        access = ACCESS.get(rule.endpoint)
        argument = access.argument if isinstance(access, Own | Panel) else None
        if ids and ids != {argument} and rule.endpoint not in DEVELOPMENT_ONLY:
            undecided.append(f"{rule.endpoint}: {ids} is not what {access} decides about")
    assert undecided == []


@pytest.mark.parametrize("person", list(Person), ids=str)
def test_each_person_gets_the_decided_answer_from_each_route(
    app: Flask, session: Session, sign_in: SignIn, person: Person
) -> None:
    browser, user = sign_in_person(person, app, session, sign_in)
    owner = user if user and person.owns else None
    untouched = OwnedObjects(app, session, owner or UserFactory.create())
    foreign = OwnedObjects(app, session, UserFactory.create())
    wrong = []
    for endpoint in sorted(ACCESS, key=lambda name: (name == LOGOUT, name)):
        decided = decide(endpoint, person)
        for verb in methods_of(app, endpoint):
            does_something = decided is Answer.OPEN and verb not in SAFE
            # With a token of their own, blocked and unconfirmed people could let themselves in.
            things = foreign if ACCESS[endpoint] == PUBLIC else untouched
            if does_something and things is untouched:
                things = OwnedObjects(app, session, owner or UserFactory.create())
            path, row = things.path(endpoint), things.row_of(endpoint)
            before = values_of(session, row)
            got = request(browser, verb, path, things.form(endpoint))
            if got != decided:
                wrong.append(f"{verb} {path} ({endpoint}): {got} instead of {decided}")
            if not does_something and values_of(session, row) != before:
                wrong.append(f"{verb} {path} ({endpoint}) changed what it should not")
            if decided is Answer.MISSING:
                # An object of another user gets the same answer as a missing one.
                missing = path.replace(f"/{row.id}", f"/{MISSING_ID}", 1)
                if (got := request(browser, verb, missing, {})) != decided:
                    wrong.append(f"{verb} {missing} ({endpoint}): {got} instead of {decided}")
            if does_something and owner:
                untouched = OwnedObjects(app, session, owner)  # the previous objects may be deleted now
    assert wrong == []


def test_undeclared_methods_are_refused_by_every_route(app: Flask, session: Session, sign_in: SignIn) -> None:
    """One person is enough: the URL map refuses the method before any view runs."""
    browser, _ = sign_in_person(Person.ADMIN, app, session, sign_in)
    things = OwnedObjects(app, session, UserFactory.create())
    routes = app.url_map.bind("localhost")
    wrong = []
    for endpoint in sorted(ACCESS):
        path = things.path(endpoint)
        for verb in VERBS:
            try:
                routes.match(path, verb)
            except MethodNotAllowed:
                if (got := request(browser, verb, path, things.form(endpoint))) != "405":
                    wrong.append(f"{verb} {path} ({endpoint}): {got}")
    assert wrong == []
