"""Create data for a user in every table, and list what is stored about the user."""

from datetime import timedelta
from typing import Any

from sqlalchemy import func, insert, inspect, select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.models import (
    Audience,
    AuditAction,
    AuditEntry,
    AuditKind,
    Bounce,
    BounceKind,
    Brand,
    BulkAction,
    BulkChunk,
    BulkJob,
    BulkState,
    Client,
    ClientImport,
    ClientUpload,
    Consent,
    ConsentKind,
    ConsentText,
    Delivery,
    DeliveryState,
    FormDay,
    ImportRejection,
    ImportState,
    LetterState,
    Mailing,
    MailingAudience,
    MailingState,
    OptOut,
    OutboxLetter,
    Proof,
    Reputation,
    ReturnedLetter,
    ReturnedState,
    Route,
    Run,
    RunState,
    Security,
    Segment,
    Sender,
    Signup,
    SmtpServer,
    Suppression,
    Tag,
    User,
    client_forms,
    client_tags,
    mailing_clients,
)
from tests.auth.account_results import add_article, add_files, add_remarks, add_sale, add_test, add_webhook
from tests.support.api_factories import ApiKeyFactory, IdempotentRequestFactory
from tests.support.archives import ArchiveEntryFactory, ArchiveFactory
from tests.support.factories import (
    AttemptFactory,
    DeliveryFactory,
    MailingFactory,
    RunFactory,
    SuppressionFactory,
    UserFactory,
    create_clients,
    create_run,
)
from tests.support.signup_factories import SignupFormFactory, TopicChoiceFactory, TopicFactory


def create_account_data(session: Session, user: User, network_address: str = "192.0.2.7") -> Mailing:
    """Create rows of every kind for the user; return a finished mailing to three clients."""
    clients = create_clients(user, 3, comment="=1+1", attributes={"city": "Тула"})
    mailing: Mailing = MailingFactory.create(
        owner=user, state=MailingState.FINISHED, audience=Audience.SELECTED, name="Осень"
    )
    session.execute(
        insert(mailing_clients), [{"mailing_id": mailing.id, "client_id": client.id} for client in clients]
    )
    run = RunFactory.create(mailing=mailing, planned=3, finished_at=utcnow(), body="Привет")
    for client in clients:
        AttemptFactory.create(delivery=DeliveryFactory.create(run=run, client=client, attempts=1))
    SuppressionFactory.create(owner_id=user.id, email_key="gone@example.org")
    add_tags(session, user, clients[0])
    add_topic(session, user, mailing, run)
    add_import(session, user)
    job = BulkJob(owner_id=user.id, action=BulkAction.TAG, tag="vip", state=BulkState.RUNNING, total=3)
    session.add(job)
    session.flush()
    session.add(BulkChunk(job_id=job.id, number=0, content=[client.id for client in clients]))
    add_consent(session, user)
    session.add(
        OutboxLetter(user_id=user.id, to=user.email, template="verify-address", state=LetterState.SENT)
    )
    add_returned_letter(session, user, run, clients[0])
    add_sale(session, run, clients[0])
    add_remarks(session, clients[:2])
    add_test(session, mailing, run)
    add_published_letter(user, run)
    session.add(Reputation(owner_id=user.id, paused_at=utcnow(), pause_reason="too-many-bounces: 60/1000"))
    add_segment(session, user, mailing)
    add_sender(session, user, mailing)
    add_form(session, user, clients[0])
    add_webhook(session, user)
    add_audit_entries(session, user, network_address)
    add_api_key(user)
    add_article(session, user)
    add_files(mailing, run)
    return mailing


def add_api_key(user: User) -> None:
    ApiKeyFactory.create(owner=user, name="Shop")
    IdempotentRequestFactory.create(owner_id=user.id)


def add_import(session: Session, user: User) -> None:
    """Add a finished import with a rejected row, and an uploaded file."""
    imported = ClientImport(owner_id=user.id, filename="a.csv", state=ImportState.FINISHED)
    session.add(imported)
    session.flush()
    session.add(ClientUpload(owner_id=user.id, filename="a.csv", content=b"email\n", mapping={}))
    session.add(ImportRejection(import_id=imported.id, line=2, value="anna@", reason="no address"))


def add_consent(session: Session, user: User) -> None:
    """Add the consent of an imported person, with the owner's description."""
    text = ConsentText(owner_id=user.id, digest="0" * 64, text="Asked in the shop")
    session.add(text)
    session.flush()
    consent = {"owner_id": user.id, "email_key": "anna@example.org", "at": utcnow(), "text_id": text.id}
    session.add(Consent(kind=ConsentKind.IMPORTED, **consent))


def add_published_letter(user: User, run: Run) -> None:
    """Add an archive that contains the run's letter."""
    ArchiveFactory.create(owner=user, slug=f"shop-{user.id}")
    ArchiveEntryFactory.create(run=run, title="Published", html="<p>News</p>")


def add_returned_letter(session: Session, user: User, run: Run, client: Client) -> None:
    """Add a letter that was returned because the client's mailbox is full."""
    letter = ReturnedLetter(
        digest=f"{user.id:064}",
        source="pipe",
        received_at=utcnow(),
        raw=b"x",
        state=ReturnedState.UNDERSTOOD,
        owner_id=user.id,
    )
    session.add(letter)
    session.flush()
    values = {"run_id": run.id, "mailing_id": run.mailing_id, "kind": BounceKind.SOFT, "proof": Proof.SIGNED}
    delivery_id = session.scalars(select(Delivery.id).where(Delivery.client_id == client.id)).one()
    session.add(
        Bounce(
            delivery_id=delivery_id,
            letter_id=letter.id,
            owner_id=user.id,
            email_key=client.email_key,
            diagnostic="552 mailbox full",
            received_at=utcnow(),
            **values,
        )
    )


def add_tags(session: Session, user: User, client: Client) -> None:
    """Add a tag that the client has, and one that no client has."""
    tags = [Tag(owner_id=user.id, name=name, name_key=name) for name in ("vip", "unused")]
    session.add_all(tags)
    session.flush()
    session.execute(insert(client_tags).values(tag_id=tags[0].id, client_id=client.id))


def add_topic(session: Session, user: User, mailing: Mailing, run: Run) -> None:
    """Add the mailing's topic, and a person who unsubscribed from it and gave a reason."""
    topic = TopicFactory.create(owner=user, name="Offers")
    mailing.topic_id = run.topic_id = topic.id
    TopicChoiceFactory.create(topic=topic, email_key="left@example.org")
    values = {"email_key": "left@example.org", "reason": "other", "comment": "moved to Tver"}
    session.add(OptOut(owner_id=user.id, topic_id=topic.id, **values))
    session.flush()


def add_segment(session: Session, user: User, mailing: Mailing) -> None:
    """Add a segment that the mailing excludes."""
    segment = Segment(owner_id=user.id, name="Tula", conditions={"field": "tag", "op": "is", "value": "vip"})
    session.add(segment)
    session.flush()
    session.add(MailingAudience(mailing_id=mailing.id, position=0, is_excluded=True, segment_id=segment.id))


def add_sender(session: Session, user: User, mailing: Mailing) -> None:
    """Add the sender of the mailing, with a mail server and the data collected about it, and the brand."""
    access = {"host": "smtp.shop.example", "port": 465, "security": Security.TLS}
    server = SmtpServer(owner_id=user.id, name="Shop", **access)
    session.add(server)
    session.flush()
    session.add(Route(name=server.route, last_fault="535 wrong password"))
    sender = Sender(
        owner_id=user.id,
        name="Shop",
        address="News@shop.example",
        address_key="news@shop.example",
        server_id=server.id,
    )
    session.add(sender)
    session.add(Brand(owner_id=user.id, name="The Shop", logo=b"picture"))
    session.flush()
    mailing.sender_id = sender.id
    session.flush()


def add_form(session: Session, user: User, client: Client) -> None:
    """Add a sign-up form, through which the client subscribed, and a request that is not confirmed."""
    form = SignupFormFactory.create(owner=user, name="Footer", consent_text="I agree")
    form.tags = list(session.scalars(select(Tag).where(Tag.owner_id == user.id, Tag.name == "vip")))
    session.execute(insert(client_forms).values(form_id=form.id, client_id=client.id))
    session.add(FormDay(form_id=form.id, day=utcnow().date(), requested=2, confirmed=1))
    signup = {"email": "New@example.org", "email_key": "new@example.org", "values": {"full_name": "Nina"}}
    times = {"requested_at": utcnow(), "expires_at": utcnow() + timedelta(days=7)}
    session.add(Signup(owner_id=user.id, form_id=form.id, ip="192.0.2.9", **signup, **times))
    session.flush()


def add_audit_entries(session: Session, user: User, network_address: str) -> None:
    """Add two actions of the user and one of a manager on their account."""
    for action, kind, id, target in (
        (AuditAction.CLIENT_DELETED, AuditKind.CLIENT, 5, "somebody@example.org"),
        (AuditAction.CLIENTS_EXPORTED, AuditKind.USER, user.id, user.email),
    ):
        session.add(
            AuditEntry(
                actor_id=user.id,
                actor=user.email,
                address=network_address,
                action=action,
                kind=kind,
                target_id=id,
                target=target,
            )
        )
    session.add(
        AuditEntry(
            actor_id=user.id + 1,
            actor="manager@sky.example",
            address="192.0.2.8",
            action=AuditAction.USER_BLOCKED,
            kind=AuditKind.USER,
            target_id=user.id,
            target=user.email,
            reason="spam",
        )
    )


def count_rows(session: Session, user_id: int) -> dict[str, int]:
    """Return how many rows of each table belong to the user, following foreign keys."""
    session.expire_all()
    owned: dict[str, set[Any]] = {"users": {user_id}}
    users = session.scalar(select(func.count()).where(User.id == user_id)) or 0
    for table in db.metadata.sorted_tables:
        for column in table.columns:
            for key in column.foreign_keys:
                parent = key.column.table.name
                if parent in owned and parent != table.name and owned[parent]:
                    names = list(table.primary_key.columns)
                    found = session.execute(select(*names).where(column.in_(owned[parent])))
                    owned.setdefault(table.name, set()).update(row[0] for row in found)
    del owned["users"]
    found_rows = {name: len(keys) for name, keys in owned.items() if keys}
    return found_rows | ({"users": users} if users else {})


def create_sending_run(owner: User) -> Run:
    """Create a run that is being sent, with letters in the queue."""
    mailing = MailingFactory.create(owner=owner, state=MailingState.RUNNING)
    counts = {DeliveryState.SENT: 2, DeliveryState.PENDING: 3, DeliveryState.DEFERRED: 1}
    return create_run(mailing, counts, state=RunState.SENDING)


def create_user_due_for_deletion(**values: Any) -> User:
    """Create a user whose grace period is over."""
    user: User = UserFactory.create(deletion_at=utcnow() - timedelta(seconds=1), **values)
    return user


def list_all_values(session: Session) -> list[Any]:
    """Return all values of the tables with personal data, to search them for deleted values."""
    return [
        value
        for model in (User, Client, Suppression, AuditEntry, OutboxLetter)
        for row in session.scalars(select(model))
        for value in (getattr(row, column.key) for column in inspect(row).mapper.column_attrs)
    ]
