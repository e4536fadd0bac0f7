"""Simulate the authenticator app on a user's phone."""

import re

import pyotp
from flask.testing import FlaskClient

from skymailing.clock import utcnow
from tests.support.factories import PASSWORD

PAGE = "/auth/profile/second-step"


class App:
    """An app that has turned on two-factor authentication in a browser; stores its key and recovery codes."""

    def __init__(self, browser: FlaskClient) -> None:
        response = browser.post(PAGE, data={"current_password": PASSWORD}, follow_redirects=True)
        key = re.search(r"<code>([A-Z2-7 ]+)</code>", response.text)
        assert key is not None, response.text
        self.secret = key[1].replace(" ", "")
        response = browser.post(f"{PAGE}/setup", data={"code": self.code()})
        self.recovery = re.findall(r"<li><code>([a-z2-7-]+)</code></li>", response.text)
        assert len(self.recovery) == 10, response.text

    def code(self, ahead: int = 0) -> str:
        return pyotp.TOTP(self.secret).at(utcnow(), counter_offset=ahead)
