"""Check whether a message is likely to reach the inbox (`checkup`)."""

from collections.abc import Iterable
from dataclasses import replace

from sqlalchemy import func, select

from skymailing.checkup.letters import Letter, read_host, read_links, read_picture_urls
from skymailing.checkup.registry import LETTER_CHECKS, run_checks
from skymailing.checkup.results import Checked
from skymailing.checkup.storing import remember
from skymailing.delivery.audience.flags import check_flags, make_reader
from skymailing.delivery.composition.errors import InvalidSource
from skymailing.delivery.composition.readability import Finding
from skymailing.delivery.rendering.letter import (
    EXAMPLE,
    Content,
    Recipient,
    Sender,
    TemplateError,
)
from skymailing.delivery.rendering.values import ValueFormats
from skymailing.delivery.senders import From, service_address
from skymailing.extensions import db
from skymailing.messages.letter_insight import Insight, inspect_letter
from skymailing.messages.readability import find_findings
from skymailing.messages.starters import EXAMPLE_SITE
from skymailing.models import Brand, Client, Message, MessagePicture, User
from skymailing.web.urls import public_url, unsubscribe_url

MAX_PICTURES = 1_000  # whose sizes are added up
# Findings that the editor already shows next to the field or block, or that would come too early while its
# author is still writing.
SHOWN_IN_EDITOR = frozenset({"subject_is_set", "size", "picture_texts", "postal_address"})


def check_message(
    owner: User, content: Content, client: Client | None, source: From, *, counts_clicks: bool = False
) -> list[Checked]:
    """Return the results for the letter to a client or a sample client; empty if it cannot be rendered."""
    try:
        recipient = find_recipient(owner, content, client)
    except TemplateError:
        return []

    def check() -> list[Checked]:
        try:
            insight = inspect_for(owner, content, recipient, source)
            findings = find_findings(owner, content, insight)
            return check_letter(owner, insight, findings, counts_clicks=counts_clicks)
        except (TemplateError, InvalidSource):
            return []

    to = (recipient.email, recipient.name, dict(recipient.attributes), sorted(recipient.flags))
    key = (owner.id, ValueFormats.of(owner), content, to, source, counts_clicks, _find_brand_address(owner))
    return remember(key, check)


def check_letter(
    owner: User, insight: Insight, findings: Iterable[Finding], *, counts_clicks: bool = False
) -> list[Checked]:
    """Return the results for an inspected letter and for the findings about its readability."""
    rendered, site = insight.rendered, public_url("home.index")
    urls = read_picture_urls(rendered.html)
    letter = Letter(
        rendered.subject,
        rendered.html,
        rendered.text,
        read_links(rendered, (site, EXAMPLE_SITE)),
        urls,
        _weigh_pictures(owner, urls),
        frozenset(finding.code for finding in findings),
        unsubscribe_url("") in f"{rendered.text} {rendered.html}",
        _find_brand_address(owner),
        read_host(site) if counts_clicks else "",
    )
    return run_checks(LETTER_CHECKS, letter)


def find_recipient(owner: User, content: Content, client: Client | None) -> Recipient:
    """Return a client, or a sample client, as the recipient of a message; raises TemplateError."""
    check_flags(owner, content)
    return make_reader(content, client, EXAMPLE)


def inspect_for(
    owner: User, content: Content, recipient: Recipient, source: From, attributes: Iterable[str] = ()
) -> Insight:
    """Inspect the letter from a sender to a recipient; raises TemplateError."""
    sender = Sender(source.name, source.address or service_address(), source.reply_to)
    return inspect_letter(
        content, recipient, sender, unsubscribe_url("example"), attributes, ValueFormats.of(owner)
    )


def add_source(content: Content, message: Message) -> Content:
    """Return the current content of a message with the source of its body."""
    stored = Content.with_source(message)
    return replace(
        content,
        source_format=stored.source_format,
        source=stored.source,
        layout_id=stored.layout_id,
    )


def _find_brand_address(owner: User) -> str:
    return db.session.scalar(select(Brand.address).where(Brand.owner_id == owner.id)) or ""


def _weigh_pictures(owner: User, urls: tuple[str, ...]) -> int:
    """Return the total size in bytes of the pictures that were uploaded here."""
    names = {url.rpartition("/")[2] for url in urls[:MAX_PICTURES]}
    own = (MessagePicture.owner_id == owner.id) & MessagePicture.name.in_(names)
    return int(db.session.scalar(select(func.coalesce(func.sum(MessagePicture.size), 0)).where(own)) or 0)
