"""The message blueprint, which all view modules share."""

from flask import Blueprint

bp = Blueprint("messages", __name__, url_prefix="/messages")
