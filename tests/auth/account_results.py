"""Add a note, a recipient's click, the results of an A/B test, webhooks, files and articles to an account."""

from collections.abc import Sequence

from sqlalchemy import insert, select
from sqlalchemy.orm import Session, object_session

from skymailing.clock import utcnow
from skymailing.models import (
    ArticleDraft,
    Click,
    Client,
    ClientNote,
    Delivery,
    DistinctGroup,
    Engagement,
    LetterContent,
    LetterFile,
    LinkCheck,
    Mailing,
    MailingVariant,
    MessageFormat,
    Purchase,
    Reviewer,
    Run,
    RunFile,
    RunLink,
    User,
    WebhookCall,
    WebhookEndpoint,
    WebhookEvent,
    distinct_clients,
)
from tests.support.factories import ArticleFactory, RunVariantFactory
from tests.support.files import attach, link_to


def add_remarks(session: Session, clients: Sequence[Client]) -> None:
    """Add a note about the first client, and a group that declares the clients to be different people."""
    first = clients[0]
    session.add(ClientNote(owner_id=first.owner_id, client_id=first.id, text="Called on Monday"))
    group = DistinctGroup(owner_id=first.owner_id)
    session.add(group)
    session.flush()
    rows = [{"group_id": group.id, "client_id": client.id} for client in clients]
    session.execute(insert(distinct_clients), rows)


def add_sale(session: Session, run: Run, client: Client) -> None:
    """Add a link of the run, one recipient's click on it, and the client's purchase."""
    session.flush()
    delivery_id = session.scalars(select(Delivery.id).where(Delivery.run_id == run.id).limit(1)).one()
    key = {"delivery_id": delivery_id, "run_id": run.id}
    session.add(
        RunLink(
            run_id=run.id, number=1, url="https://shop.example/sale", label="Sale", clicks=1, variants=0b101
        )
    )
    session.add(Click(**key, number=1, first_at=0, last_at=0, clicks=1))
    session.add(Engagement(**key, mailing_id=run.mailing_id, clicks=1, first_click_at=1_764_000_000_000))
    about = {"owner_id": client.owner_id, "client_id": client.id, "order_number": "1001"}
    credited = {"run_id": run.id, "mailing_id": run.mailing_id}
    session.add(Purchase(**about, **credited, amount=149990, currency="RUB", purchased_at=utcnow()))
    session.flush()


def add_article(session: Session, user: User) -> None:
    """Add an article, and the author's unsaved changes to it."""
    article = ArticleFactory.create(author=user)
    draft = ArticleDraft(author_id=user.id, article_id=article.id, fields={"title": "New"}, saved_at=utcnow())
    session.add(draft)
    session.add(LinkCheck(owner_id=user.id, links=[{"url": "https://a.example/"}], requested_at=utcnow()))
    session.add(Reviewer(owner_id=user.id, address="Colleague@a.example", address_key="colleague@a.example"))


def add_test(session: Session, mailing: Mailing, run: Run) -> None:
    """Add a variant of the mailing, and the results of a test."""
    session.add(MailingVariant(mailing_id=mailing.id, number=2, subject="Autumn is here"))
    mailing.sample_percent = 20
    run.test_ends_at, run.winner_by, run.winner = utcnow(), "clicks", 2
    for number, subject in ((1, "Autumn"), (2, "Autumn is here")):
        RunVariantFactory.create(run=run, number=number, subject=subject)
    session.scalars(select(Delivery).where(Delivery.run_id == run.id).limit(1)).one().variant = 2


def add_webhook(session: Session, user: User) -> None:
    """Add a webhook with a call."""
    url = {"url": "https://shop.example/hook", "encrypted_secret": "secret"}
    endpoint = WebhookEndpoint(owner_id=user.id, events=["run.finished"], **url)
    event = WebhookEvent(owner_id=user.id, type="run.finished", data={"planned": 3})
    session.add_all([endpoint, event])
    session.flush()
    session.add(WebhookCall(owner_id=user.id, event_id=event.id, endpoint_id=endpoint.id, last_response="ok"))
    session.flush()


def add_files(mailing: Mailing, run: Run) -> None:
    """Attach a file to the message of a mailing, its run and a letter; link to another file."""
    session = object_session(run)
    assert session is not None
    file = attach(mailing.message, b"attached", "Прайс.pdf")
    values = {"file_id": file.file_id, "name": file.name, "content_type": file.content_type}
    session.add(RunFile(run_id=run.id, variant=0, position=0, **values))
    content = LetterContent(owner_id=mailing.owner_id, digest="0" * 64, subject="Order", body="Total: 1")
    content.format, content.used_at = MessageFormat.TEXT, utcnow()
    session.add(content)
    session.flush()
    session.add(LetterFile(content_id=content.id, position=0, **values))
    link_to(mailing.owner, b"linked", "menu.pdf")
