"""Save blocks under a name, to insert them into other messages."""

from typing import Any

from sqlalchemy import Select, func, select

from skymailing.delivery.composition.composing import write_design
from skymailing.delivery.composition.document import parse_json, read_block
from skymailing.delivery.rendering.mime import clean_line
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.models import SavedBlock
from skymailing.models.message import BLOCK_NAME_MAX_LENGTH
from skymailing.quotas.checks import LimitReached, require_room

MAX_SAVED = 200  # per owner
MAX_TOTAL = 2_000_000  # characters per owner: the editor loads all blocks at once


def list_blocks(owner_id: int) -> list[SavedBlock]:
    """Return the owner's saved blocks by name."""
    statement = _select_blocks(owner_id).order_by(SavedBlock.name, SavedBlock.id)
    return list(db.session.scalars(statement))


def save_block(owner_id: int, name: str, source: str) -> SavedBlock:
    """Save a block, given as JSON; raises InvalidSource, LimitReached, or UserError for an invalid name."""
    name = clean_line(name).strip()
    if not name or len(name) > BLOCK_NAME_MAX_LENGTH:
        raise UserError("block_name", limit=BLOCK_NAME_MAX_LENGTH)
    data: Any = parse_json(source)
    read_block(data)
    require_room("block_limit", select(SavedBlock.id).where(SavedBlock.owner_id == owner_id), MAX_SAVED)
    block = SavedBlock(owner_id=owner_id, name=name, block=write_design(data))
    stored = select(func.sum(func.length(SavedBlock.block))).where(SavedBlock.owner_id == owner_id)
    if (db.session.scalar(stored) or 0) + len(block.block) > MAX_TOTAL:
        raise LimitReached("block_library_full", MAX_TOTAL // 1000)
    db.session.add(block)
    db.session.flush()
    return block


def _select_blocks(owner_id: int) -> Select[tuple[SavedBlock]]:
    return select(SavedBlock).where(SavedBlock.owner_id == owner_id)
