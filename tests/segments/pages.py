"""Save segments through their form, and read their pages."""

import json
from typing import Any

from bs4 import BeautifulSoup
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

OMSK = {"field": "attribute.city", "op": "equals", "value": "Omsk"}
NOT_WHOLESALE = {"field": "tag", "op": "is_not", "value": "wholesale"}


def save(
    browser: FlaskClient, conditions: Any, name: str = "Loyal", path: str = "/segments/new"
) -> TestResponse:
    return browser.post(path, data={"name": name, "conditions": json.dumps(conditions)})


def preview(browser: FlaskClient, conditions: Any) -> BeautifulSoup:
    text = conditions if isinstance(conditions, str) else json.dumps(conditions)
    response = browser.post("/segments/preview", data={"conditions": text})
    assert response.status_code == 200
    return BeautifulSoup(response.text, "html.parser")


def find_sentences(page: str) -> list[str]:
    """Return the titles and sentences of the conditions in a page, in reading order."""
    soup = BeautifulSoup(page, "html.parser")
    found = soup.select(".sentences-title, .sentences li:not(:has(.sentences))")
    return [" ".join(element.text.split()) for element in found]


def find_addresses(page: str) -> set[str]:
    return {
        link.text
        for link in BeautifulSoup(page, "html.parser").select(".reach-clients a")
        if "@" in link.text
    }
