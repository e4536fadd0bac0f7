"""The processing of every request: keys, JSON, sizes, errors, headers, ETags and cursors."""

import json
import logging
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from skymailing.api.problems import ApiError
from skymailing.api.strict_json import MAX_DEPTH, read_json
from skymailing.models import User
from tests.api.conftest import MakeProgram, Program
from tests.conftest import SetLimits
from tests.support.factories import ClientFactory, MessageFactory, create_clients
from tests.support.timing import cpu_seconds

pytestmark = pytest.mark.one_engine


@pytest.mark.parametrize(
    "header", ["Bearer sky_live_short", "Bearer sky_live_" + "x" * 27, "Bearer " + "x" * 9000]
)
def test_a_bad_key_is_refused(app: Flask, session: Session, header: str) -> None:
    response = app.test_client().get("/api/v1/clients", headers={"Authorization": header})
    assert response.status_code == 401
    assert response.json is not None
    assert response.json["code"] == "key_invalid"
    assert 'error="invalid_token"' in response.headers["WWW-Authenticate"]


@pytest.mark.parametrize("scheme", ["", "Basic ", "Token "])
def test_a_key_without_bearer_gets_an_explanation(program: Program, scheme: str) -> None:
    response = program.get("/clients", headers={"Authorization": scheme + program.key})
    assert response.status_code == 401
    assert response.json is not None
    assert response.json["code"] == "key_missing"
    assert "Bearer" in response.json["detail"]


def test_a_key_in_the_url_is_refused_even_if_it_works(
    program: Program, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        assert program.refuse("GET", f"/clients?key={program.key}")[:2] == (400, "key_in_url")
        assert program.refuse("GET", f"/clients/by-email/{program.key}")[:2] == (400, "key_in_url")
        escaped = program.key.replace("_", "%5F")
        assert program.refuse("GET", f"/clients?q={escaped}")[:2] == (400, "key_in_url")
    assert program.key not in caplog.text


def test_no_response_sets_a_cookie_or_opens_the_api_to_other_sites(program: Program) -> None:
    headers = {"Origin": "https://evil.example", "Access-Control-Request-Method": "GET"}
    for method in ("GET", "OPTIONS"):
        response = program.send(method, "/clients", headers=headers)
        assert "Set-Cookie" not in response.headers
        assert "Cookie" not in response.headers.get("Vary", "")
        assert not [name for name, _value in response.headers if name.startswith("Access-Control-")]


def test_every_response_has_an_id_and_the_number_of_requests_left(program: Program) -> None:
    response = program.get("/clients")
    assert response.headers["X-Request-ID"]
    assert response.headers["RateLimit-Policy"] == '"default";q=600;w=60'
    assert response.headers["RateLimit"].startswith('"default";r=599;t=')
    assert program.get("/clients/1").headers["RateLimit"].startswith('"default";r=598;t=')


def test_each_key_has_its_own_limit(
    app: Flask,
    user: User,
    make_program: MakeProgram,
    set_limits: SetLimits,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(app.config, "RATELIMIT_ENABLED", True)
    set_limits(api_requests_per_minute=2)
    first, second = make_program(user), make_program(user)
    statuses = [first.get("/clients").status_code for _ in range(4)]
    assert statuses in ([200, 200, 429, 429], [200, 200, 200, 429])  # a new minute may have begun
    refused = first.get("/clients")
    if refused.status_code == 429:
        assert 0 < int(refused.headers["Retry-After"]) <= 60
    assert second.get("/clients").status_code == 200


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "json_invalid"),
        (b"{", "json_invalid"),
        (b'{"subject": "a", "subject": "b"}', "json_duplicate"),
        (b'{"subject": NaN}', "json_constant"),
        (b'{"subject": -Infinity}', "json_constant"),
        (b'{"values": {"total": 1e400}}', "json_constant"),
        (b'{"values": {"total": -1e400}}', "json_constant"),
        (b'{"subject": "\\\\\\u0000"}', "json_nul"),
        (b'{"subject": "\xff"}', "json_invalid"),
        ('{"subject": "a"}'.encode("utf-16"), "json_invalid"),
        (b'{"subject": "\\ud800"}', "json_invalid"),
        (b'{"subject": "\\u0000"}', "json_nul"),
        (b"[" * 100_000, "json_too_deep"),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), "json_too_deep"),
        (b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1), "json_too_deep"),
        (b'{"subject": ' + b"9" * 5000 + b"}", "json_invalid"),
    ],
)
def test_json_that_parsers_read_differently_is_refused(program: Program, body: bytes, code: str) -> None:
    refusal = program.refuse("POST", "/messages", data=body, content_type="application/json")
    assert refusal[:2] == (400, code)


@pytest.mark.parametrize("end", [b"", b"\\"])
def test_unterminated_strings_are_read_once(end: bytes) -> None:
    with cpu_seconds(2), pytest.raises(ApiError):
        read_json(b'"' + b'\\"' * 500_000 + end)


def test_an_escaped_backslash_before_u0000_is_text(program: Program) -> None:
    body = "a \\u0000 b"
    assert program.write("POST", "/messages", {"subject": "x", "body": body}, 201)["body"] == body


@pytest.mark.parametrize(
    ("method", "path", "body", "places"),
    [
        ("POST", "/clients", {"email": "a@example.org", "attributes": {"x": [1]}}, ["/attributes/x"]),
        ("GET", "/clients?email=bad", None, ["email"]),
        ("GET", "/suppressions?email=bad", None, ["email"]),
        ("POST", "/messages", {"subject": " \n ", "body": " "}, ["/subject", "/body"]),
        ("POST", "/letters", {"to": "a@example.org", "subject": " ", "body": "\t"}, ["/subject", "/body"]),
        ("POST", "/letters", {"to": "a@example.org", "message_id": 999_999}, ["/message_id"]),
    ],
)
def test_an_error_has_a_pointer_to_the_value(
    program: Program, method: str, path: str, body: Any, places: list[str]
) -> None:
    status, _code, found = program.refuse(method, path, body)
    assert (status, found) == (422, places)


def test_brackets_in_strings_do_not_count_as_nesting(program: Program) -> None:
    body = {"subject": "[" * 200 + '\\"{{"', "body": "x", "format": "text"}
    status, code, _places = program.refuse("POST", "/messages", body | {"subject": "[" * 200, "x": 1})
    assert (status, code) == (422, "invalid")
    assert program.post("/messages", body | {"subject": "[" * 200 + '"'}).status_code == 201


@pytest.mark.parametrize("value", [[], "text", 7, None])
def test_a_body_that_is_not_an_object_is_refused(program: Program, value: Any) -> None:
    refusal = program.refuse("POST", "/messages", data=json.dumps(value), content_type="application/json")
    assert refusal[0] == 422


def test_other_types_are_refused(program: Program) -> None:
    form = program.refuse("POST", "/messages", data={"subject": "x"})
    assert form[:2] == (415, "not_json")
    assert program.refuse("POST", "/messages", data="{}", content_type="text/plain")[:2] == (415, "not_json")


def test_bodies_have_a_limit_of_a_megabyte_and_batches_of_five(program: Program) -> None:
    large = json.dumps({"subject": "x", "body": "y" * 1_100_000})
    options = {"data": large, "content_type": "application/json"}
    assert program.refuse("POST", "/messages", **options)[:2] == (413, "too_large")
    assert program.refuse("POST", "/clients/batch", **options)[:2] == (422, "invalid")
    options["data"] = large * 5
    assert program.refuse("POST", "/clients/batch", **options)[:2] == (413, "too_large")


def test_unknown_and_wrong_values_are_named(program: Program) -> None:
    body = {"format": "docx", "owner_id": 1, "body": 7, "a/b~c": 1}
    status, code, places = program.refuse("POST", "/messages", body)
    assert (status, code) == (422, "invalid")
    assert set(places) == {"/format", "/owner_id", "/body", "/subject", "/a~1b~0c"}
    assert program.refuse("GET", "/clients?limit=201&page=2")[1:] == ("invalid", ["limit", "page"])


def test_errors_are_in_the_programs_language_not_the_owners(
    program: Program, session: Session, user: User
) -> None:
    user.locale = "ru"
    session.flush()
    english = program.get("/clients/1")
    russian = program.get("/clients/1", headers={"Accept-Language": "ru"})
    assert english.json is not None
    assert russian.json is not None
    assert english.json["detail"] == "There is nothing at this address."
    assert russian.json["detail"] == "По этому адресу ничего нет."


def test_errors_raised_by_flask_are_problems_too(program: Program, visitor: FlaskClient) -> None:
    assert program.refuse("GET", "/nothing")[:2] == (404, "not_found")
    assert program.refuse("DELETE", "/clients")[:2] == (405, "method_not_allowed")
    assert "GET" in program.send("DELETE", "/clients").headers["Allow"]
    assert program.refuse("GET", "/clients/99999999999999999999")[:2] == (404, "not_found")
    assert program.refuse("GET", "/clients?q=%00")[:2] == (400, "json_nul")


def test_an_internal_error_is_described_without_details(
    app: Flask, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object) -> None:
        raise RuntimeError("secret details")

    monkeypatch.setitem(app.config, "PROPAGATE_EXCEPTIONS", False)
    monkeypatch.setattr("skymailing.api.views.tags.select_tags", fail)
    response = program.get("/tags")
    assert response.status_code == 500
    assert response.json is not None
    assert response.json["code"] == "internal"
    assert "secret" not in response.text


def test_an_etag_saves_reading_and_protects_changes(program: Program, user: User) -> None:
    message = MessageFactory.create(owner=user)
    path = f"/messages/{message.id}"
    etag = program.get(path).headers["ETag"]
    assert program.get(path, headers={"If-None-Match": etag}).status_code == 304
    changed = program.send("PATCH", path, {"subject": "New"}, {"If-Match": etag})
    assert changed.status_code == 200
    assert changed.headers["ETag"] == program.get(path).headers["ETag"] != etag
    for method, body in (("PATCH", {"subject": "Lost"}), ("DELETE", None)):
        refusal = program.refuse(method, path, body, headers={"If-Match": etag})
        assert refusal[:2] == (412, "changed")
    assert program.send("DELETE", path, headers={"If-Match": "*"}).status_code == 204


def test_if_match_adds_nothing(program: Program) -> None:
    path = "/clients/by-email/n@example.org"
    assert program.refuse("PUT", path, {}, headers={"If-Match": "*"})[:2] == (412, "changed")
    assert program.write("PUT", path, {}, 201)["email"] == "n@example.org"


def test_a_list_is_read_by_cursor(program: Program, user: User) -> None:
    clients = create_clients(user, 7)
    assert [row["id"] for row in program.read_all("/clients?limit=3")] == [client.id for client in clients]
    page = program.read("/clients?limit=3")
    ClientFactory.create(owner=user)
    following = program.read(f"/clients?limit=3&after={page['next']}")
    assert [row["id"] for row in following["data"]] == [client.id for client in clients[3:6]]


@pytest.mark.parametrize("cursor", ["x", "W10", "bnVsbA", "é"])
def test_an_invalid_cursor_is_an_error_not_the_first_page(program: Program, cursor: str) -> None:
    assert program.refuse("GET", f"/clients?after={cursor}")[:2] == (422, "cursor_invalid")


def test_a_cursor_of_another_list_is_refused(program: Program, user: User) -> None:
    create_clients(user, 2)
    cursor = program.read("/clients?limit=1")["next"]
    assert program.refuse("GET", f"/tags?after={cursor}")[:2] == (422, "cursor_invalid")


def test_the_end_of_a_list_is_empty_even_if_rows_were_deleted(
    program: Program, session: Session, user: User
) -> None:
    clients = create_clients(user, 2)
    cursor = program.read("/clients?limit=1")["next"]
    session.delete(clients[1])
    session.flush()
    assert program.read(f"/clients?after={cursor}") == {"data": [], "next": None}
