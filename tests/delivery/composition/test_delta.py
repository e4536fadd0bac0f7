"""Test that formatted text from the editor's text field becomes the same text in HTML."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skymailing.delivery.composition.delta import parse_delta
from skymailing.delivery.composition.document import SETTINGS
from skymailing.delivery.composition.errors import InvalidSource
from skymailing.delivery.composition.palette import OwnerBrand, Palette
from skymailing.delivery.composition.text_html import write_lines

pytestmark = pytest.mark.one_engine

PALETTE = Palette.choose({name: field.default for name, field in SETTINGS.items()}, OwnerBrand())
MARKUP = {"strong": "bold", "em": "italic", "u": "underline", "s": "strike"}


def write(*ops: dict[str, Any]) -> str:
    return write_lines(parse_delta({"ops": list(ops)}, ""), PALETTE)


@dataclass
class Reading(HTMLParser):
    """Read HTML back: each line's kind, and its characters with their formats."""

    lines: list[tuple[str, list[tuple[str, frozenset[str]]]]] = field(default_factory=list)
    open: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag in ("p", "h1", "h2", "h3", "li"):
            kind = self.open[-1][0] if tag == "li" else tag
            self.lines.append((kind, []))
        elif tag == "br":
            self.lines[-1][1].append(("\n", frozenset()))
            return
        label = MARKUP.get(tag, "")
        if tag == "a":
            label = f"link {values['href']}"
        if tag == "span":
            label = " ".join(sorted(part for part in (values["style"] or "").split(";")))
        self.open.append((tag, label))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        formats = frozenset(label for _tag, label in self.open if label)
        self.lines[-1][1].extend((letter, formats) for letter in data.replace("\u00a0", " "))


TEXTS = st.text("ab <>&\"'{щ😀", min_size=1, max_size=6).filter(
    lambda text: "{{" not in text and not text.endswith("{")
)
FORMATS = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("bold", "italic", "underline", "strike"), st.just(True)),
        "link": st.sampled_from(["https://a.example/?a=1&b=2", "mailto:a@b.example"]),
        "size": st.just("large"),
        "color": st.just("#c0392b"),
    },
)
LINES = st.lists(
    st.tuples(
        st.lists(st.tuples(TEXTS, FORMATS), min_size=1, max_size=3),
        st.sampled_from([{}, {"header": 1}, {"header": 3}, {"list": "bullet"}, {"list": "ordered"}]),
    ),
    min_size=1,
    max_size=4,
)


def expect_formats(attributes: dict[str, Any]) -> frozenset[str]:
    """Return the labels under which `Reading` finds these attributes."""
    labels = {name for name in MARKUP.values() if name in attributes}
    if "link" in attributes:
        labels.add(f"link {attributes['link']}")
    style = [f"color:{attributes['color']}"] if "color" in attributes else []
    style += ["font-size:20px"] if "size" in attributes else []
    return frozenset(labels | ({" ".join(sorted(style))} if style else set()))


@settings(max_examples=200)
@given(lines=LINES)
def test_text_and_formats_can_be_read_back(lines: list[tuple[list[tuple[str, Any]], Any]]) -> None:
    ops: list[dict[str, Any]] = []
    expected = []
    for pieces, of_line in lines:
        ops += ({"insert": text, "attributes": formats} for text, formats in pieces)
        ops.append({"insert": "\n", "attributes": of_line})
        kind = {"bullet": "ul", "ordered": "ol"}.get(of_line.get("list", ""), f"h{of_line.get('header', 0)}")
        letters = [(letter, expect_formats(formats)) for text, formats in pieces for letter in text]
        expected.append(("p" if kind == "h0" else kind, letters))

    reading = Reading()
    reading.feed(write(*ops))

    assert reading.open == []
    assert reading.lines == expected


def test_placeholders_are_kept_and_the_text_around_them_remains_text() -> None:
    html = write(
        {"insert": "{"},
        {"insert": {"placeholder": '{{ name | default: "a<b" }}'}},
        {"insert": "} <b>\n"},
    )
    assert html == '<p style="margin:0 0 0px">&#123;{{ name | default: "a<b" }}} &lt;b&gt;</p>'


def test_braces_of_different_formats_are_not_a_placeholder() -> None:
    html = write({"insert": "{"}, {"insert": "{", "attributes": {"bold": True}}, {"insert": "\n"})
    assert html == '<p style="margin:0 0 0px">&#123;<strong>&#123;</strong></p>'


def test_a_line_of_statements_is_not_a_paragraph() -> None:
    html = write(
        {"insert": {"placeholder": "{% if name %}"}},
        {"insert": "\nHello\n{% endif %}\n"},
    )
    assert html == '{% if name %}<p style="margin:0 0 12px">Hello</p>{% endif %}'


def test_a_link_with_several_formats_remains_one_link() -> None:
    link = {"link": "https://a.example/"}
    html = write({"insert": "a", "attributes": link}, {"insert": "b", "attributes": link | {"bold": True}})
    assert html.count("<a ") == 1
    assert "a<strong>b</strong></a>" in html


def test_soft_breaks_and_spaces_are_kept() -> None:
    html = write({"insert": "a  b"}, {"insert": {"softbreak": True}}, {"insert": "c\n\nd\n\n"})
    assert html == '<p style="margin:0 0 12px">a&nbsp; b<br>c</p><p style="margin:0 0 12px"><br></p>' + (
        '<p style="margin:0 0 0px">d</p>'
    )


@pytest.mark.parametrize(
    ("op", "code", "place"),
    [
        ({"insert": "a", "attributes": {"font": "Comic"}}, "design_unknown_field", "/attributes/font"),
        ({"insert": "a", "attributes": {"link": "javascript:x"}}, "design_url", "/attributes/link"),
        ({"insert": "a", "attributes": {"color": "red"}}, "design_color", "/attributes/color"),
        ({"insert": "a", "attributes": {"header": 7}}, "design_number", "/attributes/header"),
        ({"insert": "a", "attributes": {"list": "checked"}}, "design_choice", "/attributes/list"),
        ({"insert": "a", "attributes": []}, "design_not_object", "/attributes"),
        ({"insert": {"image": "x"}}, "design_embed", "/insert"),
        ({"insert": {"placeholder": "<b>"}}, "design_embed", "/insert"),
        ({"insert": {"placeholder": "{{ a }}<b>"}}, "design_embed", "/insert"),
        ({"insert": {"placeholder": "{{ a"}}, "design_template", "/insert/placeholder"),
        ({"insert": "{{ a"}, "design_template", ""),
        ({"insert": 5}, "design_not_text", "/insert"),
        ({"retain": 5}, "design_delta", ""),
        ({"insert": "a", "delete": 1}, "design_delta", ""),
    ],
)
def test_invalid_operations_are_refused(op: dict[str, Any], code: str, place: str) -> None:
    with pytest.raises(InvalidSource) as caught:
        write(op)
    assert (caught.value.code, caught.value.pointer) == (code, f"/ops/0{place}")


@pytest.mark.parametrize("delta", [None, [], {}, {"ops": {}}, {"ops": [], "x": 1}])
def test_other_values_are_refused(delta: object) -> None:
    with pytest.raises(InvalidSource, match="design_delta"):
        parse_delta(delta, "")
