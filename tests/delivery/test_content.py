"""Test that template errors are reported with their line, and that hostile templates do no harm."""

import pytest

from skymailing.delivery.rendering.content import Content, check_content, compile_content, find_placeholders
from skymailing.delivery.rendering.liquid import parse, render
from skymailing.delivery.rendering.liquid_tags import TemplateError
from skymailing.delivery.rendering.plaintext import html_to_text
from skymailing.models import MessageFormat
from tests.support.timing import cpu_seconds

FORMATS = list(MessageFormat)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    ("body", "line", "expected"),
    [
        ("one\ntwo\n{{ name", 3, "{{ is not closed by }}"),
        ("one\r\n\r\n# Two\r\n{% if name %}\r\nfour", 4, "{% if name %} is not closed by {% endif %}"),
        ("{% for c in client %}\n{% if c %}\n{% endfor %}", 2, "{% endif %}"),
        ("# Title\n\n- item\n- {% foo %}", 4, "foo"),
        ("a\n{{ name | shout }}", 2, "There is no filter “shout”"),
        ("a\n\n{% if false %}{{ name | shout }}{% endif %}", 3, "There is no filter “shout”"),
        ("a\n{{ }}", 2, "error"),
        ("a\n{{ name name }}", 2, "error"),
        ("a\n{{ 1 | divided_by: 0 }}", 2, "divide"),
        ("a\n\n{% for i in (1..999999999) %}x{% endfor %}", 3, "too expensive"),
        ("a\n{% raw %}\n{{ x }}", 2, "{% raw %} is not closed"),
        ("a\n{% include 'x' %}", 2, "include"),
    ],
)
def test_an_error_is_reported_with_its_line(
    format: MessageFormat, body: str, line: int, expected: str
) -> None:
    with pytest.raises(TemplateError) as raised:
        check_content(Content("subject", format, body))

    assert raised.value.line == line
    assert expected in str(raised.value)
    assert not raised.value.in_subject


def test_an_error_in_the_subject_is_reported_for_the_subject() -> None:
    with pytest.raises(TemplateError) as raised:
        check_content(Content("Hello {{ name", MessageFormat.TEXT, "fine"))

    assert raised.value.in_subject


@pytest.mark.parametrize("format", FORMATS)
def test_valid_content_is_accepted(format: MessageFormat) -> None:
    body = (
        '{% assign who = name | default: "friend" %}Hello, {{ who | capitalize }}!\n\n'
        "{% if client.city %}In {{ client.city }}{% elsif name %}there{% else %}here{% endif %}\n"
        "{% case client.plan %}{% when 'a' %}A{% endcase %}{% comment %} {{ name }} {% endcomment %}\n"
        '{{ "now" | date: "%Y" }} {% raw %}{{ literally }}{% endraw %}'
    )

    check_content(Content('{{ name | default: "friend" }}', format, body))


HOSTILE = [
    '{{ (1..999999999) | join: "," }}',
    '{% if (1..9999999999) contains "a" %}{% endif %}',
    "{% for i in (1..1000) %}{% for j in (1..1000) %}{{ i }}{{ j }}{% endfor %}{% endfor %}",
    "{% for i in (1..9000) %}" + "{% if 1 %}{% endif %}" * 9000 + "{% endfor %}",
    '{% assign a = "xxxxxxxxxx" %}{% for i in (1..100) %}{% assign a = a | append: a %}{% endfor %}',
    '{% assign a = "' + "x" * 900 + '" %}{% assign a = a | replace: "x", a %}{{ a | replace: "x", a }}',
    '{% assign a = "' + "x" * 900 + '" %}{{ a | split: "" | join: a | split: "" | join: a }}',
    '{{ "1e999999999" | ceil }}',
    '{{ "1e999999999" | plus: 1 }}',
    "{% assign x = 9999999999 %}{% for i in (1..1000) %}{% assign x = x | times: x %}{% endfor %}{{ x }}",
    "{{ " * 20_000,
    "{% raw %}" * 20_000,
    "{{" + " " * 900 + "}}",
    "{{ a" + "[a" * 400 + "]" * 400 + " }}",
    "{% if x %}" * 200 + "{% endif %}" * 200,
    "{% capture a %}" + "x" * 5000 + "{% endcapture %}{% for i in (1..1000) %}{{ a }}{% endfor %}",
    "{% break %}",
    '{{ "9999999999999" | date: "%Y" }}',
]


@pytest.mark.parametrize("body", HOSTILE)
def test_a_hostile_template_is_rejected_quickly(body: str) -> None:
    with cpu_seconds(5), pytest.raises(TemplateError):
        check_content(Content("x", MessageFormat.TEXT, body))


@pytest.mark.parametrize(
    "expression",
    [
        "name.__class__",
        'name["__class__"]',
        "client.__class__.__mro__",
        "client.keys",
        "name.format",
        "forloop.x",
    ],
)
def test_a_template_cannot_access_python(expression: str) -> None:
    values = {"name": "Ann", "client": {"city": "Rome"}}

    assert render(parse(f"[{{{{ {expression} }}}}]", escape=False), values) == "[]"


@pytest.mark.parametrize("name", ["safe", "escapejs"])
def test_filters_that_insert_unescaped_html_are_rejected(name: str) -> None:
    with pytest.raises(TemplateError):
        check_content(Content("x", MessageFormat.HTML, f"{{{{ name | {name} }}}}"))


@pytest.mark.parametrize(
    "fragment",
    ["<a ", "<!--", "<![CDATA[", "<", "&#", '<a href="', "</", "<?", "<ol><li>", "<a>x", "\n ", "*_[", "<<"],
)
def test_malformed_html_and_markdown_are_parsed_quickly(fragment: str) -> None:
    with cpu_seconds(5):
        html_to_text(fragment * (200_000 // len(fragment)))
        compile_content(Content("x", MessageFormat.HTML, fragment * (200_000 // len(fragment))))
        compile_content(Content("x", MessageFormat.MARKDOWN, fragment * (20_000 // len(fragment))))


def test_placeholders_are_found_with_their_paths() -> None:
    content = Content(
        "{{ name }}",
        MessageFormat.TEXT,
        '{% assign x = 1 %}{{ x }} {{ client.city }} {{ client["два слова"] }}',
    )

    assert find_placeholders(content) == [("client", "city"), ("client", "два слова"), ("name",)]


def test_a_conditional_attribute_does_not_break_the_text_part() -> None:
    body = '<p {% if name %}class="a">Yes{% else %}>No{% endif %}, {{ name }}</p>'

    check_content(Content("x", MessageFormat.HTML, body))


def test_a_letter_may_loop_but_not_for_long() -> None:
    table = "{%% for a in (1..%d) %%}{%% for b in (1..%d) %%}{{ a | times: b }} {%% endfor %%}{%% endfor %%}"
    check_content(Content("s", MessageFormat.TEXT, table % (20, 20)))
    with pytest.raises(TemplateError, match="too expensive"):
        check_content(Content("s", MessageFormat.TEXT, table % (150, 150)))
