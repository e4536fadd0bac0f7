"""Create objects of each kind for an owner, in the owner's database session."""

from collections.abc import Callable
from datetime import timedelta
from random import randrange
from typing import Any
from uuid import uuid4

from sqlalchemy import insert, inspect
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.db.engine import LARGEST_ID
from skymailing.models import (
    ApiKey,
    Archive,
    ArticleDraft,
    Bounce,
    BounceKind,
    Brand,
    BulkAction,
    BulkJob,
    BulkState,
    CaughtLetter,
    ClientImport,
    ClientNote,
    ClientUpload,
    DeliveryState,
    Layout,
    LinkCheck,
    MailingState,
    MessageFormat,
    MessageTemplate,
    Removal,
    RemovalKind,
    Reviewer,
    RunLink,
    SavedBlock,
    Security,
    Segment,
    Sender,
    SendingDomain,
    Signup,
    SmtpServer,
    SuppressionReason,
    Tag,
    Topic,
    User,
    WebhookCall,
    WebhookEndpoint,
    WebhookEvent,
)
from tests.support.api_factories import ApiKeyFactory
from tests.support.archives import ArchiveEntryFactory, ArchiveFactory
from tests.support.factories import (
    ArticleFactory,
    ClientFactory,
    DeliveryFactory,
    MailingFactory,
    MessageDraftFactory,
    MessageFactory,
    SuppressionFactory,
    create_run,
    create_tested_run,
)
from tests.support.files import attach, link_to
from tests.support.letter_factories import create_caught_letter, create_letter
from tests.support.signup_factories import SignupFormFactory

# A client removed by merging, as stored to undo the merge.
MERGED_CLIENT = {"email": "anna@m.example", "email_key": "anna@m.example", "full_name": "", "comment": ""} | {
    "attributes": {},
    "created_at": "2026-01-01T00:00:00+00:00",
    "mailings": [],
}
MERGED = {"removed": [MERGED_CLIENT], "kept": 0, "kept_key": "kept@example.org"}


def find_session(owner: User) -> Session:
    """Return the session that the owner belongs to."""
    session: Session | None = inspect(owner).session
    assert session is not None
    return session


def add(owner: User, item: Any) -> Any:
    """Store the item in the owner's session, and return it."""
    session = find_session(owner)
    session.add(item)
    session.flush()
    return item


def make_client(owner: User) -> Any:
    return ClientFactory.create(owner=owner)


def make_message(owner: User) -> Any:
    return MessageFactory.create(owner=owner)


def make_message_file(owner: User) -> Any:
    return attach(make_message(owner), b"content")


def make_file_link(owner: User) -> Any:
    return link_to(owner, b"content")


def make_draft(owner: User) -> Any:
    return MessageDraftFactory.create(owner_id=owner.id)


def make_saved_block(owner: User) -> Any:
    block = SavedBlock(owner_id=owner.id, name="Line", block='{"id": "a", "type": "divider"}')
    return add(owner, block)


def make_template(owner: User) -> Any:
    template = MessageTemplate(
        owner_id=owner.id, name="News", subject="News", format=MessageFormat.TEXT, body="Hello"
    )
    return add(owner, template)


def make_layout(owner: User) -> Any:
    layout = Layout(owner_id=owner.id, name="Frame", format="html", body="{{ content }}")
    return add(owner, layout)


def make_archive_entry(owner: User) -> Any:
    if find_session(owner).get(Archive, owner.id) is None:
        ArchiveFactory.create(owner=owner, slug=f"archive-{owner.id}")
    return ArchiveEntryFactory.create(run=make_run(owner))


def make_mailing(owner: User) -> Any:
    mailing = MailingFactory.create(owner=owner, state=MailingState.PAUSED)
    create_run(mailing, {DeliveryState.FAILED: 1})
    return mailing


def make_import(owner: User) -> Any:
    import_ = ClientImport(owner_id=owner.id, filename="clients.csv", content=b"email\n")
    return add(owner, import_)


def make_upload(owner: User) -> Any:
    upload = ClientUpload(owner_id=owner.id, filename="clients.csv", content=b"email\n")
    return add(owner, upload)


def make_bounce(owner: User) -> Any:
    values = {"email_key": "doubtful@example.org", "kind": BounceKind.HARD, "received_at": utcnow()}
    bounce = Bounce(owner_id=owner.id, **values)
    return add(owner, bounce)


def make_suppression(owner: User) -> Any:
    return SuppressionFactory.create(
        owner_id=owner.id, email_key="stopped@example.org", reason=SuppressionReason.MANUAL
    )


def make_note(owner: User) -> Any:
    note = ClientNote(owner_id=owner.id, client_id=make_client(owner).id, text="Called on Monday")
    return add(owner, note)


def make_tag(owner: User) -> Any:
    name = f"loyal-{uuid4()}"
    # The ID is new, because SQLite gives the ID of a deleted tag to the next one.
    tag = Tag(id=randrange(10**6, LARGEST_ID), owner_id=owner.id, name=name, name_key=name)
    return add(owner, tag)


def make_topic(owner: User) -> Any:
    name = f"news-{uuid4()}"
    return add(owner, Topic(owner_id=owner.id, name=name, name_key=name))


def make_bulk_job(owner: User) -> Any:
    ended = {"state": BulkState.FINISHED, "ended_at": utcnow()}
    job = BulkJob(owner_id=owner.id, action=BulkAction.SUPPRESS, total=1, changed=1, **ended)
    return add(owner, job)


def make_removal(kind: RemovalKind, content: dict[str, Any]) -> Callable[[User], Any]:
    def make(owner: User) -> Any:
        removal = Removal(owner_id=owner.id, kind=kind, content=content)
        return add(owner, removal)

    return make


def make_article(author: User) -> Any:
    return ArticleFactory.create(author=author)


def make_article_draft(author: User) -> Any:
    draft = ArticleDraft(author_id=author.id, fields={"title": "Draft", "body": "Text"}, saved_at=utcnow())
    return add(author, draft)


def make_sender(owner: User) -> Any:
    key = f"news@{uuid4().hex}.example"
    sender = Sender(owner_id=owner.id, name="News", address=key, address_key=key)
    return add(owner, sender)


def make_reviewer(owner: User) -> Any:
    key = f"colleague@{uuid4().hex}.example"
    return add(owner, Reviewer(owner_id=owner.id, address=key, address_key=key))


def make_link_check(owner: User) -> Any:
    return add(
        owner, LinkCheck(owner_id=owner.id, links=[{"url": "https://a.example/"}], requested_at=utcnow())
    )


def make_form(owner: User) -> Any:
    return SignupFormFactory.create(owner=owner)


def make_signup(owner: User) -> Any:
    form = make_form(owner)
    times = {"requested_at": utcnow(), "expires_at": utcnow() + timedelta(days=7)}
    address = {"email": "new@example.org", "email_key": "new@example.org"}
    return add(owner, Signup(owner_id=owner.id, form_id=form.id, **address, **times))


def make_brand(owner: User) -> Any:
    return add(owner, Brand(owner_id=owner.id, logo_name=f"{uuid4().hex}-10x10.png", logo=b"picture"))


def make_domain(owner: User) -> Any:
    name = f"{uuid4().hex}.example"
    return add(owner, SendingDomain(owner_id=owner.id, name=name, token=uuid4().hex))


def make_server(owner: User) -> Any:
    access = {"host": "smtp.shop.example", "port": 465, "security": Security.TLS}
    return add(owner, SmtpServer(owner_id=owner.id, name="Shop", **access))


def make_webhook(owner: User) -> Any:
    values = {"url": "https://shop.example/hook", "events": ["run.finished"], "encrypted_secret": ""}
    return add(owner, WebhookEndpoint(owner_id=owner.id, **values))


def make_webhook_call(owner: User) -> Any:
    event = add(owner, WebhookEvent(owner_id=owner.id, type="run.finished", data={}))
    # An ID that no other call had: SQLite gives that of a deleted call to the next one.
    id = randrange(10**6, LARGEST_ID)
    endpoint_id = make_webhook(owner).id
    return add(owner, WebhookCall(id=id, owner_id=owner.id, event_id=event.id, endpoint_id=endpoint_id))


def make_segment(owner: User) -> Any:
    session = find_session(owner)
    values = {"owner_id": owner.id, "name": "Omsk", "conditions": {"field": "email", "op": "is_set"}}
    # SQLite gives the ID of a deleted segment to the next one, and the session may still contain the deleted
    # one.
    id = session.scalar(insert(Segment).values(values).returning(Segment.id))
    return session.get_one(Segment, id, populate_existing=True)


def make_run(owner: User) -> Any:
    return create_run(MailingFactory.create(owner=owner), {DeliveryState.SENT: 1})


def make_tracked_run(owner: User) -> Any:
    """Create a run with a counted link, so that its letter has a map."""
    run = create_run(MailingFactory.create(owner=owner), {DeliveryState.SENT: 1}, track_clicks=True)
    find_session(owner).add(RunLink(run_id=run.id, number=1, url="https://shop.example/"))
    return run


def make_tested_run(owner: User) -> Any:
    mailing = MailingFactory.create(owner=owner, state=MailingState.RUNNING)
    return create_tested_run(mailing, {DeliveryState.PENDING: 1})


def make_delivery(owner: User) -> Any:
    return DeliveryFactory.create(run__mailing__owner=owner)


def make_letter(owner: User) -> Any:
    return create_letter(owner)  # its delivery, whose ID is the letter's


def make_caught_letter(owner: User) -> CaughtLetter:
    return create_caught_letter(owner)


def make_api_key(owner: User) -> ApiKey:
    return ApiKeyFactory.create(owner=owner)
