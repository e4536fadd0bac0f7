"""The segment blueprint, which all view modules share."""

from flask import Blueprint

bp = Blueprint("segments", __name__, url_prefix="/segments")
