"""The blueprint of messages; two files of views share it."""

from flask import Blueprint

bp = Blueprint("messages", __name__, url_prefix="/messages")
