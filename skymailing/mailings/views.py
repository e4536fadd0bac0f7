"""Pages of mailings."""

from flask import Blueprint

bp = Blueprint("mailings", __name__, url_prefix="/mailings")
