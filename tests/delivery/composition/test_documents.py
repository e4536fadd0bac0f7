"""Test that invalid designs are refused with a code and the place of the error."""

import json
from typing import Any

import pytest
from flask import Flask
from hypothesis import example, given, settings
from hypothesis import strategies as st

from skymailing.delivery.composition.composing import read_source
from skymailing.delivery.composition.document import MAX_BLOCKS, parse_json, read_document
from skymailing.delivery.composition.errors import InvalidSource
from skymailing.messages.error_texts import explain_source_error
from skymailing.models import SourceFormat
from skymailing.web.error_texts import ERROR_TEXTS
from tests.delivery.composition.designs import Marks, designs, make_design
from tests.delivery.composition.letters import BRAND, compose, find_error
from tests.support.timing import cpu_seconds

pytestmark = pytest.mark.one_engine

HEADING = {"type": "heading", "text": "a"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def refuse(design: Any) -> tuple[str, str]:
    """Return the code and the place of a design's error."""
    with pytest.raises(InvalidSource) as caught:
        read_document(design)
    assert caught.value.code in ERROR_TEXTS
    return caught.value.code, caught.value.pointer


@pytest.mark.parametrize(
    ("block", "code", "place"),
    [
        ({"type": "marquee"}, "design_unknown_block", "/type"),
        ({"type": 5}, "design_unknown_block", "/type"),
        ({}, "design_unknown_block", "/type"),
        (HEADING | {"id": "ü"}, "design_id", "/id"),
        (HEADING | {"id": None}, "design_id", "/id"),
        (HEADING | {"a/b~": 1}, "design_unknown_field", "/a~1b~0"),
        (HEADING | {"text": 5}, "design_not_text", "/text"),
        (HEADING | {"text": "x" * 501}, "design_too_long", "/text"),
        (HEADING | {"text": "a\0"}, "design_control_character", "/text"),
        (HEADING | {"text": "a\ud800"}, "design_control_character", "/text"),
        (HEADING | {"text": "{{ name"}, "design_template", "/text"),
        (HEADING | {"text": "{% if name %}"}, "design_template", "/text"),
        (HEADING | {"level": 4}, "design_number", "/level"),
        (HEADING | {"level": True}, "design_number", "/level"),
        (HEADING | {"style": {"align": "middle"}}, "design_choice", "/style/align"),
        (HEADING | {"style": {"padding_top": -1}}, "design_number", "/style/padding_top"),
        (HEADING | {"style": {"color": "red"}}, "design_color", "/style/color"),
        (HEADING | {"style": {"color": "#fff;x:y"}}, "design_color", "/style/color"),
        (HEADING | {"style": []}, "design_not_object", "/style"),
        (HEADING | {"visibility": {"on": "watch"}}, "design_choice", "/visibility/on"),
        (HEADING | {"visibility": {"when": {}}}, "design_choice", "/visibility/when/op"),
        ({"type": "button", "url": "javascript:alert(1)"}, "design_url", "/url"),
        ({"type": "button", "url": "data:text/html,x"}, "design_url", "/url"),
        ({"type": "button", "url": "/cart"}, "design_url", "/url"),
        ({"type": "button", "url": "https://a.example/" + "x" * 2_000}, "design_too_long", "/url"),
        ({"type": "picture", "is_decorative": 1}, "design_flag", "/is_decorative"),
        ({"type": "columns"}, "design_columns", "/columns"),
        ({"type": "columns", "columns": [{}]}, "design_columns", "/columns"),
        ({"type": "columns", "columns": [{"width": 50}, {"width": 60}]}, "design_column_widths", "/columns"),
        ({"type": "columns", "columns": [{}, []]}, "design_not_object", "/columns/1"),
        (
            {"type": "columns", "columns": [{"blocks": [{"id": "x", "type": "columns"}]}, {}]},
            "design_nested_columns",
            "/columns/0/blocks/0/type",
        ),
        ({"type": "social", "links": [{"network": "myspace"}]}, "design_choice", "/links/0/network"),
        ({"type": "social", "links": [{}] * 13}, "design_too_many", "/links"),
        ({"type": "code", "html": "<div>"}, "design_html_unclosed", "/html"),
        ({"type": "code", "html": "</td></tr></table>"}, "design_html_unopened", "/html"),
        ({"type": "code", "html": "<!-- a"}, "design_html_comment", "/html"),
        ({"type": "code", "html": "<style>a"}, "design_html_unclosed", "/html"),
        ({"type": "code", "html": "<body>a</body>"}, "design_html_page", "/html"),
        ({"type": "code", "html": "<div>" * 51 + "</div>" * 51}, "design_html_deep", "/html"),
    ],
)
def test_an_error_has_a_code_and_a_place(block: dict[str, Any], code: str, place: str) -> None:
    assert refuse(make_design(block)) == (code, f"/blocks/0{place}")


@pytest.mark.parametrize(
    ("value", "code", "place"),
    [
        ("}}", "design_condition_value", "value"),
        ("%}", "design_condition_value", "value"),
        ("a\"b'c", "design_condition_value", "value"),
        (" ", "design_condition_empty", "value"),
        (5, "design_not_text", "value"),
    ],
)
def test_the_value_of_a_condition_cannot_end_its_tag(value: object, code: str, place: str) -> None:
    when = {"field": "name", "op": "equals", "value": value}
    pointer = f"/blocks/0/visibility/when/{place}"
    assert refuse(make_design(HEADING | {"visibility": {"when": when}})) == (code, pointer)


@pytest.mark.parametrize("field", ["", "segments", "attribute.", 'attribute.a"]', "client.x", "tags"])
def test_a_condition_uses_a_value_that_letters_know(field: str) -> None:
    when = {"field": field, "op": "is_set"}
    code, place = refuse(make_design(HEADING | {"visibility": {"when": when}}))
    assert (code, place) == ("design_condition_field", "/blocks/0/visibility/when/field")


def test_ids_are_unique_even_across_columns() -> None:
    columns = {"type": "columns", "columns": [{"blocks": [HEADING | {"id": "x"}]}, {}]}
    assert refuse(make_design(columns, HEADING | {"id": "x"})) == ("design_same_id", "/blocks/1/id")


@pytest.mark.parametrize("design", [None, [], "x", {"version": 2}, {"version": True}, {"blocks": []}])
def test_other_documents_are_refused(design: object) -> None:
    refuse(design)


def test_size_number_and_depth_are_limited() -> None:
    assert refuse(make_design(*[HEADING] * (MAX_BLOCKS + 1)))[0] == "design_too_many"
    compose(make_design(*[HEADING] * MAX_BLOCKS))
    columns = {
        "type": "columns",
        "columns": [{"blocks": [HEADING | {"id": f"c{n}"} for n in range(150)]}, {}],
    }
    assert refuse(make_design(columns, *[HEADING] * 60))[0] == "design_too_many"
    for source in ("[" * 100_000, '{"a":' * 50_000, "[" + "1" * 5_000 + "]", '{"a":1,"a":2}', "NaN", ""):
        with cpu_seconds(2), pytest.raises(InvalidSource) as caught:
            parse_json(source)
        assert caught.value.code == "design_unreadable"
    with pytest.raises(InvalidSource) as caught:
        parse_json('"' + "щ" * 140_000 + '"')
    assert caught.value.code == "design_too_large"


@settings(max_examples=200)
@given(source=JSON.map(json.dumps) | st.text())
@example(source='{"version": 1, "blocks": [{"type": {}}]}')
@example(source='{"version": 1, "blocks": [{"type": "text", "delta": {"ops": [{"insert": {}}]}}]}')
def test_any_text_is_composed_or_refused(source: str) -> None:
    error = find_error(lambda: read_source(SourceFormat.BLOCKS, source).compose(BRAND, "en"))
    assert error is None or error.code in ERROR_TEXTS


@settings(max_examples=200)
@given(generated=designs(), data=st.data())
def test_a_design_with_any_wrong_value_is_composed_or_refused(
    generated: tuple[dict[str, Any], Marks], data: st.DataObject
) -> None:
    design, _marks = generated
    places = list(list_places(design))
    holder, key = data.draw(st.sampled_from(places))
    holder[key] = data.draw(JSON)
    error = find_error(lambda: compose(design))
    assert error is None or error.code in ERROR_TEXTS
    assert error is None or error.pointer == "" or error.pointer.startswith("/")


def list_places(value: Any) -> list[tuple[Any, Any]]:
    """Return all places in a JSON value, as pairs of a list or an object and a key."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = []
    for key, inner in items:
        found += [(value, key), *list_places(inner)]
    return found


def test_errors_are_explained_in_words(app: Flask) -> None:
    with pytest.raises(InvalidSource) as caught:
        read_document(make_design(HEADING | {"text": "{{ name | shout }}"}))
    expected = "/blocks/0/text: There is no filter “shout”: {{ name | shout }}."
    with app.test_request_context():
        assert explain_source_error(caught.value) == expected
