"""Test the findings about letters that may be hard to read."""

import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from skymailing.delivery.composition.document import read_document
from skymailing.delivery.composition.palette import OwnerBrand
from skymailing.delivery.composition.readability import Finding, check_document, check_html
from skymailing.messages.starters import DESIGN_KEYS, read_starter
from tests.delivery.composition.designs import make_design
from tests.support.starters import PICTURES

pytestmark = pytest.mark.one_engine

BRAND = OwnerBrand("Tea")
PICTURE = "https://a.example/1.png"
PALE_BUTTON = {"type": "button", "text": "Buy", "url": "https://a.example", "text_color": "#aaaaaa"}
SMALL = {"ops": [{"insert": "Terms", "attributes": {"size": "small"}}, {"insert": "\n"}]}


def find(*blocks: dict[str, Any], **settings: Any) -> list[tuple[str, str]]:
    design = make_design(*blocks) | {"settings": settings}
    return [(found.code, found.pointer) for found in check_document(read_document(design), BRAND, "en")]


def find_in(html: str) -> list[str]:
    return [found.code for found in check_html(html)]


def make_text(color: str) -> dict[str, Any]:
    pieces = [{"insert": "Hello", "attributes": {"color": color}}, {"insert": "\n"}]
    return {"type": "text", "delta": {"ops": pieces}}


@pytest.mark.parametrize(
    ("block", "settings", "found"),
    [
        (make_text("#777777"), {}, [("check_contrast", "/blocks/0")]),
        (make_text("#767676"), {}, []),
        (make_text("#ffffff") | {"style": {"background": "#222222"}}, {}, []),
        (make_text("#333333") | {"style": {"background": "#222222"}}, {}, [("check_contrast", "/blocks/0")]),
        (make_text("#eeeeee"), {"card": "#111111"}, []),
        (PALE_BUTTON, {"button": "#999999"}, [("check_contrast", "/blocks/0")]),
        ({"type": "button", "text": "Buy"}, {}, [("check_button", "/blocks/0/url")]),
        ({"type": "text", "delta": SMALL}, {"text_size": 14}, [("check_small", "/blocks/0")]),
        ({"type": "text", "delta": SMALL}, {"text_size": 16}, []),
        ({"type": "picture", "src": PICTURE}, {}, [("check_alt", "/blocks/0/alt")]),
        ({"type": "picture", "src": PICTURE, "is_decorative": True}, {}, []),
        ({"type": "picture", "src": PICTURE, "alt": "Tea"}, {}, []),
        ({"type": "code", "html": '<a href="#">x</a><p style="color:#eee">y</p>'}, {},
         [("check_link", "/blocks/0"), ("check_contrast", "/blocks/0")]),
    ],
)  # fmt: skip
def test_findings_refer_to_their_block(
    block: dict[str, Any], settings: dict[str, Any], found: list[tuple[str, str]]
) -> None:
    assert find(block, **settings) == found


def test_blocks_in_columns_are_judged_on_the_background_of_the_columns() -> None:
    columns = {
        "type": "columns",
        "style": {"background": "#111111"},
        "columns": [
            {"blocks": [{"id": "x", **make_text("#eeeeee")}]},
            {"blocks": [{"id": "y", **make_text("#333333")}]},
        ],
    }
    assert find({"type": "space"}, columns) == [("check_contrast", "/blocks/1/columns/1/blocks/0")]


@pytest.mark.parametrize(
    ("html", "found"),
    [
        ("<p>Hello</p>", []),
        ('<p style="color: #AAA">Hello</p>', ["check_contrast"]),
        ('<p style="color: #aaa"> &nbsp; </p>', []),
        ('<p style="color: silver">Hello</p>', []),
        ('<table bgcolor="#000000"><tr><td style="color:#fff">Hello</td></tr></table>', []),
        ('<p style="color:#fff;background:url(a.png)">Hello</p>', []),
        ('<p style="display:none;color:#fff">Hello</p>', []),
        ('<p style="font:12px/1.5 Arial">Hello</p>', ["check_small"]),
        ('<p style="font-size:12px"><span style="font-size:15px">Hello</span></p>', []),
        ('<a href="">x</a><a name="y"></a><a href="{{ url }}">z</a>', ["check_link"]),
        ('<img src="a.png"><img src="b.png" alt="">', ["check_alt"]),
        ("<!-- <img> --><style>a { color: #fff }</style><p>a</p>", []),
    ],
)
def test_html_is_judged_by_explicit_values(html: str, found: list[str]) -> None:
    assert find_in(html) == found


def test_equal_findings_are_listed_once_and_rounded_down() -> None:
    assert check_html(10 * '<p style="color:#777">Hello</p>') == [
        Finding("check_contrast", values={"ratio": "4.4", "least": "4.5"})
    ]


@pytest.mark.parametrize("key", DESIGN_KEYS)
def test_our_templates_have_no_findings(key: str) -> None:
    source = json.loads(read_starter(key, "en", PICTURES)["source"])
    assert check_document(read_document(source), BRAND, "en") == []


def test_the_editor_and_the_page_without_scripts_show_findings(browser: FlaskClient) -> None:
    form = {
        "subject": "News",
        "source_format": "blocks",
        "source": json.dumps(make_design(make_text("#777777"))),
    }
    text = "The text is hard to read: contrast 4.4 instead of 4.5."
    facts = browser.post("/messages/insight", data=form).json
    assert facts["findings"] == [{"text": text, "pointer": "/blocks/0"}]  # type: ignore[index]
    assert text in browser.post("/messages/preview", data=form).text
    plain = {"subject": "News", "format": "html", "body": '<p>Hello</p><a href="#">x</a>'}
    facts = browser.post("/messages/insight", data=plain).json
    assert facts["findings"] == [{"text": "A link leads nowhere.", "pointer": ""}]  # type: ignore[index]
