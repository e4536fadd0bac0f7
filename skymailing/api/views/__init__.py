"""The operations of the API, one module for each resource."""

from flask import Flask

from skymailing.api.views import (
    client_batches,
    clients,
    documentation,
    forms,
    imports,
    letters,
    mailing_actions,
    mailings,
    message_files,
    messages,
    purchases,
    reports,
    returned,
    run_results,
    runs,
    segments,
    senders,
    sequence_changes,
    sequence_steps,
    sequences,
    suppressions,
    tags,
    test_letters,
    topic_choices,
    topics,
    webhooks,
)
from skymailing.api.views.blueprint import PREFIX
from skymailing.api.views.responses import problem_response
from skymailing.extensions import csrf
from skymailing.web.error_pages import register_error_format

RESOURCES = (
    *(clients, client_batches, imports, tags, segments, topics, topic_choices, suppressions, forms),
    *(messages, message_files, senders, mailings, mailing_actions, runs, run_results, returned, reports),
    *(sequences, sequence_changes, sequence_steps, webhooks, letters),
    *(test_letters, purchases),
)


def register(app: Flask) -> None:
    """Add the API and its documentation."""
    api = documentation.make_api(app)
    for resource in RESOURCES:
        csrf.exempt(resource.bp)  # cookies do not authenticate requests, so other sites cannot forge them
        api.register_blueprint(resource.bp)
    app.register_blueprint(documentation.bp)
    register_error_format(app, f"{PREFIX}/", problem_response)
