"""The overview page of the panel."""

from flask import redirect, url_for
from flask.typing import ResponseReturnValue
from flask_admin import expose
from flask_login import current_user

from skymailing.manager import queries
from skymailing.manager.views.base import AUTHORS, MANAGERS, PanelView


class Overview(PanelView):
    roles = MANAGERS | AUTHORS

    @expose("/")
    def index(self) -> ResponseReturnValue:
        """Show the service's totals; redirect content managers to the articles."""
        if current_user.role not in MANAGERS:
            return redirect(url_for("manager_articles.index"))
        recent = queries.list_audit(current_user, "", None, (None, None), None)
        return self.render("manager/index.html", totals=queries.count_overview(), recent=recent.items[:8])
