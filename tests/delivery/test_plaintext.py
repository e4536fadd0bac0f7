"""Test the plain-text part that is derived from HTML."""

from pathlib import Path

import pytest

from skymailing.delivery.rendering.content import compile_content
from skymailing.delivery.rendering.letter import Content
from skymailing.delivery.rendering.plaintext import html_to_text
from skymailing.delivery.rendering.visibility import find_end
from skymailing.models import MessageFormat
from tests.support.timing import cpu_seconds

LETTERS = Path(__file__).parent.parent / "data" / "letters"


def test_adjacent_picture_links_remain_two_links() -> None:
    html = (LETTERS / "adjacent-icon-links-glued-in-plain-text.html").read_text()

    assert html_to_text(html).split() == ["https://one.example/p", "https://two.example/p"]


def test_the_filler_after_a_preview_text_is_removed() -> None:
    html = (LETTERS / "preheader-filler-in-plain-text.html").read_text()

    assert html_to_text(html) == "Preview\n\nHi\n"


@pytest.mark.parametrize(
    ("html", "text"),
    [
        (
            "<a href='https://x.example'>One</a><a href='https://y.example'>Two</a>",
            "One (https://x.example) Two (https://y.example)",
        ),
        (
            "<a href='https://x.example'><img alt='Logo'></a><a href='https://y.example'>Two</a>",
            "Logo (https://x.example) Two (https://y.example)",
        ),
        ("<img alt='One'><img alt='Two'>", "One Two"),
        ("Buy<img alt='now'>!", "Buy now!"),
        (
            "See <a href='https://x.example'>us</a>, or (<a href='https://y.example'>them</a>).",
            "See us (https://x.example), or (them (https://y.example)).",
        ),
        ("«<a href='https://x.example'>us</a>»", "«us (https://x.example)»"),
        ("<a href='https://www.x.example/'>x.example</a>", "x.example"),
        ("<a href='https://x.example'>https://x.example</a>", "https://x.example"),
        ("<a href='tel:+7916'>+7 916</a> <a href='mailto:a@b.example'>a@b.example</a>", "+7 916 a@b.example"),
        ("<a name='top'></a>Top", "Top"),
        (
            "<p>A</p><ul><li><p>One</p></li><li><p>Two</p><ul><li>Three</li></ul></li></ul><p>B</p>",
            "A\n\n- One\n- Two\n  - Three\n\nB",
        ),
        ("<ol><li><div>One</div></li>\n<li>\n<h3>Two</h3></li></ol>", "1. One\n2. Two"),
        (
            "<p>Hi</p><div style='display:none'>Only for phones <a href='https://x.example'>x</a></div><p>Bye</p>",
            "Hi\n\nBye",
        ),
        ("<p>Hi</p><p hidden>No</p>", "Hi"),
        ("<p>Hi <span style='font-size:0'>no</span>you</p>", "Hi you"),
        ("<p>Hi</p><img src='x' style='display:none' alt='No'>", "Hi"),
        (
            "<p hidden>Preview</p><div hidden><ul><li>x</div>Hi",
            "Preview\n\n- x\nHi",
        ),
        ("<p>👨‍👩‍👧 می‌خواهم ab\u00adc</p>", "👨‍👩‍👧 می‌خواهم ab\u00adc"),
        (
            "<div style='font-size:0'><p style='font-size:14px'>Text</p></div>",
            "Text",
        ),
    ],
)
def test_html_becomes_readable_text(html: str, text: str) -> None:
    assert html_to_text(html).strip() == text


@pytest.mark.parametrize(
    "fragment", ["<div>", "<b></i>", "<div hidden></p>", "<a href=x>", "&#847; ", "<li>", "</div>"]
)
def test_hostile_html_is_converted_quickly(fragment: str) -> None:
    html = "<div>" * 5_000 + fragment * (50_000 // len(fragment)) + "{{ unsubscribe_url }}"
    with cpu_seconds(5):
        html_to_text(html)
        find_end(html)
        compile_content(Content("x", MessageFormat.HTML, html))
