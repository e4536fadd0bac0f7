"""Test the links of letters, which workers write without loading the pages."""

import re
from pathlib import Path

import pytest
from flask import Flask
from werkzeug.routing import Rule

from skymailing.web.urls import LETTER_PAGES

# URLs do not depend on the database.
pytestmark = pytest.mark.one_engine

SOURCE = Path(__file__).parents[2] / "skymailing"
LETTER_SOURCES = [
    *(SOURCE / "templates/emails").rglob("*.*"),
    *(SOURCE / "outbox").rglob("*.py"),
    *(SOURCE / "delivery").rglob("*.py"),
    *(SOURCE / "link_checks").glob("tasks.py"),
]
LINK = re.compile(r"""public_url\(\s*["']([\w.]+)["']""")


@pytest.mark.parametrize("rule", list(LETTER_PAGES.iter_rules()), ids=lambda rule: rule.endpoint)
def test_links_of_letters_lead_to_their_pages(app: Flask, rule: Rule) -> None:
    assert str(rule) in {str(page) for page in app.url_map.iter_rules(rule.endpoint)}


def test_workers_write_letters_without_loading_the_pages() -> None:
    linked = {name for source in LETTER_SOURCES for name in LINK.findall(source.read_text())}

    assert linked <= {rule.endpoint for rule in LETTER_PAGES.iter_rules()}
    assert len(linked) > 10
