"""The OpenAPI document, and the page that shows it."""

import copy
import threading
from functools import cache
from typing import Any

import flask_smorest
from flask import Blueprint, Flask, abort, current_app, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import force_locale

from skymailing.api import documentation, guides
from skymailing.api.problems import OWN_ERRORS
from skymailing.api.schema_texts import CODES
from skymailing.api.scopes import SCOPE_LABELS, Scope
from skymailing.api.views.blueprint import ENDPOINTS
from skymailing.api.views.etags import etag_of
from skymailing.api.views.responses import json_response
from skymailing.settings.quotas import quota_settings
from skymailing.web.error_texts import ERROR_TEXTS

bp = Blueprint("api_docs", __name__, url_prefix="/api")

EXTENSION = "skymailing_api"  # in app.extensions: the Api of flask-smorest
METHODS = ("get", "post", "put", "patch", "delete")


class Api(flask_smorest.Api):
    """Collect the documentation of views; other modules handle errors and serve the document.

    It is collected when it is first read: collecting takes longer than registering the views, and most
    processes never read it.
    """

    def __init__(self, app: Flask, **options: Any) -> None:
        self._lock = threading.Lock()
        self._undocumented: list[flask_smorest.Blueprint] = []
        super().__init__(app, **options)

    def register_blueprint(self, blueprint: flask_smorest.Blueprint) -> None:
        """Add the views of a resource."""
        self._app.extensions["flask-smorest"]["blp_name_to_api"][blueprint.name] = self
        self._app.register_blueprint(blueprint)
        self._undocumented.append(blueprint)

    def make_document(self) -> dict[str, Any]:
        """Return the document of all views."""
        with self._lock, force_locale("en"):
            while self._undocumented:
                blueprint = self._undocumented.pop(0)
                blueprint.register_views_in_doc(
                    self, self._app, self.spec, name=blueprint.name, parameters=None
                )
                self.spec.tag({"name": blueprint.name, "description": blueprint.description})
            return copy.deepcopy(self.spec.to_dict())

    def _register_error_handlers(self) -> None:
        """Leave errors to `error_pages`, which calls `problem_response`."""

    def _register_doc_blueprint(self) -> None:
        """Leave the document to this module."""


def make_api(app: Flask) -> Api:
    """Return the Api to which the resources are added."""
    options = {"info": {"description": documentation.INTRODUCTION}, "servers": [{"url": "/"}]}
    api = Api(
        app,
        spec_kwargs={
            "title": "SkyMailing",
            "version": documentation.VERSION,
            "openapi_version": documentation.OPENAPI,
            **options,
        },
    )
    app.cli.commands.pop("openapi", None)  # added by flask-smorest
    app.extensions[EXTENSION] = api
    return api


@cache
def read_document(api: Api) -> dict[str, Any]:
    """Return the OpenAPI document, which is built once per app."""
    return documentation.complete(api.make_document(), ENDPOINTS)


@bp.get("/openapi.json")
def specification() -> ResponseReturnValue:
    """Return the OpenAPI document."""
    response = json_response(read_document(current_app.extensions[EXTENSION]))
    response.set_etag(etag_of(response.get_data()))
    response.headers["Cache-Control"] = "public, max-age=300"
    return response.make_conditional(request)


@bp.get("/")
def index() -> ResponseReturnValue:
    """Show the operations of the API."""
    document = read_document(current_app.extensions[EXTENSION])
    with force_locale("en"):  # like the document itself
        scopes = [(scope.value, str(SCOPE_LABELS[scope])) for scope in Scope]
    return render_template(
        "api/index.html",
        groups=list_groups(document),
        schemas=document["components"]["schemas"],
        scopes=scopes,
        guides=guides.GUIDES,
        codes=list_codes(),
        errors=[(code, response["description"]) for code, response in list_errors(document)],
        requests_per_minute=quota_settings().api_requests_per_minute,
        site=current_app.config["PUBLIC_URL"],
    )


@bp.get("/guides/<name>")
def guide(name: str) -> ResponseReturnValue:
    """Show a guide for programs."""
    text = guides.read_guide(name, url_for("api_docs.index") + "guides/") or abort(404)
    return render_template(
        "api/guide.html", guide=text, chapters=guides.list_chapters(text), title=guides.GUIDES[name]
    )


def list_codes() -> list[tuple[str, str]]:
    """Return the code and the text of each error that the API can report."""
    texts = {**CODES, **ERROR_TEXTS, "missing_values": ERROR_TEXTS["letter_value_missing"]}
    del texts["api_key_limit"]  # an error of the page with the keys
    with force_locale("en"):
        return sorted((code.removeprefix(OWN_ERRORS), str(text)) for code, text in texts.items())


def list_errors(document: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return sorted(document["components"]["responses"].items())


def list_groups(document: dict[str, Any]) -> list[tuple[str, str, list[dict[str, Any]]]]:
    """Return each group of operations with its name and description."""
    operations: dict[str, list[dict[str, Any]]] = {tag["name"]: [] for tag in document["tags"]}
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                operation = item[method] | {
                    "method": method.upper(),
                    "path": path,
                    "path_parameters": item.get("parameters", []),
                }
                operations[operation["tags"][0]].append(operation)
    return [(tag["name"], tag.get("description", ""), operations[tag["name"]]) for tag in document["tags"]]
