"""Test that styles are inlined into elements and the rest of the author's HTML stays unchanged."""

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from skymailing.delivery.rendering.css_important import add_important
from skymailing.delivery.rendering.css_inlining import MAX_DEPTH, inline_styles
from skymailing.delivery.rendering.letter import Content, Recipient, preview
from skymailing.delivery.rendering.liquid_tags import TemplateError, find_tags
from skymailing.models import MessageFormat
from tests.support.timing import cpu_seconds

CSS = "<style>p, td, .a { color: red } #b > i { margin: 0 } a:hover { color: {{ client.c }} }</style>"
FRAGMENTS = st.sampled_from(
    [
        CSS,
        "<p>",
        "</p>",
        "<P CLASS=a>",
        '<p class="a {{ client.x }}">',
        "<p class='a' style='font-family: \"A\"'>",
        "<p style=color:blue>",
        "<i id=b><i>x</i></i>",
        '<p {% if name > 3 %}class="a"{% endif %}>',
        "<table><tr>{% for i in (1..2) %}<td>{{ i }}</td>{% endfor %}</tr></table>",
        '{{ "a>b" | append: "<p class=a>" }}',
        "{% if client.a < 'x' and client.b == \"y\" %}",
        "{% endif %}",
        "{% raw %}<p>{{ x }}</p>{% endraw %}",
        '<a href="{{ unsubscribe_url }}">&amp; &copy; "</a>',
        "<br/><img src=x/>",
        "<!-- <p> {{ name }} -->",
        "<!--[if mso]><p>old</p><![endif]-->",
        "<b><b>",
        "</b></div></i>",
        "<",
        '<p class="',
        "<p x'y>",
        "lq0xo0q { % }",
        "\u00e9\U0001f600\t\n  \x0c",
        "</style>",
        "<style>.a { color: green } /* { */ @media print { .a { color: blue } }",
        "<script>p < 3</script>",
        "<svg><style>p{}</style></svg>",
        "<select><option>",
    ]
)
STYLE = re.compile(r"""\sstyle=("[^"]*"|'[^']*'|[^\s>]+)""")


def strip_styles(html: str) -> str:
    """Remove what the inliner may add: style attributes and `!important`."""
    return STYLE.sub("", html).replace(" !important", "")


@settings(max_examples=150)
@given(html=st.lists(FRAGMENTS, max_size=25).map("".join))
@example(html=CSS + "<p>{{ name }}</p>")
def test_nothing_but_the_styles_changes(html: str) -> None:
    try:
        tags = [tag.text for tag in find_tags(html)]
    except TemplateError:
        with pytest.raises(TemplateError):
            inline_styles(html)
        return

    inlined = inline_styles(html)

    stripped, source = strip_styles(inlined), strip_styles(html)
    assert stripped == source
    assert [tag.text for tag in find_tags(stripped)] == [tag.text for tag in find_tags(source)]
    # None of the author's tags is missing; the inliner may add some.
    remaining = iter(tag.text for tag in find_tags(inlined))
    assert all(tag in remaining for tag in tags)


def inline(css: str, html: str) -> str:
    return inline_styles(f"<style>{css}</style>{html}").partition("</style>")[2]


@pytest.mark.parametrize(
    ("css", "html", "expected"),
    [
        ("p { color: red }", "<p>x</p>", '<p style="color: red;">x</p>'),
        ("p { color: red }", '<p style="margin: 0">x', '<p style="color: red; margin: 0">x'),
        ("p { font: 1px 'A' }", "<p style='margin: 0'>x", "<p style='font: 1px &#39;A&#39;; margin: 0'>x"),
        ("p { color: red }", "<p style=margin:0>x", '<p style="color: red; margin:0">x'),
        ("p { color: {{ client.c }} }", "<p>x", '<p style="color: {{ client.c }};">x'),
        # The class is unknown until the placeholder is filled in.
        (".a { color: red }", "<p {% if name %}class=a{% endif %}>x", "<p {% if name %}class=a{% endif %}>x"),
        (
            ".a { color: red }",
            '<p class="{% if name %}a{% endif %}">x',
            '<p class="{% if name %}a{% endif %}">x',
        ),
        (".a { color: red }", '<p class="a {{ name }}">x', '<p style="color: red;" class="a {{ name }}">x'),
    ],
)
def test_rules_are_inlined_into_matching_elements(css: str, html: str, expected: str) -> None:
    assert inline(css, html) == expected


def test_rules_in_media_queries_and_for_states_still_apply() -> None:
    css = (
        "a { color: red; } a:hover { color: blue; margin: 0 !important } "
        '@media (max-width: 9px) { a { background: url("x;}y"); color: red } } @font-face { src: x }'
    )

    assert add_important(css) == (
        "a { color: red; } a:hover { color: blue !important; margin: 0 !important } "
        '@media (max-width: 9px) { a { background: url("x;}y") !important; color: red !important } } '
        "@font-face { src: x }"
    )


def test_a_letter_keeps_its_media_queries() -> None:
    body = (
        "<style>p { color: #111 } @media (max-width: 9px) { p { color: #222 } }</style><p>Hi {{ name }}</p>"
    )

    html = preview(Content("x", MessageFormat.HTML, body), Recipient("a@b.example", "Ann", {})).html

    assert "@media (max-width: 9px) { p { color: #222 !important } }" in html
    assert '<p style="color: #111;">Hi Ann</p>' in html


def test_nothing_is_loaded_from_the_network() -> None:
    html = '<link rel="stylesheet" href="http://127.0.0.1:1/x.css"><style>@import "http://127.0.0.1:1/";p{color:red}</style><p>'

    assert strip_styles(inline_styles(html)) == html


@pytest.mark.parametrize(
    "fragment",
    ["<div>", "<b a=1>", "<p><b c></p>", '<b a=x"y>', "<table><tr><td>", "<a ", "<i>x</i>", "<svg><g>"],
)
def test_hostile_html_is_returned_quickly(fragment: str) -> None:
    css = "<style>" + "i p i, b, div { color: red }" * 100 + "</style>"
    html = (css + fragment * 250_000)[:490_000]
    with cpu_seconds(5):  # usually a few tenths
        assert len(inline_styles(html)) < 2 * len(html)


def test_deeply_nested_html_is_inlined_up_to_a_limit() -> None:
    def nest(depth: int) -> str:
        return "<style>i { color: red }</style>" + "<div>" * depth + "<i>x</i>"

    assert 'style="color: red;"' in inline_styles(nest(MAX_DEPTH - 1))
    assert inline_styles(nest(MAX_DEPTH + 1)) == nest(MAX_DEPTH + 1)
