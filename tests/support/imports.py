"""Import a file of clients as a user does: upload it and confirm the mapping of its columns."""

import io

from bs4 import BeautifulSoup
from flask.testing import FlaskClient
from werkzeug.test import TestResponse


def upload(browser: FlaskClient, content: bytes, name: str = "clients.csv") -> TestResponse:
    """Upload a file; return the response, which redirects to the mapping step or shows an error."""
    return browser.post("/clients/import", data={"file": (io.BytesIO(content), name)})


def read_form(page: str) -> dict[str, str]:
    """Return the names and values that a browser would submit with the last form of the page."""
    form = BeautifulSoup(page, "html.parser").select("main form")[-1]
    values = {}
    for field in form.select("input[name], textarea[name]"):
        if field.get("type") != "radio" or field.has_attr("checked"):
            values[str(field["name"])] = str(field.get("value", field.text))
    for select in form.select("select[name]"):
        option = select.select_one("option[selected]") or select.select("option")[0]
        values[str(select["name"])] = str(option["value"])
    return values


def import_file(
    browser: FlaskClient, content: bytes, name: str = "clients.csv", **changes: str
) -> TestResponse:
    """Upload a file and confirm its mapping; `changes` replace fields of the form, with "_" for "-"."""
    response = upload(browser, content, name)
    if response.status_code != 302:
        return response
    location = str(response.location)
    values = read_form(browser.get(location).text)
    return browser.post(
        location, data=values | {name.replace("_", "-"): value for name, value in changes.items()}
    )
