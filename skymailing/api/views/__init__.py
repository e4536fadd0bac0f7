"""The operations of the API, one module for each resource."""

from flask import Flask

from skymailing.api.views import (
    client_batches,
    clients,
    documentation,
    letters,
    mailing_actions,
    mailings,
    messages,
    runs,
    tags,
)
from skymailing.api.views.blueprint import PREFIX
from skymailing.api.views.responses import answer_problem
from skymailing.extensions import csrf
from skymailing.web.error_pages import register_error_format

RESOURCES = (clients, client_batches, tags, messages, mailings, mailing_actions, runs, letters)


def register(app: Flask) -> None:
    """Add the API and its documentation."""
    api = documentation.make_api(app)
    for resource in RESOURCES:
        csrf.exempt(resource.bp)  # no cookie authenticates a request, so no other site can forge one
        api.register_blueprint(resource.bp)
    app.register_blueprint(documentation.bp)
    register_error_format(app, f"{PREFIX}/", answer_problem)
