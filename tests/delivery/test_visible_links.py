"""Test that the reader of every letter sees a way to unsubscribe."""

import re
from pathlib import Path

import pytest

from skymailing.delivery.rendering.letter import Content, Recipient, preview
from skymailing.delivery.rendering.visibility import shows
from skymailing.messages.starters import KEYS
from skymailing.models import MessageFormat
from tests.delivery.rendered import ANN, HTML, MARKDOWN, TEXT, URL, get_body, parse_valid, render
from tests.support.starters import compose_starter

LETTERS = Path(__file__).parent.parent / "data" / "letters"
LINK = '<a href="{{ unsubscribe_url }}">Stop</a>'
FOOTER = f'<a href="{URL}" style="color:#72777e">Unsubscribe</a>'
NEEDLE = re.compile(re.escape(URL))


def render_html(body: str, recipient: Recipient = ANN) -> str:
    """Return the HTML of a letter, whose reader must see a link."""
    html = get_body(parse_valid(render(Content("s", HTML, body), recipient)), "html")
    assert shows(html, NEEDLE)
    return html


@pytest.mark.parametrize(
    "name", ["unsubscribe-only-in-comment", "unsubscribe-only-for-outlook", "footer-lands-in-comment"]
)
def test_a_letter_without_a_visible_link_gets_a_footer(name: str) -> None:
    body = (LETTERS / f"{name}.html").read_text()

    html = render_html(body)

    assert FOOTER in re.sub(r"<!--.*?-->", "", html)
    text = get_body(parse_valid(render(Content("s", HTML, body))), "plain")
    assert text.count(URL) == 1


HIDDEN = [
    f'<div style="display:none">{LINK}</div>',
    f"<div style='DISPLAY : none !important; color: red'><p>{LINK}</p></div>",
    f"<p hidden>{LINK}</p>",
    f'<p style="visibility:hidden">{LINK}</p>',
    f'<p style="opacity:0">{LINK}</p>',
    f'<div style="max-height:0;overflow:hidden">{LINK}</div>',
    f'<td style="font-size:0px">{LINK}</td>',
    f'<span style="font:0/0 a">{LINK}</span>',
    f"<style>.x {{ display: none }}</style><p class=x>{LINK}</p>",
    f"<template>{LINK}</template>",
    f"<title>{LINK}</title>",
    f"<textarea>{LINK}</textarea>",
    '<a href="{{ unsubscribe_url }}"></a>',
    '<a href="{{ unsubscribe_url }}">&zwnj;&nbsp;</a>',
    '<a href="{{ unsubscribe_url }}"><img src="x.gif" width="1" height="1"></a>',
    '<a href="{{ unsubscribe_url }}">{{ client.label }}</a>',
    '<img src="{{ unsubscribe_url }}">',
    "<! {{ unsubscribe_url }} >",
    f"{{% if false %}}{LINK}{{% endif %}}",
    f"{{% if client.city == 'Omsk' %}}{LINK}{{% endif %}}",
    f"{{% unless name %}}{LINK}{{% endunless %}}",
    f"{{% for x in client.pets %}}{LINK}{{% endfor %}}",
    f"{{% capture x %}}{LINK}{{% endcapture %}}",
    f"{{% comment %}}{LINK}{{% endcomment %}}",
    f"{{% assign unsubscribe_url = '' %}}{LINK}",
    f"<p{{% if name %}} style='display:none'{{% endif %}}>{LINK}</p>",
    f'<p style="{{% if name %}}display:none{{% endif %}}">{LINK}</p>',
    "{{ unsubscribe_url | slice: 0, 5 }}",
    f"<p>Hi</p><!-- {LINK}",
    f"<p>Hi</p><style> {LINK}",
]


@pytest.mark.parametrize("body", HIDDEN)
@pytest.mark.parametrize("frame", ["%s", "<html><body><p>Hi</p>%s</body></html><!-- </body> -->"])
def test_a_hidden_link_does_not_replace_the_footer(body: str, frame: str) -> None:
    assert FOOTER in render_html(frame % body)


VISIBLE = [
    f"<p>{LINK}</p>",
    f'<div style="font-size:0px"><p style="font-size:14px">{LINK}</p></div>',
    f'<div style="display:none">Preview</div><p>{LINK}</p>',
    f"<p style='display:none'>Preview<p>{LINK}",
    f"<!--[if mso]><table><tr><td><![endif]--><div>{LINK}</div><!--[if mso]></td></tr></table><![endif]-->",
    f"<!--[if !mso]><!-->{LINK}<!--<![endif]-->",
    f"<![if !mso]>{LINK}<![endif]>",
    '<a href="{{ unsubscribe_url }}"><img src="stop.png" alt="Stop"></a>',
    '<a href="{{ unsubscribe_url }}" style="color:red"><b>{{ client.label }} Stop</b></a>',
    "<p>Stop: {{ unsubscribe_url }}</p>",
    "<p>{%- if true -%}" + LINK + "{%- endif -%}</p>",
    f"{{% if client.city == 'Казань' %}}{LINK}{{% endif %}}",
    f"{{% if client.vip %}}{LINK}{{% else %}}{LINK}{{% endif %}}",
    f"{{% capture x %}}{LINK}{{% endcapture %}}{{{{ x }}}}",
    '{% assign link = unsubscribe_url | append: "?a=1" %}<a href="{{ link }}">Stop</a>',
    '<a href="{{ unsubscribe_url }}">{{ client.city }}</a>',
]


@pytest.mark.parametrize("body", VISIBLE)
def test_a_visible_link_needs_no_footer(body: str) -> None:
    html = render_html(body)

    assert "Unsubscribe" not in html


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ("<html><body><p>Hi</p></body></html>", "<p>Hi</p>{}</body></html>"),
        ("<body><p>Hi</p></body><!-- </body> -->", "<p>Hi</p>{}</body><!-- </body> -->"),
        ("<html><p>Hi</p></html>", "<p>Hi</p>{}</html>"),
        ("<p>Hi</p><!-- cut off", "<p>Hi</p>{}<!-- cut off"),
        ('<body><div style="display:none"><b>x</b>', "<b>x</b></div>{}"),
        ("<body>a{% if client.city != '</body>' %}b{% endif %}</body>", "ab{}</body>"),
    ],
)
def test_the_footer_is_added_where_it_is_seen(body: str, place: str) -> None:
    html = render_html(body)

    start, end = html.find('<p style="margin-top:32px'), html.find("Unsubscribe</a></p>\n") + 20
    assert place.format(html[start:end]) in html


def test_each_client_gets_the_footer_only_if_no_link_is_seen() -> None:
    body = f"Hello{{% if client.city == 'Rome' %}} {LINK}{{% endif %}}"
    rome, omsk = (Recipient("a@b.example", "Ann", {"city": city}) for city in ("Rome", "Omsk"))

    assert "Unsubscribe" not in render_html(body, rome)
    assert FOOTER in render_html(body, omsk)


@pytest.mark.parametrize("format", [TEXT, MARKDOWN])
def test_a_condition_hides_no_link_in_text(format: MessageFormat) -> None:
    body = "Hello{% if client.city == 'Rome' %} {{ unsubscribe_url }}{% endif %}"

    for city in ("Rome", "Omsk"):
        letter = parse_valid(
            render(Content("s", format, body), Recipient("a@b.example", "Ann", {"city": city}))
        )
        assert get_body(letter, "plain").count(URL) == 1
        assert format is TEXT or shows(get_body(letter, "html"), NEEDLE)


def test_a_markdown_comment_hides_no_link() -> None:
    html = get_body(
        parse_valid(render(Content("s", MARKDOWN, "Hi\n\n<!-- {{ unsubscribe_url }} -->"))), "html"
    )

    assert shows(html, NEEDLE)
    assert html.index(">Unsubscribe</a>") < html.index("</div>\n</body>"), "inside the letter's frame"


@pytest.mark.parametrize("key", KEYS)
def test_starters_show_their_own_link(key: str) -> None:
    html = preview(compose_starter(key, "ru"), ANN, unsubscribe_url=URL).html

    assert html.count(URL) == 1


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ((LETTERS / "meta-charset-of-word-contradicts-utf8.html").read_text(), "charset=utf-8"),
        ('<meta charset="koi8-r"><p>Привет</p>', '<meta charset="utf-8">'),
        ('<?xml version="1.0" encoding="windows-1251"?><p>Привет</p>', 'encoding="utf-8"'),
        ("<META CHARSET='{{ x }}Latin1'>", "{{"),
        ("<!-- <meta charset=cp1251> --><p>charset=cp1251</p>", "<!-- <meta charset=cp1251> -->"),
    ],
)
def test_the_page_states_the_charset_of_the_letter(body: str, expected: str) -> None:
    html = render_html(body)

    seen = re.sub(r"<!--.*?-->|>[^<]*<", "", html)
    assert not re.search("windows-1251|koi8", seen)
    assert expected in html or expected == "{{"
