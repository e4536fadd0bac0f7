"""The blueprint of messages, which all files of views share."""

from flask import Blueprint

bp = Blueprint("messages", __name__, url_prefix="/messages")
