"""The overview page of the panel."""

from flask import redirect, url_for
from flask.typing import ResponseReturnValue
from flask_admin import expose
from flask_login import current_user

from skymailing.clock import utcnow
from skymailing.mailings.formats import format_rate
from skymailing.manager import queries
from skymailing.manager.owner_usage import count_days, find_largest, measure_owners
from skymailing.manager.service_state import read_state
from skymailing.manager.suspicion import find_suspects
from skymailing.manager.views.base import AUTHORS, MANAGERS, PanelView
from skymailing.manager.words import suspicion_label
from skymailing.web.i18n import get_user_zone

SUSPECTS_SHOWN = 8
ACTIONS_SHOWN = 8


class Overview(PanelView):
    roles = MANAGERS | AUTHORS

    @expose("/")
    def index(self) -> ResponseReturnValue:
        """Show the service and what its users send; redirect content managers to the articles."""
        if current_user.role not in MANAGERS:
            return redirect(url_for("manager_articles.index"))
        now = utcnow()
        usages = measure_owners(now)
        suspects = find_suspects(now, usages)
        recent = queries.list_audit(current_user, "", None, (None, None), None)
        return self.render(
            "manager/index.html",
            totals=queries.count_overview(),
            state=read_state(now),
            days=count_days(now, get_user_zone()),
            suspects=suspects[:SUSPECTS_SHOWN],
            suspect_count=len(suspects),
            largest=find_largest(usages),
            recent=recent.items[:ACTIONS_SHOWN],
            suspicion_label=suspicion_label,
            format_rate=format_rate,
        )
