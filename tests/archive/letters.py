"""Create letters that have been sent."""

from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from skymailing.models import Delivery, MessageFormat, Run, User
from tests.support.factories import (
    ClientFactory,
    DeliveryFactory,
    MailingFactory,
    MessageFactory,
    RunFactory,
)


def send_letter(
    owner: User,
    body: str,
    *,
    subject: str = "News",
    format: MessageFormat = MessageFormat.MARKDOWN,
    client: dict[str, Any] | None = None,
    **values: Any,
) -> Delivery:
    """Create a finished run with one letter to a client with these values."""
    recipient = ClientFactory.create(owner=owner, **client or {})
    run = create_sent_run(owner, body, subject=subject, format=format, planned=1)
    return DeliveryFactory.create(run=run, client=recipient, **values)


def create_sent_run(owner: User, body: str, **values: Any) -> Run:
    """Create a finished run with this content, in a new mailing."""
    content = {"body": body, "subject": "News", "format": MessageFormat.MARKDOWN} | values
    names = ("subject", "format", "body")
    message = MessageFactory.create(owner=owner, **{name: content[name] for name in names})
    mailing = MailingFactory.create(owner=owner, message=message)
    return RunFactory.create(mailing=mailing, **content)


def publish(owner: FlaskClient, run: Run, **fields: str) -> TestResponse:
    """Submit the form with which an owner publishes a run."""
    return owner.post(f"/mailings/archive/runs/{run.id}", data=fields)
