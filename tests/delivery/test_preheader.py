"""Test that a preheader is hidden at the beginning of the HTML and is not part of the text."""

import pytest

from skymailing.delivery.rendering.content import Content, check_content
from skymailing.delivery.rendering.letter import EXAMPLE, Recipient, preview
from skymailing.delivery.rendering.liquid_tags import TemplateError
from skymailing.delivery.rendering.preheader import FILLER, START, remove_preheader
from skymailing.models import MessageFormat
from tests.delivery.composition.letters import read_page

pytestmark = pytest.mark.one_engine

PAGE = '<!DOCTYPE html>\n<html><body class="a">\n<p>Hello</p></body></html>'


@pytest.mark.parametrize(
    ("format", "body"),
    [(MessageFormat.HTML, PAGE), (MessageFormat.HTML, "<p>Hello</p>"), (MessageFormat.MARKDOWN, "Hello")],
)
def test_the_preheader_comes_first_and_is_hidden(format: MessageFormat, body: str) -> None:
    content = Content("s", format, body, "en", preheader="For {{ name }}: <3 & {")

    check_content(content)
    letter = preview(content, EXAMPLE)
    page = read_page(letter.html)
    first = next(element for element in page.find_all("div") if element.get("data-preheader") is not None)
    assert first.get_text().startswith("For Anna Example: <3 & {")
    assert "display:none" in first["style"]
    assert page.get_text().strip().startswith("For Anna Example")
    assert letter.text.startswith("Hello\n")
    assert "For Anna" not in letter.text
    # The body that a run stores results in the same letter.
    stored = Content("s", format, content.sent_body, "en")
    assert preview(stored, EXAMPLE) == letter
    assert remove_preheader(content.sent_body) == body


@pytest.mark.parametrize("text", ["", "  "])
def test_without_a_preheader_nothing_is_added(text: str) -> None:
    assert Content("s", MessageFormat.HTML, PAGE, preheader=text).sent_body == PAGE
    assert Content("s", MessageFormat.TEXT, "Hello", preheader="News").sent_body == "Hello"


def test_values_in_a_preheader_are_escaped() -> None:
    content = Content("s", MessageFormat.HTML, PAGE, preheader="{{ name }}")
    letter = preview(content, Recipient("ann@example.com", "<b>Ann", {}))
    assert f"{START}&lt;b&gt;Ann{FILLER}" in letter.html


def test_an_error_in_the_preheader_has_no_line() -> None:
    with pytest.raises(TemplateError) as caught:
        check_content(Content("s", MessageFormat.MARKDOWN, "a", preheader="{{ name | shout }}"))
    assert caught.value.in_preheader
    assert caught.value.line is None
    with pytest.raises(TemplateError) as caught:
        check_content(Content("s", MessageFormat.MARKDOWN, "a\n{{ name | shout }}", preheader="ok"))
    assert not caught.value.in_preheader
    assert caught.value.line == 2
