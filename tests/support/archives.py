"""Create published letters, and links to clients' own letters."""

from factory.declarations import LazyAttribute, Sequence, SubFactory
from flask import Flask

from skymailing.delivery.rendering.letter_links import letter_link_key, make_letter_token
from skymailing.delivery.rendering.message_ids import RunIdentity
from skymailing.models import Archive, ArchiveEntry, Delivery
from tests.support.factories import ModelFactory, RunFactory, UserFactory


class ArchiveFactory(ModelFactory[Archive]):
    class Meta:
        model = Archive

    owner = SubFactory(UserFactory)
    slug = Sequence(lambda n: f"archive-{n}")


class ArchiveEntryFactory(ModelFactory[ArchiveEntry]):
    """A published run; visitors find it only if its owner has an archive."""

    class Meta:
        model = ArchiveEntry
        exclude = ("run",)

    run = SubFactory(RunFactory)
    run_id = LazyAttribute(lambda entry: entry.run.id)
    mailing_id = LazyAttribute(lambda entry: entry.run.mailing_id)
    owner_id = LazyAttribute(lambda entry: entry.run.mailing.owner_id)
    slug = Sequence(lambda n: f"letter-{n}")
    title = Sequence(lambda n: f"Письмо {n}")
    html = "<!DOCTYPE html><html><head></head><body><p>Здравствуйте!</p></body></html>"
    sent_at = LazyAttribute(lambda entry: entry.run.started_at)


def link_to(app: Flask, delivery: Delivery) -> str:
    """Return the path under which a delivery's letter can be viewed."""
    with app.app_context():
        mark = RunIdentity(delivery.run.uuid).mark
        return f"/v/{make_letter_token(delivery.id, mark, letter_link_key())}"
