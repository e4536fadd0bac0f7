"""Save and read the variants of a mailing."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from sqlalchemy import delete, select

from skymailing.delivery.composition.current import read_current
from skymailing.delivery.rendering.content import Content
from skymailing.delivery.variants.contents import list_variants
from skymailing.extensions import db
from skymailing.models import Mailing, MailingVariant, Message, User
from skymailing.outbox.services import TestLetterContent

SAMPLE_LIMITS = (10, 50)  # percent
MAX_TEST_HOURS = 72  # hours
SUBJECT_MAX_LENGTH = 500


@dataclass(frozen=True, slots=True)
class VariantValues:
    """The changes in a variant; empty fields are as in the mailing."""

    subject: str = ""
    sender_name: str = ""
    message_id: int | None = None


def letter_of(number: int) -> str:
    """Return the letter of the alphabet by which pages name a variant: A for the first."""
    return "ABCD"[number - 1]


def read_variants(mailing: Mailing) -> tuple[VariantValues, ...]:
    """Return the variants of a mailing other than A, in order."""
    return tuple(
        VariantValues(variant.subject, variant.sender_name, variant.message_id)
        for variant in list_variants(db.session(), mailing.id)
    )


def read_all_variants(mailing_ids: Sequence[int]) -> dict[int, list[VariantValues]]:
    """Return the variants of several mailings, by the ID of the mailing."""
    rows = select(MailingVariant).where(MailingVariant.mailing_id.in_(mailing_ids))
    found: dict[int, list[VariantValues]] = {}
    for variant in db.session.scalars(rows.order_by(MailingVariant.mailing_id, MailingVariant.number)):
        values = VariantValues(variant.subject, variant.sender_name, variant.message_id)
        found.setdefault(variant.mailing_id, []).append(values)
    return found


def save_variants(mailing: Mailing, variants: Sequence[VariantValues]) -> None:
    """Replace the variants of a mailing."""
    db.session.execute(delete(MailingVariant).where(MailingVariant.mailing_id == mailing.id))
    rows = [
        MailingVariant(mailing_id=mailing.id, number=number, **asdict(variant))
        for number, variant in enumerate(variants, 2)
    ]
    db.session.add_all(rows)
    db.session.flush()


def list_test_letters(
    message_id: int, sender_name: str, variants: Sequence[VariantValues]
) -> list[TestLetterContent]:
    """Return the test letters of a mailing: one, or one for each of its variants."""
    if not variants:
        return [TestLetterContent(message_id, sender_name)]
    return [
        TestLetterContent(
            variant.message_id or message_id,
            variant.sender_name or sender_name,
            variant.subject,
            letter_of(number),
        )
        for number, variant in enumerate([VariantValues(), *variants], 1)
    ]


def list_contents(
    owner: User, message: Message, variants: Sequence[VariantValues]
) -> list[tuple[str, Content]]:
    """Return the content of the variants of a mailing with this message, by name (A to D).

    Variants whose message does not exist are skipped.
    """
    ids = {variant.message_id for variant in variants}
    own = select(Message).where(Message.owner_id == owner.id, Message.id.in_(ids))
    messages: dict[int | None, Message] = {found.id: found for found in db.session.scalars(own)}
    messages[None] = message
    return [
        (
            letter_of(number),
            replace(read_current(db.session, found), subject=variant.subject or found.subject),
        )
        for number, variant in enumerate(variants, 2)
        if (found := messages.get(variant.message_id)) is not None
    ]


def read_subjects(
    owner_id: int, message_id: int | None, variants: Sequence[VariantValues]
) -> Mapping[int, str]:
    """Return the subjects of the messages that the variants of a mailing use, by ID."""
    ids = {message_id, *(variant.message_id for variant in variants)} - {None}
    own = select(Message.id, Message.subject).where(Message.owner_id == owner_id, Message.id.in_(ids))
    return dict(db.session.execute(own).tuples().all())


def find_unknown_messages(owner_id: int, variants: Sequence[VariantValues]) -> set[int]:
    """Return the variants' messages that the owner does not have; locks the others against deletion."""
    chosen = {variant.message_id for variant in variants if variant.message_id}
    if not chosen:
        return set()
    own = select(Message.id).where(Message.owner_id == owner_id, Message.id.in_(chosen)).order_by(Message.id)
    return chosen - set(db.session.scalars(own.with_for_update(read=True, key_share=True)))
