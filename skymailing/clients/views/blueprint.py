"""The blueprint of the client pages, shared by the modules of this folder."""

from flask import Blueprint

bp = Blueprint("clients", __name__, url_prefix="/clients")
