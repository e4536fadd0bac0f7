"""Compose stored messages again, because the owner's brand or the layout may have changed."""

import logging
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, scoped_session

from skymailing.delivery.composition.brands import find_owner_brand
from skymailing.delivery.composition.composing import read_source
from skymailing.delivery.composition.errors import InvalidSource
from skymailing.delivery.composition.layouts import read_layout
from skymailing.delivery.composition.palette import OwnerBrand
from skymailing.delivery.rendering.content import Content, TemplateError
from skymailing.models import Layout, Message, MessageTemplate, SourceFormat, User

logger = logging.getLogger(__name__)
AnySession = Session | scoped_session[Any]


def find_layouts(session: AnySession, owner_id: int, ids: Iterable[int | None]) -> dict[int, Layout]:
    """Return the owner's layouts with these IDs."""
    if not (wanted := {id for id in ids if id is not None}):
        return {}
    own = select(Layout).where(Layout.owner_id == owner_id, Layout.id.in_(wanted))
    return {layout.id: layout for layout in session.scalars(own)}


def compose_message(row: Message | MessageTemplate, brand: OwnerBrand, layout: Layout | None) -> str:
    """Return the body of a message that has a source; raises InvalidSource and TemplateError."""
    source = read_source(*row.current_source)
    frame = read_layout(SourceFormat(layout.format), layout.body) if layout else None
    return source.compose(brand, row.language, frame)


def read_current(session: AnySession, row: Message | MessageTemplate) -> Content:
    """Return the content of a message as a mailing that starts now would send it.

    A message that cannot be composed keeps its stored body.
    """
    content = Content.of(row)
    if not row.current_source[0]:
        return content
    layouts = find_layouts(session, row.owner_id, [row.layout_id])
    brand = find_owner_brand(session, session.get_one(User, row.owner_id))
    try:
        return replace(content, body=compose_message(row, brand, layouts.get(row.layout_id or 0)))
    except (InvalidSource, TemplateError) as error:
        logger.warning("A message of user %s keeps its stored body: %s", row.owner_id, error)
        return content
