"""The OpenAPI document and its page."""

import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from skymailing.api.guides import GUIDES
from skymailing.api.scopes import Scope
from skymailing.api.views.blueprint import PREFIX
from tests.conftest import SignIn
from tests.support.factories import UserFactory

pytestmark = pytest.mark.one_engine

PATH = "/api/openapi.json"


def test_guides_have_no_broken_links_and_no_chapters_for_engineers(visitor: FlaskClient) -> None:
    index = visitor.get("/api/").text
    assert visitor.get("/api/guides/architecture").status_code == 404
    for name in GUIDES:
        assert f'href="/api/guides/{name}"' in index
        page = visitor.get(f"/api/guides/{name}").text
        assert "How to extend" not in page
        assert "How it works" not in page
        for link in re.findall(r'href="(/api/guides/[^"]*|#[^"]+)"', page):
            path, _hash, place = link.partition("#")
            target = visitor.get(path or f"/api/guides/{name}")
            assert target.status_code == 200, link
            assert not place or place == "content" or f'id="{place}"' in target.text, link
        assert ".md" not in page


def test_the_page_lists_the_codes_of_errors(visitor: FlaskClient) -> None:
    page = visitor.get("/api/").text
    for code in ("required", "missing_values", "letter_limit", "key_missing", "client_duplicate"):
        assert f"<code>{code}</code>" in page


@pytest.fixture
def document(visitor: FlaskClient) -> Any:
    response = visitor.get(PATH)
    assert response.status_code == 200
    assert response.mimetype == "application/json"
    return response.json


def list_operations(document: Any) -> list[tuple[str, str, Any]]:
    return [
        (path, method, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method != "parameters"
    ]


def test_the_document_is_valid(document: Any) -> None:
    # Not imported above: every process of a test run collects all tests, but only one runs this test.
    from openapi_spec_validator import OpenAPIV31SpecValidator

    assert document["openapi"] == "3.1.0"
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []


def test_every_operation_is_in_the_document(app: Flask, document: Any) -> None:
    routes = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith(PREFIX)
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert routes == {(path, method) for path, method, _operation in list_operations(document)}


def test_every_operation_documents_its_responses(document: Any) -> None:
    names = set()
    for path, method, operation in list_operations(document):
        names.add(operation["operationId"])
        assert operation["summary"].endswith("."), path
        (security,) = operation["security"]
        assert set(security["key"]) <= {scope.value for scope in Scope}
        statuses = set(operation["responses"])
        assert {"400", "401", "403", "429", "500"} <= statuses
        assert any(status.startswith("2") for status in statuses)
        assert "{" not in path or "404" in statuses
        if method == "post":
            assert {"$ref": "#/components/parameters/IdempotencyKey"} in operation["parameters"]
    assert len(names) == len(list_operations(document))
    assert {"list_clients", "get_client", "save_clients", "start_mailing", "list_deliveries"} <= names


def test_programs_can_cache_the_document_until_it_changes(visitor: FlaskClient) -> None:
    etag = visitor.get(PATH).headers["ETag"]
    assert visitor.get(PATH, headers={"If-None-Match": etag}).status_code == 304


@pytest.mark.parametrize("language", ["en", "ru"])
def test_the_page_shows_every_operation_to_anyone(
    visitor: FlaskClient, document: Any, sign_in: SignIn, language: str
) -> None:
    browsers = (visitor, sign_in(UserFactory.create(locale=language)))
    for browser in browsers:
        page = browser.get("/api/", headers={"Accept-Language": language}).text
        for path, _method, operation in list_operations(document):
            assert f'id="{operation["operationId"]}"' in page
            assert path in page
        # Every link inside the page leads somewhere.
        assert set(re.findall(r'href="#([^"]+)"', page)) - set(re.findall(r'id="([^"]+)"', page)) == set()
        assert ("Документация API" if language == "ru" else "API documentation") in page
