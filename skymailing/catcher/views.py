"""Pages of catcher."""

from flask import Blueprint

bp = Blueprint("catcher", __name__, url_prefix="/outbox")
