"""The blueprint of the client pages, shared by `clients` and `import_export`."""

from flask import Blueprint

bp = Blueprint("clients", __name__, url_prefix="/clients")
