"""Save layouts: the frames into which messages are composed."""

from typing import Any

from sqlalchemy import Select, select, update

from skymailing.delivery.composition.composing import write_design
from skymailing.delivery.composition.document import VERSION
from skymailing.delivery.composition.layouts import read_layout
from skymailing.delivery.rendering.content import Content
from skymailing.delivery.rendering.mime import clean_line
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.messages.composed import make_composed
from skymailing.messages.writing_page import lay_out
from skymailing.models import Layout, Message, MessageDraft, MessageTemplate, SourceFormat, User
from skymailing.models.layout import LAYOUT_NAME_MAX_LENGTH
from skymailing.quotas.checks import require_room

MAX_LAYOUTS = 50  # per owner
USES_SHOWN = 10
# Shown in place of a message while a layout is edited.
SAMPLES = {
    "en": (
        '## Hello, {{ name | default: "friend" }}!\n\nThis is where the text of your message appears.\n\n'
        "- with lists\n- with [links](https://example.com)"
    ),
    "ru": (
        '## Здравствуйте, {{ name | default: "друг" }}!\n\nЗдесь появится текст письма.\n\n'
        "- со списками\n- со [ссылками](https://example.com)"
    ),
}


def list_layouts(owner_id: int) -> list[Layout]:
    """Return the owner's layouts by name."""
    return list(db.session.scalars(_select_own(owner_id).order_by(Layout.name, Layout.id)))


def find_layout(owner_id: int, layout_id: int | None) -> Layout | None:
    """Return the owner's layout with this ID."""
    if not layout_id:
        return None
    return db.session.scalar(_select_own(owner_id).where(Layout.id == layout_id))


def find_default(owner_id: int) -> Layout | None:
    """Return the layout that the owner's new messages get."""
    return db.session.scalar(_select_own(owner_id).where(Layout.is_default).order_by(Layout.id).limit(1))


def make_sample(owner: User, layout: Layout, language: str) -> Content:
    """Return a message with a layout, saved or not; raises InvalidSource."""
    code = language if language in SAMPLES else "en"
    return make_composed(owner, layout.name, SourceFormat.MARKDOWN, SAMPLES[code], lambda _text: code, layout)


def save_layout(layout: Layout, name: str, format: SourceFormat, body: str) -> None:
    """Save a new or changed layout; raises InvalidSource, LimitReached, or UserError for an invalid name.

    Messages show a changed layout at their next preview; runs that have started keep the earlier one.
    """
    name = clean_line(name).strip()
    if not name or len(name) > LAYOUT_NAME_MAX_LENGTH:
        raise UserError("block_name", limit=LAYOUT_NAME_MAX_LENGTH)
    read_layout(format, body)
    if layout.id is None:
        own = select(Layout.id).where(Layout.owner_id == layout.owner_id)
        require_room("layout_limit", own, MAX_LAYOUTS)
    layout.name, layout.format, layout.body = name, format, body
    db.session.add(layout)
    db.session.flush()


def set_default(owner_id: int, layout: Layout | None) -> None:
    """Choose the layout of new messages; None for no layout."""
    db.session.execute(update(Layout).where(Layout.owner_id == owner_id).values(is_default=False))
    if layout is not None:
        layout.is_default = True
    db.session.flush()


def find_messages(layout: Layout) -> list[Message]:
    """Return the newest messages with a layout."""
    using = select(Message).where(Message.owner_id == layout.owner_id, Message.layout_id == layout.id)
    return list(db.session.scalars(using.order_by(Message.id.desc()).limit(USES_SHOWN)))


def delete_layout(layout: Layout) -> None:
    """Delete a layout; its messages then have none."""
    for model, saved, current in (
        (Message, Message.source_version, Message.version),
        (MessageDraft, MessageDraft.source_revision, MessageDraft.revision),
        (MessageTemplate, None, None),
    ):
        _remove_from(model, layout, saved, current)
    db.session.delete(layout)
    db.session.flush()


def _remove_from(model: Any, layout: Layout, saved: Any, current: Any) -> None:
    """Restore the author's text in rows with the layout; bodies from blocks or MJML are composed later."""
    using = (model.owner_id == layout.owner_id) & (model.layout_id == layout.id)
    written = model.source_format.in_([SourceFormat.HTML, SourceFormat.MARKDOWN])
    restored: dict[Any, Any] = {
        model.format: model.source_format,
        model.body: model.source,
        model.source_format: "",
        model.source: "",
        model.layout_id: None,
    }
    kept: dict[Any, Any] = {model.layout_id: None}
    if current is not None:
        # A new version, so that a body that a worker is composing with the layout is not stored.
        using &= saved == current
        restored |= {current: current + 1, saved: None}
        kept |= {current: current + 1, saved: current + 1}
    for values, condition in ((restored, using & written), (kept, using)):
        statement = update(model).where(condition).values(values)
        db.session.execute(statement, execution_options={"synchronize_session": False})
    db.session.expire_all()


def make_first_layout(format: SourceFormat, language: str) -> str:
    """Return a new layout: in HTML, the place of the message; in blocks, also the owner's brand around it."""
    if format is SourceFormat.HTML:
        return lay_out("{{ content }}", language)
    blocks = [
        {"id": "logo", "type": "logo"},
        {"id": "content", "type": "content"},
        {"id": "line", "type": "divider"},
        {"id": "social", "type": "social"},
        {"id": "footer", "type": "footer", "text": "{{ sender_name }}", "has_preferences": True},
    ]
    return write_design({"version": VERSION, "settings": {}, "blocks": blocks})


def _select_own(owner_id: int) -> Select[tuple[Layout]]:
    return select(Layout).where(Layout.owner_id == owner_id)
