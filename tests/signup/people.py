"""Visit forms, and read the pages and letters that visitors get."""

import hashlib
import itertools
import re
from dataclasses import dataclass, field
from typing import Any

from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from skymailing.models import OutboxLetter, SignupForm
from tests.mailings.pages import soup
from tests.support.servers import Letter, SmtpServer

EMAIL = "Anna@mail.example"
ENTERED = {"email": EMAIL, "full_name": "Анна", "attribute.city": "Омск"}
_hosts = itertools.count(1)


def new_ip() -> str:
    """Return an address in a separate network, because limits apply to networks."""
    number = next(_hosts)
    return f"10.{number // 256 % 256}.{number % 256}.7"


@dataclass
class Visitor:
    """A person with a browser, which may run scripts."""

    app: Flask
    ip: str = field(default_factory=new_ip)
    agent: str = "Firefox"

    def get(self, path: str, method: str = "GET") -> TestResponse:
        return self.app.test_client().open(path, method=method, environ_overrides=self._environment())

    def post(self, path: str, data: dict[str, Any]) -> TestResponse:
        return self.app.test_client().post(path, data=data, environ_overrides=self._environment())

    def submit(self, form: SignupForm, **entered: str) -> TestResponse:
        """Submit a form without a stamp, as a website that embeds it does."""
        return self.post(path_of(form), ENTERED | entered)

    def sign_up(self, form: SignupForm, **entered: str) -> TestResponse:
        """Submit an embedded form, and complete the extra step, with a proof if it is required."""
        return self.complete_step(form, self.submit(form, **entered))

    def complete_step(self, form: SignupForm, step: TestResponse) -> TestResponse:
        """Complete the extra step, if the page has one."""
        fields = read_fields(step)
        if not soup(step).select('main input[type="hidden"][name="email"]'):
            return step
        if "proof" in fields:
            fields["proof"] = prove(fields["stamp"], read_bits(step))
        return self.post(path_of(form), fields)

    def _environment(self) -> dict[str, str]:
        return {"REMOTE_ADDR": self.ip, "HTTP_USER_AGENT": self.agent}


def path_of(form: SignupForm) -> str:
    return f"/f/{form.uuid}"


def read_fields(page: TestResponse) -> dict[str, str]:
    """Return the fields of a page's form, as a browser would send them."""
    inputs = soup(page).select("main form input[name]")
    return {str(field["name"]): str(field.get("value", "")) for field in inputs}


def read_bits(page: TestResponse) -> int:
    (found,) = soup(page).select("form[data-bits]")
    return int(str(found["data-bits"]))


def prove(stamp: str, bits: int) -> str:
    """Compute the proof of work like a browser."""
    for number in itertools.count():
        digest = hashlib.sha256(f"{stamp}:{number}".encode()).digest()
        if int.from_bytes(digest[:4]) >> (32 - bits) == 0:
            return str(number)
    raise AssertionError


def read_link(letter: Letter) -> str:
    """Return the path of the confirmation link in a letter."""
    found = re.search(r"http://sky\.example(/f/[\w-]+/confirm/\S+)", letter.text)
    assert found is not None, letter.text
    return found[1]


def only_link(smtp: SmtpServer) -> str:
    """Return the link in the only letter."""
    (letter,) = smtp.letters
    return read_link(letter)


def count_letters(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(OutboxLetter)) or 0


def normalize(page: str) -> str:
    """Return a page without its stamp, which contains the time."""
    return re.sub(r'name="stamp" value="[^"]*"', "", page)
