"""The log of attempts over all of a user's mailings."""

from flask import Blueprint

bp = Blueprint("logs", __name__, url_prefix="/logs")
