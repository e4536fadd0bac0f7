"""Unsubscribing: pages for people without an account, reached by a signed link."""

from flask import Blueprint

bp = Blueprint("unsubscribe", __name__, url_prefix="/u")
