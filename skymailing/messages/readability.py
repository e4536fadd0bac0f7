"""Find elements of a message that are hard to read or incomplete, and explain the findings."""

from dataclasses import replace
from typing import Any

from flask_babel import format_decimal
from flask_babel import gettext as _

from skymailing.delivery.composition.brands import find_owner_brand
from skymailing.delivery.composition.composing import read_source
from skymailing.delivery.composition.layouts import read_layout
from skymailing.delivery.composition.readability import (
    CLIP_LIMIT,
    Finding,
    check_document,
    check_html,
    find_repeated,
)
from skymailing.delivery.rendering.content import Content
from skymailing.extensions import db
from skymailing.messages.layouts import find_layout
from skymailing.messages.letter_insight import Insight
from skymailing.models import SourceFormat, User


def find_findings(owner: User, content: Content, insight: Insight) -> list[Finding]:
    """Return the findings in a message; those in blocks have the pointer of their block.

    Raises InvalidSource.
    """
    findings = [Finding("check_clipped")] if insight.is_clipped else []
    if content.source_format is not SourceFormat.BLOCKS:
        return check_html(insight.rendered.html) + findings
    document = read_source(content.source_format, content.source).document
    assert document is not None
    if layout := find_layout(owner.id, content.layout_id):
        frame = read_layout(SourceFormat(layout.format), layout.body)
        if frame.document:
            findings = find_repeated(document, frame.document) + findings
            document = replace(document, settings=frame.document.settings)
    return check_document(document, find_owner_brand(db.session, owner), content.language) + findings


def explain_finding(finding: Finding) -> str:
    """Return a finding in the language of the page."""
    values: dict[str, Any] = {name: format_decimal(float(value)) for name, value in finding.values.items()}
    match finding.code:
        case "check_contrast":
            text = _("The text is hard to read: contrast %(ratio)s instead of %(least)s.", **values)
        case "check_small":
            text = _("The text is hard to read on phones: %(size)s px instead of %(least)s px.", **values)
        case "check_alt":
            text = _("The image has no description.")
        case "check_button":
            text = _("The button has no link yet.")
        case "check_link":
            text = _("A link leads nowhere.")
        case "check_repeated_logo":
            text = _("The layout already has a logo.")
        case "check_repeated_footer":
            text = _("The layout already has a footer.")
        case "check_repeated_social":
            text = _("The layout already has social links.")
        case _:
            size = CLIP_LIMIT // 1024
            text = _("Gmail shows only the first %(size)s KB of a message. Make it shorter.", size=size)
    return str(text)
