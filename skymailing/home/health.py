"""Whether the service is alive and ready."""

from flask import Blueprint

bp = Blueprint("health", __name__)
