"""Test that the block editor supports all types of blocks, and gets the owner's data."""

import json
import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from skymailing.delivery.composition.block_types import BLOCK_TYPES, LAYOUT_TYPES
from skymailing.delivery.composition.document import COLUMNS, SETTINGS
from skymailing.delivery.composition.fonts import FONTS
from skymailing.models import User
from tests.support.factories import ClientFactory

# The page is the same with each database.
pytestmark = pytest.mark.one_engine

SCRIPTS = Path(__file__).parents[2] / "skymailing" / "static" / "js" / "editor"


def open_editor(browser: FlaskClient, name: str) -> dict[str, Any]:
    """Return the content of an attribute of the block editor's form."""
    page = browser.get("/messages/new?kind=blocks").text
    found = re.search(rf' {name}="([^"]*)"', page)
    assert found is not None
    data: dict[str, Any] = json.loads(unescape(found[1]))
    return data


@pytest.mark.parametrize("language", ["en", "ru"])
def test_each_type_field_and_setting_has_a_label(browser: FlaskClient, user: User, language: str) -> None:
    user.locale = language
    texts = open_editor(browser, "data-block-texts")

    assert set(texts["types"]) == {*BLOCK_TYPES, *LAYOUT_TYPES, COLUMNS}
    fields = [(name, field) for name, fields in BLOCK_TYPES.items() for field in fields]
    for owner, field in [*fields, *(("settings", name) for name in SETTINGS)]:
        if field not in ("delta", "links"):
            assert f"{owner}.{field}" in texts["fields"] or field in texts["fields"], (owner, field)
    assert set(texts["fonts"]) == set(FONTS)


@pytest.mark.parametrize("type_name", [*BLOCK_TYPES, COLUMNS])
def test_each_type_can_be_added_and_is_drawn(type_name: str) -> None:
    types, views = (SCRIPTS / name for name in ("block-types.js", "block-view.js"))
    assert re.search(rf"^  {type_name}: {{", types.read_text(), re.MULTILINE)
    if type_name != COLUMNS:  # drawn by the canvas
        assert re.search(rf"^  {type_name}: draw\w+,", views.read_text(), re.MULTILINE)


def test_conditions_can_use_the_owners_attributes(browser: FlaskClient, user: User) -> None:
    ClientFactory.create(owner=user, attributes={"city": "Rome"})

    kit = open_editor(browser, "data-blocks")

    assert [field for field, _label in kit["conditionFields"]] == ["name", "email", "attribute.city"]
    assert kit["types"]["button"]["radius"] == 6
    assert kit["styles"]["picture"] == {"align": "center"}
    assert kit["brand"]["name"] == user.sender_name


def test_only_the_block_editor_loads_its_parts(browser: FlaskClient) -> None:
    for path in ("/messages/new", "/messages/new?kind=mjml"):
        page = browser.get(path).text
        assert "data-blocks=" not in page
        assert "sortable" not in page


def test_a_new_message_offers_blocks_first(browser: FlaskClient) -> None:
    page = browser.get("/messages/new").text

    kinds = re.findall(r'<a class="kind[^"]*" href="([^"]+)"', page)
    assert kinds == ["/messages/new?kind=blocks", "#message-form", "#message-form", "/messages/new?kind=mjml"]
    highlighted = re.search(r'<a class="kind kind-main".*?<strong>(.*?)</strong>', page, re.DOTALL)
    assert highlighted is not None
    assert highlighted[1] == "Text", "the type shown below the choices"
