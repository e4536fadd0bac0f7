"""Every route, by every verb, asked for by everybody: each cell of the table in `decisions.py`.

The cells come from the app's own map of routes, so a route that nobody has decided about fails here.
A test goes through all cells of one person and tells all that are wrong.
"""

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

NOBODYS = 999_999_999
SIGNS_OUT = "auth.logout"


def values_of(session: Session, row: object | None) -> dict[str, object]:
    """Return what the database holds of a row."""
    if row is None:
        return {}
    session.refresh(row)
    return {column.key: getattr(row, column.key) for column in inspect(type(row)).column_attrs}


def read(answer: TestResponse) -> str:
    """Return which kind of answer this is, in the words of the table."""
    if answer.status_code == 302 and answer.location.startswith("/auth/login?"):
        return Answer.LOGIN
    if answer.status_code in (401, 403, 404, 405) or answer.status_code >= 500:
        return str(answer.status_code)
    return Answer.OPEN


def ask(browser: FlaskClient, verb: str, path: str, form: dict[str, object]) -> str:
    sent = {"query_string": form} if verb in SAFE else {"data": form}
    with browser.open(path, method=verb, **sent) as answer:
        return read(answer)


def test_every_route_has_a_decision(app: Flask) -> None:
    endpoints = {rule.endpoint for rule in app.url_map.iter_rules()} - DEVELOPMENT_ONLY
    assert endpoints == set(ACCESS)


def test_every_route_with_an_id_is_about_somebodys_thing(app: Flask) -> None:
    undecided = []
    for rule in app.url_map.iter_rules():
        ids = {name for name in rule.arguments if name.endswith("_id")}
        access = ACCESS.get(rule.endpoint)
        argument = access.argument if isinstance(access, Own | Panel) else None
        if ids and ids != {argument} and rule.endpoint not in DEVELOPMENT_ONLY:
            undecided.append(f"{rule.endpoint}: {ids} is not what {access} decides about")
    assert undecided == []


@pytest.mark.parametrize("person", list(Person), ids=str)
def test_each_person_gets_from_each_route_what_was_decided(
    app: Flask, session: Session, sign_in: SignIn, person: Person
) -> None:
    browser, user = sign_in_person(person, app, session, sign_in)
    owner = user if user and person.owns else None
    untouched = OwnedObjects(app, session, owner or UserFactory.create())
    foreign = OwnedObjects(app, session, UserFactory.create())
    wrong = []
    for endpoint in sorted(ACCESS, key=lambda name: (name == SIGNS_OUT, name)):
        decided = decide(endpoint, person)
        for verb in methods_of(app, endpoint):
            does_something = decided is Answer.OPEN and verb not in SAFE
            # With a token of their own the shut out would let themselves in.
            things = foreign if ACCESS[endpoint] == PUBLIC else untouched
            if does_something and things is untouched:
                things = OwnedObjects(app, session, owner or UserFactory.create())
            path, row = things.path(endpoint), things.row_of(endpoint)
            before = values_of(session, row)
            got = ask(browser, verb, path, things.form(endpoint))
            if got != decided:
                wrong.append(f"{verb} {path} ({endpoint}): {got} instead of {decided}")
            if not does_something and values_of(session, row) != before:
                wrong.append(f"{verb} {path} ({endpoint}) changed what it should not")
            if decided is Answer.MISSING:
                # Nothing tells what is somebody else's from what is not there.
                missing = path.replace(f"/{row.id}", f"/{NOBODYS}", 1)
                if (got := ask(browser, verb, missing, {})) != decided:
                    wrong.append(f"{verb} {missing} ({endpoint}): {got} instead of {decided}")
            if does_something and owner:
                untouched = OwnedObjects(app, session, owner)  # the others may be gone now
    assert wrong == []


def test_every_other_verb_is_refused_by_every_route(app: Flask, session: Session, sign_in: SignIn) -> None:
    """Whoever asks: the map of routes decides, before any view does."""
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
                if (got := ask(browser, verb, path, things.form(endpoint))) != "405":
                    wrong.append(f"{verb} {path} ({endpoint}): {got}")
    assert wrong == []
