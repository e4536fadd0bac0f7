"""The editor's requests about saved blocks."""

import json

from flask import jsonify, request
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_required

from skymailing.delivery.composition.errors import InvalidSource
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.messages import saved_blocks
from skymailing.messages.error_texts import explain_source_error
from skymailing.messages.views.blueprint import bp
from skymailing.models import SavedBlock
from skymailing.security import get_own
from skymailing.web.error_texts import explain


@bp.get("/blocks")
@login_required
def list_blocks() -> ResponseReturnValue:
    """Return the user's saved blocks."""
    return jsonify([describe(block) for block in saved_blocks.list_blocks(current_user.id)])


@bp.post("/blocks")
@login_required
def save_block() -> ResponseReturnValue:
    """Save a block under a name."""
    try:
        block = saved_blocks.save_block(
            current_user.id, request.form.get("name", ""), request.form.get("block", "")
        )
    except InvalidSource as error:
        return jsonify(problem=explain_source_error(error)), 422
    except UserError as error:
        return jsonify(problem=explain(error)), 422
    db.session.commit()
    return jsonify(describe(block)), 201


@bp.post("/blocks/<int:block_id>/delete")
@login_required
def delete_block(block_id: int) -> ResponseReturnValue:
    """Delete a saved block; messages that contain it keep their copy."""
    db.session.delete(get_own(SavedBlock, block_id))
    db.session.commit()
    return "", 204


def describe(block: SavedBlock) -> dict[str, object]:
    return {"id": block.id, "name": block.name, "block": json.loads(block.block)}
