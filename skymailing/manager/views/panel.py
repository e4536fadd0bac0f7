"""What all views of the panel share: who may see them, their look, and asking before acting.

Views derive from Flask-Admin's BaseView and not from its ModelView: a route that writes exists only
where we wrote it, lists are read by key however long they are, and nothing of Flask-Admin's
Bootstrap 4, jQuery and inline scripts is served.
"""

from collections.abc import Callable
from typing import Any, cast

from flask import abort, request
from flask.typing import ResponseReturnValue
from flask_admin import BaseView
from flask_login import current_user

from skymailing.db.engine import LARGEST_ID
from skymailing.extensions import login
from skymailing.models import Role

MANAGERS = frozenset({Role.MANAGER, Role.ADMIN})
AUTHORS = frozenset({Role.CONTENT, Role.ADMIN})
ADMINS = frozenset({Role.ADMIN})
MOST_SELECTED = 200  # things that one confirmation is about


class PanelView(BaseView):
    """A view of the panel for users of some roles; all others get 403, visitors the login page."""

    roles = MANAGERS

    def is_accessible(self) -> bool:
        return bool(current_user.is_authenticated) and current_user.role in self.roles

    def inaccessible_callback(self, _name: str, **_arguments: Any) -> ResponseReturnValue:
        if current_user.is_authenticated:
            abort(403)
        return cast(ResponseReturnValue, login.unauthorized())

    def render(self, template: str, **kwargs: Any) -> str:
        return str(super().render(template, **kwargs))

    def _run_view(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        # Flask-Admin calls a view again, in another way, when anything inside raises TypeError.
        return fn(self, *args, **kwargs)


def asked_ids() -> list[int]:
    """Return the ids that a request names, each once; what cannot be an id is left out."""
    texts = request.values.getlist("id")
    ids = [int(text) for text in texts if text.isascii() and text.isdigit() and len(text) < 11]
    return list(dict.fromkeys(id for id in ids if id <= LARGEST_ID))[:MOST_SELECTED]
