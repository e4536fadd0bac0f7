"""The blueprint of clients, which two modules fill with pages."""

from flask import Blueprint

bp = Blueprint("clients", __name__, url_prefix="/clients")
