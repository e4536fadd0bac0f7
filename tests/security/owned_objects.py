"""Create an owner's objects on demand, and sign in the people who request them."""

import io
from collections.abc import Iterator
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from PIL import Image
from sqlalchemy.orm import Session

from skymailing.blog.images import store_image
from skymailing.clock import utcnow
from skymailing.delivery.rendering.click_tokens import ClickSigner
from skymailing.messages.pictures import add_picture, write_file
from skymailing.models import Mailing, RunLink, User
from skymailing.outbox.reviewer_tokens import make_reviewer_token
from skymailing.outbox.sender_tokens import make_sender_token
from skymailing.outbox.signup_letters import make_signup_token
from skymailing.tokens import NEW_EMAIL, RESET, VERIFY, account_token, unsubscribe_token
from tests.conftest import WEBHOOK_SECRET, SignIn
from tests.security.decisions import (
    ACCESS,
)
from tests.security.object_factories import (
    make_archive_entry,
    make_article,
    make_brand,
    make_delivery,
    make_file_link,
    make_mailing,
    make_reviewer,
    make_sender,
    make_signup,
    make_topic,
    make_tracked_run,
)
from tests.security.rules import Person
from tests.support.archives import link_to
from tests.support.factories import UserFactory

VERBS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
SAFE = {"GET", "HEAD"}


def sign_in_person(
    person: Person, app: Flask, session: Session, sign_in: SignIn
) -> tuple[FlaskClient, User | None]:
    """Return a person's browser and account; sign people in before blocking or unconfirming them."""
    if person is Person.VISITOR:
        return app.test_client(), None
    user = UserFactory.create(role=person.role)
    browser = sign_in(user)
    if person is Person.BLOCKED:
        user.blocked_at = utcnow()
    if person is Person.UNCONFIRMED:
        user.confirmed_at = None
    session.flush()
    return browser, user


# Arguments of routes whose pages belong to no one.
FIXED_ARGUMENTS = {
    "static": {"filename": "css/site.css"},
    "hooks.receive": {"provider": "brevo", "secret": WEBHOOK_SECRET},
    "brand.colors": {"digits": "c0392b"},
    "api_docs.guide": {"name": "webhooks"},
    "brand.fonts": {"name": "georgia"},
    "help.page": {"slug": "import"},
    "messages.starter_picture": {"name": "cafe.png"},
}


class OwnedObjects:
    """The owner's objects, with the URL arguments and form fields that each route needs."""

    def __init__(self, app: Flask, session: Session, owner: User) -> None:
        self.app, self.session, self.owner = app, session, owner
        self.created: dict[Any, Any] = {}

    def make(self, factory: Any) -> Any:
        """Return the owner's object from this factory, created at the first call."""
        if factory not in self.created:
            self.created[factory] = factory(self.owner)
            self.session.flush()
        return self.created[factory]

    def get_object(self, endpoint: str) -> Any:
        """Return the object in the route's URL, or None."""
        access = ACCESS[endpoint]
        return None if isinstance(access, str) or not access.make else self.make(access.make)

    def arguments(self, endpoint: str) -> dict[str, Any]:
        """Return the arguments for the route's URL."""
        access = ACCESS[endpoint]
        if not isinstance(access, str):
            return {access.argument: self.get_object(endpoint).id} if access.argument else {}
        with self.app.test_request_context():
            if endpoint.startswith("archive."):
                return self._make_archive_arguments(endpoint)
            if endpoint.startswith("tracking."):
                return self._make_click_arguments(endpoint)
            if arguments := self._make_file_arguments(endpoint):
                return arguments
            token = self._make_token(endpoint)
            if endpoint.startswith("signup."):
                uuid = self.make(make_signup).form.uuid
                return {"uuid": uuid, "token": token} if token else {"uuid": uuid}
        return {"token": token} if token else {}

    def _make_file_arguments(self, endpoint: str) -> dict[str, Any]:
        """Return the arguments of a route without a token; empty if it has none."""
        if endpoint in FIXED_ARGUMENTS:
            return FIXED_ARGUMENTS[endpoint]
        match endpoint:
            case "blog.article":
                return {"slug": self.make(make_article).slug}
            case "brand.logo":
                return {"name": self.make(make_brand).logo_name}
            case "blog.media":
                return {"name": store_image(make_picture())}
            case "messages.picture":
                return {"name": add_picture(self.owner.id, write_file(make_picture()), utcnow()).name}
            case "messages.linked_file":
                return {"token": self.make(make_file_link).token}
        return {}

    def _make_click_arguments(self, endpoint: str) -> dict[str, Any]:
        run = self.make(make_tracked_run)
        self.session.merge(RunLink(run_id=run.id, number=1, url="https://shop.example/"))
        self.session.flush()
        token = ClickSigner(run.id, run.uuid).make_token(1)
        return {"token": token, "number": 1} if endpoint == "tracking.click" else {"token": token}

    def _make_archive_arguments(self, endpoint: str) -> dict[str, Any]:
        entry = self.make(make_archive_entry)
        address = {"archive_slug": f"archive-{entry.owner_id}"}
        return address | {"slug": entry.slug} if endpoint == "archive.entry" else address

    def _make_token(self, endpoint: str) -> str:
        """Return the token in the route's URL; empty if it has none."""
        match endpoint:
            case "auth.verify" | "auth.verify_with_new_password":
                return account_token(VERIFY, self.owner)
            case "auth.reset":
                return account_token(RESET, self.owner)
            case "auth.confirm_email":
                return account_token(NEW_EMAIL, self.owner, email="new@example.org")
            case "signup.confirm":
                return make_signup_token(self.make(make_signup))
            case "senders.confirm":
                return make_sender_token(self.make(make_sender))
            case "messages.confirm_reviewer":
                return make_reviewer_token(self.make(make_reviewer))
            case "letters.show":
                return link_to(self.app, self.make(make_delivery)).rpartition("/")[2]
            case "unsubscribe.page" | "unsubscribe.undo" | "unsubscribe.give_reason" | "preferences.page":
                return unsubscribe_token(self.owner.id, "someone@example.org")
        return ""

    def form(self, endpoint: str) -> dict[str, Any]:
        """Return the fields of all forms combined, so that each route can perform its action."""
        mailing: Mailing = self.make(make_mailing)
        topic = self.make(make_topic)
        is_about_users = endpoint.startswith("manager_users.")
        return {
            "id": self.owner.id if is_about_users else mailing.id,
            "owner_id": 1,
            "role": "admin",
            "reason": "Spam reports",
            "title": "Taken over",
            "name": "Taken over",
            "subject": "Taken over",
            "body": "Taken over",
            "text": "Taken over",
            "format": "text",
            "email": "taken.over@example.com",
            "full_name": "Taken over",
            "state": "draft",
            "topic": topic.id,
            "message": mailing.message_id,
            "confirmed": "1",
            "decision": "resend",
            "publish": "1",
            "clicked": "yes",
            "variant": "2",
            "conditions": '{"field": "comment", "op": "is_set"}',
        }

    def path(self, endpoint: str) -> str:
        with self.app.test_request_context():
            return self.app.url_for(endpoint, **self.arguments(endpoint))


def make_picture() -> io.BytesIO:
    file = io.BytesIO()
    Image.new("RGB", (32, 32), "teal").save(file, "PNG")
    file.seek(0)
    return file


def list_methods(app: Flask, endpoint: str) -> Iterator[str]:
    """Yield the methods of an endpoint, without OPTIONS, which Flask handles itself."""
    for rule in app.url_map.iter_rules(endpoint):
        yield from sorted((rule.methods or set()) - {"OPTIONS"})
