"""Test that MJML is compiled with its Liquid and HTML unchanged, and refused with the line of an error."""

import re
from pathlib import Path

import pytest
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st

from skymailing.delivery.composition.errors import InvalidSource
from skymailing.messages.starters import PICTURES
from skymailing.web.error_texts import ERROR_TEXTS
from tests.delivery.composition.letters import compose_mjml, find_error, render
from tests.support.timing import cpu_seconds

pytestmark = pytest.mark.one_engine

LETTER = """\
<mjml>
  <mj-head><mj-preview>News</mj-preview><mj-style>td > a { color: red }</mj-style></mj-head>
  <mj-body>
    {% if client.age < 3 %}<mj-section><mj-column><mj-text>Young</mj-text></mj-column></mj-section>{% endif %}
    <mj-section><mj-column>
      <mj-text css-class="a"><p>Hello, {{ name | default: "a<b" }}<br>&nbsp;&copy;</p></mj-text>
      {% unless name == "x" %}
      <mj-button href="https://a.example/?q={{ name }}&b=2">Buy</mj-button>
      {% endunless %}
      <mj-image src="https://a.example/{{ client.id }}.png" alt="{{ name }}"/>
      <mj-raw><div>{% for x in (1..2) %}<b>{{ x }}</b>{% endfor %}</div></mj-raw>
    </mj-column></mj-section>
  </mj-body>
</mjml>
"""


def wrap(content: str) -> str:
    return f"<mjml>\n<mj-body><mj-section><mj-column>\n{content}\n</mj-column></mj-section></mj-body></mjml>"


def test_liquid_and_html_are_kept() -> None:
    html = compose_mjml(LETTER)

    assert '<p>Hello, {{ name | default: "a<b" }}<br>&nbsp;&copy;</p>' in html
    assert 'href="https://a.example/?q={{ name }}&b=2"' in html.replace("&amp;", "&")
    assert "<div>{% for x in (1..2) %}<b>{{ x }}</b>{% endfor %}</div>" in html
    assert '<html lang="en"' in html
    letter = render(html)
    assert "Young" not in letter.html
    assert "Hello, Anna Example" in letter.html
    assert "<b>1</b><b>2</b>" in letter.html


@pytest.mark.parametrize(
    ("source", "code", "line"),
    [
        ("", "mjml_missing", None),
        ("<p>Hello</p>", "mjml_unknown", 1),
        ("<mj-text>a</mj-text>", "mjml_outside", 1),
        (wrap("") + "<mjml></mjml>", "mjml_outside", 4),
        (wrap("<mj-tekst>a</mj-tekst>"), "mjml_unknown", 3),
        (wrap("\n<p>a</p>"), "mjml_unknown", 4),
        (wrap("<mj-text>a"), "mjml_unclosed", 3),
        (wrap("</mj-section>"), "mjml_unopened", 3),
        (wrap("<mj-image src=a.png />"), "mjml_bracket", 3),
        (wrap("a < b"), "mjml_bracket", 3),
        (wrap("<!-- a"), "mjml_comment", 3),
        (wrap("<mj-text><b>a</mj-text>"), "design_html_unclosed", 3),
        (wrap("<mj-raw></td></mj-raw>"), "design_html_unopened", 3),
        (wrap("{{ name"), "design_template", 3),
        (wrap("{% if a %}"), "design_template", 3),
        (wrap("<mj-include path='/etc/passwd' />"), "mjml_include", 3),
        (wrap("<MJ-INCLUDE path='x'/>"), "mjml_include", 3),
        ("<mjml><mj-body></mj-body></mjml>\ntext", "mjml_unreadable", None),
    ],
)
def test_an_error_has_a_code_and_a_line(source: str, code: str, line: int | None) -> None:
    with pytest.raises(InvalidSource) as caught:
        compose_mjml(source)
    assert (caught.value.code, caught.value.line) == (code, line)
    assert code in ERROR_TEXTS


def test_no_file_is_included(tmp_path: Path) -> None:
    """The compiler also refuses it, if our own check misses a spelling."""
    from mjml import mjml2html

    secret = tmp_path / "secret.mjml"
    secret.write_text("<mj-text>secret</mj-text>")
    for path in (secret, f"file://{secret}"):
        with pytest.raises(ValueError, match="unable to load included template"):
            mjml2html(f"<mjml><mj-body><mj-include path='{path}'/></mj-body></mjml>")
    hidden = wrap(f"<mj-raw><mj-include path='{secret}'></mj-include></mj-raw>")
    assert ">secret<" not in compose_mjml(hidden)


def test_no_font_is_loaded() -> None:
    head = "<mj-head><mj-font name='Lato' href='https://fonts.example/lato.css'/></mj-head>"
    text = "<mj-text font-family='Roboto, Lato'>a</mj-text>"
    html = compose_mjml(wrap(text).replace("<mj-body>", f"{head}<mj-body>"))
    assert "fonts.example" not in html
    assert "googleapis" not in html
    assert "Roboto, Lato" in html


@pytest.mark.parametrize(
    "source",
    [
        "<mjml><mj-body>" + "<mj-section>" * 2_000,
        "<mjml><mj-body>" + "<mj-wrapper>" * 5_000 + "</mj-wrapper>" * 5_000,
        wrap("<mj-text>" + "<div>" * 3_000 + "</div>" * 3_000 + "</mj-text>"),
        wrap("<mj-spacer/>" * 5_000),
        wrap("<mj-carousel>" + '<mj-carousel-image src="a"/>' * 2_000 + "</mj-carousel>"),
        wrap(("<mj-carousel>" + '<mj-carousel-image src="a"/>' * 50 + "</mj-carousel>") * 50),
        wrap("<mj-text " + 'a="b" ' * 20_000),
        wrap("<" * 50_000),
        wrap("<!--" * 50_000),
        wrap('<mj-image src="' + "x" * 200_000),
        wrap("<mj-text>" * 20_000),
        "x" * 300_000,
    ],
)
def test_a_hostile_source_is_refused_quickly(source: str) -> None:
    with cpu_seconds(2), pytest.raises(InvalidSource):
        compose_mjml(source)


PARTS = st.sampled_from(
    [
        *("<mj-text>", "</mj-text>", "<mj-section>", "</mj-section>", "<mj-raw>", "</mj-raw>", "<!--", "-->"),
        *(
            "<",
            ">",
            "/>",
            '"',
            "'",
            "=",
            "&",
            "{{ name }}",
            "{% if a %}",
            "{% endif %}",
            "<mj-all ",
            "щ",
            "\n",
        ),
        *(
            "<mj-carousel>",
            "<mj-social>",
            "<mj-hero>",
            "<mj-attributes>",
            "<mj-style>",
            'width="',
            "-1px",
            "NaN",
        ),
    ]
)


@settings(max_examples=200)
@given(place=st.integers(0, len(LETTER)), parts=st.lists(PARTS, max_size=4), dropped=st.integers(0, 20))
def test_a_damaged_source_is_compiled_or_refused(place: int, parts: list[str], dropped: int) -> None:
    source = LETTER[:place] + "".join(parts) + LETTER[place + dropped :]
    error = find_error(lambda: compose_mjml(source))
    assert error is None or error.code in ERROR_TEXTS


def test_the_default_icons_come_from_our_own_server(app: Flask) -> None:
    networks = ("facebook", "x", "web", "xing", "google", "soundcloud")
    social = "".join(f'<mj-social-element name="{name}" href="https://a.example"/>' for name in networks)
    panel = "<mj-accordion-title>Q</mj-accordion-title><mj-accordion-text>A</mj-accordion-text>"
    pictures = '<mj-carousel-image src="https://a.example/1.png"/>' * 2
    accordion = f"<mj-accordion><mj-accordion-element>{panel}</mj-accordion-element></mj-accordion>"
    source = f"<mj-social>{social}</mj-social>{accordion}<mj-carousel>{pictures}</mj-carousel>"
    with app.app_context():
        html = compose_mjml(wrap(source))

    sources = set(re.findall(r'<img[^>]*? src="([^"]*)"', html))
    own = {source for source in sources if "/messages/designs/icon-" in source}
    assert sources - own == {"https://a.example/1.png"}
    assert len(own) == len(networks) + 4
    assert all((PICTURES / source.rpartition("/")[2]).is_file() for source in own)
