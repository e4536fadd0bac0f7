"""Provide a visitor who opens pages, keeps cookies and submits forms, but runs no scripts."""

import http.cookiejar
import urllib.error
import urllib.parse
import urllib.request
import uuid
from dataclasses import dataclass
from pathlib import Path

from bs4 import BeautifulSoup, Tag


@dataclass
class Page:
    """A response with its final URL, status and text."""

    url: str
    status: int
    text: str

    @property
    def soup(self) -> BeautifulSoup:
        return BeautifulSoup(self.text, "html.parser")

    @property
    def visible_text(self) -> str:
        """Return the visible text with collapsed white space."""
        return " ".join(self.soup.get_text(" ").split())


class Visitor:
    """A visitor whose HTTP client keeps cookies, follows redirects and submits forms."""

    def __init__(self, site: str) -> None:
        self.site = site
        jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._opener = urllib.request.build_opener(jar)

    def get(self, path: str) -> Page:
        return self._open(urllib.request.Request(urllib.parse.urljoin(self.site, path)))

    def submit(
        self, page: Page, action: str = "", files: dict[str, Path] | None = None, /, **values: str | list[str]
    ) -> Page:
        """Fill in and submit the POST form whose action ends with `action`."""
        form = self._find_form(page, action)
        fields = [(name, value) for name, value in _list_prefilled(form) if name not in values]
        for name, value in values.items():
            fields += [(name, item) for item in ([value] if isinstance(value, str) else value)]
        target = urllib.parse.urljoin(page.url, str(form.get("action") or page.url))
        if files:
            body, content_type = _encode_multipart(fields, files)
        else:
            body, content_type = urllib.parse.urlencode(fields).encode(), "application/x-www-form-urlencoded"
        headers = {"Content-Type": content_type, "Referer": page.url}
        return self._open(urllib.request.Request(target, body, headers, method="POST"))

    def _find_form(self, page: Page, action: str) -> Tag:
        for form in page.soup.find_all("form", method=lambda value: value and value.lower() == "post"):
            target = urllib.parse.urljoin(page.url, str(form.get("action") or page.url))
            if urllib.parse.urlsplit(target).path.endswith(action or urllib.parse.urlsplit(page.url).path):
                return form
        raise AssertionError(f"no form for {action!r} on {page.url}: {page.visible_text[:500]}")

    def _open(self, request: urllib.request.Request) -> Page:
        try:
            with self._opener.open(request, timeout=30) as response:
                return Page(response.url, response.status, response.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                return Page(error.url or request.full_url, error.code, error.read().decode())


def _list_prefilled(form: Tag) -> list[tuple[str, str]]:
    """Return the fields that the form would send if nothing were changed."""
    fields = []
    for field in form.find_all(["input", "textarea", "select"]):
        name = field.get("name")
        if not name or field.get("type") in ("submit", "file", "button"):
            continue
        if field.name == "select":
            chosen = field.find_all("option", selected=True) or field.find_all("option")[:1]
            fields += [(str(name), str(option.get("value", option.get_text()))) for option in chosen]
        elif field.get("type") in ("checkbox", "radio"):
            if field.has_attr("checked"):
                fields.append((str(name), str(field.get("value", "on"))))
        else:
            fields.append(
                (str(name), field.get_text() if field.name == "textarea" else str(field.get("value", "")))
            )
    return fields


def _encode_multipart(fields: list[tuple[str, str]], files: dict[str, Path]) -> tuple[bytes, str]:
    boundary = uuid.uuid4().hex
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields
    ]
    for name, path in files.items():
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{path.name}"\r\n'
        parts.append(head.encode() + b"Content-Type: text/csv\r\n\r\n" + path.read_bytes() + b"\r\n")
    return b"".join(parts) + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"
