"""Test that hostile Liquid templates cannot access Python or use up resources.

See also tests/delivery/test_content.py.
"""

import json
import resource
import subprocess
import sys
import time

import pytest

from skymailing.delivery.rendering.content import Content, check_content
from skymailing.delivery.rendering.liquid import DISABLED_FILTERS, HTML, TAGS, TEXT, parse, render
from skymailing.delivery.rendering.liquid_tags import TemplateError
from skymailing.models import MessageFormat

# All values that a letter can use; client values are plain text.
VALUES = {
    "name": "Анна",
    "email": "anna@example.com",
    "client": {"city": "Омск", "x": "y"},
    "unsubscribe_url": "https://sky.example/u/token",
}

EXPRESSIONS = [
    *(
        "name",
        "client",
        "client.city",
        "unsubscribe_url",
        "(1..3)",
        "forloop",
        "self",
        "nil",
        "true",
        "1",
        "'x'",
    ),
]
PYTHON_ATTRIBUTES = [
    *(
        "__class__",
        "__class__.__mro__",
        "__init__.__globals__",
        "__dict__",
        "__getattribute__",
        "__globals__",
    ),
    *("__class__.__base__.__subclasses__", "format", "format_map", "encode", "join", "items", "keys", "pop"),
    *("func_globals", "gi_frame", "f_globals", "f_back", "mro", "_module", "context", "env", "globals"),
]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_python_attributes_are_not_reachable(expression: str) -> None:
    for attribute in PYTHON_ATTRIBUTES:
        for source in (f"{{{{ {expression}.{attribute} }}}}", f'{{{{ {expression}["{attribute}"] }}}}'):
            try:
                output = render(parse(f"[{source}]", escape=False), VALUES)
            except TemplateError:
                continue
            assert output == "[]", source


@pytest.mark.parametrize(
    "source",
    [
        "{{ request }}{{ config }}{{ current_user }}{{ session }}{{ g }}{{ self }}{{ url_for }}{{ app }}",
        "{{ lipsum.__globals__.os.popen('id') }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{% import os %}{{ os }}",
        "{{ [].__class__ }}",
        "{{ 7*7 }}",
        "${7*7} #{7*7} <%= 7*7 %>",
    ],
)
def test_exploits_for_other_template_languages_do_nothing(source: str) -> None:
    try:
        output = render(parse(source, escape=False), VALUES)
    except TemplateError:
        return
    assert "49" not in output
    assert "class" not in output
    assert "uid=" not in output


@pytest.mark.parametrize(
    "tag",
    [
        "{% include 'emails/reset-password/body.txt' %}",
        "{% render 'base.html' %}",
        "{% include '/etc/passwd' %}",
        "{% layout 'x' %}",
        "{% extends 'base.html' %}{% block a %}{% endblock %}",
        "{% macro a %}{% call a %}{% endmacro %}{% call a %}",
        "{% tablerow i in (1..9999) %}x{% endtablerow %}",
        "{% liquid echo 'x' %}",
        "{% with a: 1 %}{{ a }}{% endwith %}",
    ],
)
def test_tags_that_load_files_or_recurse_are_rejected(tag: str) -> None:
    with pytest.raises(TemplateError):
        check_content(Content("x", MessageFormat.TEXT, tag))


def test_only_reviewed_tags_and_filters_are_available() -> None:
    """Review new tags and filters before upgrading the library."""
    for environment in (TEXT, HTML):
        assert set(environment.tags) <= TAGS
        assert not set(environment.filters) & DISABLED_FILTERS
        assert set(environment.filters) == REVIEWED_FILTERS


REVIEWED_FILTERS = set(
    "abs append at_least at_most base64_decode base64_encode base64_url_safe_decode base64_url_safe_encode "
    "capitalize ceil compact concat date default divided_by downcase escape escape_once find find_index "
    "first floor has join last lstrip map minus modulo newline_to_br plus prepend reject remove remove_first "
    "remove_last replace replace_first replace_last reverse round rstrip size slice sort sort_natural split "
    "squish strip strip_html strip_newlines sum times truncate truncatewords uniq upcase url_decode "
    "url_encode where".split()
)

BIG = "{% assign b = 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' %}"
GROW = "{% for i in (1..200) %}{% assign b = b | append: b %}{% endfor %}"
EXHAUSTING = [
    "{% for i in (1..100000000) %}{% endfor %}",
    "{% for i in (1..9999) %}" * 3 + "{% endfor %}" * 3,
    "{% assign r = (1..9999999999999) %}{{ r | reverse | join }}",
    "{{ (1..99999999) | sort | uniq | size }}",
    "{{ (-99999999999..99999999999) | last }}",
    BIG + GROW,
    BIG + "{% for i in (1..200) %}{% capture b %}{{ b }}{{ b }}{% endcapture %}{% endfor %}",
    BIG + "{% for i in (1..40) %}{% assign b = b | replace: 'x', b %}{% endfor %}",
    BIG + "{% for i in (1..40) %}{% assign b = b | split: '' | join: b %}{% endfor %}",
    BIG + "{% for i in (1..40) %}{% assign a = b | split: '' %}{% assign b = a | join: b %}{% endfor %}",
    "{% assign n = 10 %}{% for i in (1..10000) %}{% assign n = n | times: n %}{% endfor %}{{ n }}",
    "{{ 'x' | truncate: 99999999999999999999, '" + "y" * 900 + "' }}{{ '1e99999999' | round }}",
    "{{ '9e9999999' | times: '9e9999999' }}",
    "{{ 1.0 | round: 999999999 }}{{ 1 | divided_by: 3.0 | round: 999999999999 }}{{ '1e500' | floor }}",
    "{% for i in (1..10000) %}{{ 'now' | date: '%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y' }}{% endfor %}",
    "{% for i in (1..10000) %}{% increment a %}{% cycle 'a', 'b' %}{% if i %}{% endif %}" * 30
    + "{% endfor %}" * 30,
    "{{ " + "(1.." * 10 + "9" + ")" * 10 + " }}",
    "{% if " + "a and " * 150 + "a %}{% endif %}" * 400,
    "{% if x %}" * 5_000 + "{% endif %}" * 5_000,
    "{{ a | default: b }}" * 24_000,
    "{% for i in (1..9999) %}{% capture a %}{{ a }}" + "x" * 10_000 + "{% endcapture %}{% endfor %}",
]
LIMIT = 700 * 1024 * 1024


def test_hostile_templates_exhaust_neither_time_nor_memory() -> None:
    """Run in a separate process with limited memory, so that a failure does not stop the test run."""
    program = (
        "import sys, resource, json, time\n"
        f"resource.setrlimit(resource.RLIMIT_AS, ({LIMIT}, {LIMIT}))\n"
        "from skymailing.delivery.rendering.content import Content, check_content\n"
        "from skymailing.delivery.rendering.liquid_tags import TemplateError\n"
        "from skymailing.models import MessageFormat\n"
        "for source in json.load(sys.stdin):\n"
        "    start = time.process_time()\n"
        "    try:\n"
        "        check_content(Content('x', MessageFormat.TEXT, source))\n"
        "    except TemplateError:\n"
        "        pass\n"
        "    spent = time.process_time() - start\n"
        "    assert spent < 3, f'{spent:.1f} s: {source[:80]}'\n"
        # getrusage() would start at the peak memory of the parent process.
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps(EXHAUSTING),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-2_000:]
    kilobytes = int(result.stdout)
    assert kilobytes < 250 * 1024, "a letter may use a megabyte, not more"


@pytest.mark.parametrize(
    "value", ["{{ 7 | times: 7 }}", "{% raw %}", "{{ unsubscribe_url }}", "<b>&\"'", "]]>"]
)
def test_client_values_are_neither_templates_nor_html(value: str) -> None:
    for source in ("{{ name }}", "{{ client.city | upcase | downcase }}", "{% assign a = name %}{{ a }}"):
        text = render(parse(source, escape=False), VALUES | {"name": value, "client": {"city": value}})
        assert text.lower() == value.lower()
        html = render(parse(source, escape=True), VALUES | {"name": value, "client": {"city": value}})
        assert "<" not in html


def test_hostile_templates_do_not_affect_the_next_letter() -> None:
    harmless = parse("Hello, {{ name }}", escape=False)
    start = time.process_time()
    for source in EXHAUSTING[:6]:
        with pytest.raises(TemplateError):
            check_content(Content("x", MessageFormat.TEXT, source))
    assert render(harmless, VALUES) == "Hello, Анна"
    assert time.process_time() - start < 6
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 2 * 1024 * 1024
