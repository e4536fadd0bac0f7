"""The base class of the panel's views: access by role, and rendering.

Views derive from Flask-Admin's BaseView, not from its ModelView. The only routes that write are therefore our
own, lists use keyset pagination, and Flask-Admin's Bootstrap 4, jQuery and inline scripts are not served.
"""

from collections.abc import Callable
from typing import Any, cast

from flask import abort
from flask.typing import ResponseReturnValue
from flask_admin import BaseView
from flask_login import current_user

from skymailing.extensions import login
from skymailing.models import Role

MANAGERS = frozenset({Role.MANAGER, Role.ADMIN})
AUTHORS = frozenset({Role.CONTENT, Role.ADMIN})
ADMINS = frozenset({Role.ADMIN})
MAX_SELECTED = 200  # users or mailings in one bulk action


class PanelView(BaseView):
    """A view for users with certain roles; other users get 403, and visitors are asked to sign in."""

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
        # Flask-Admin's version calls the view a second time if it raises TypeError.
        return fn(self, *args, **kwargs)
