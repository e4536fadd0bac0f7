"""Read-only lists: users' reputations and senders, and unclear returned letters that belong to no user."""

from flask import request
from flask.typing import ResponseReturnValue
from flask_admin import expose

from skymailing.clock import utcnow
from skymailing.delivery.senders import find_problem
from skymailing.manager import sending_queries
from skymailing.manager.forms import ReputationFilter, SenderFilter
from skymailing.manager.views.base import PanelView
from skymailing.models import UsageKind


class ReputationView(PanelView):
    @expose("/")
    def index(self) -> ResponseReturnValue:
        """List users by how many letters they sent, or by their share of bounces or complaints."""
        form = ReputationFilter(formdata=request.args)
        form.validate()
        order = form.member("order", UsageKind) or UsageKind.COMPLAINTS
        page = sending_queries.list_owners(
            form.text("q"), order, form.flag("paused"), utcnow(), request.args.get("cursor")
        )
        return self.render("manager/reputation.html", page=page, form=form)


class ReturnedView(PanelView):
    @expose("/")
    def index(self) -> ResponseReturnValue:
        """List unclear returned letters that belong to no user."""
        page = sending_queries.list_unclear(request.args.get("cursor"))
        return self.render("manager/returned.html", page=page)


class SendersView(PanelView):
    @expose("/")
    def index(self) -> ResponseReturnValue:
        """List the senders of all users."""
        form = SenderFilter(formdata=request.args)
        form.validate()
        page = sending_queries.list_senders(
            form.text("q"), form.flag("confirmed"), request.args.get("cursor")
        )
        return self.render("manager/senders.html", page=page, form=form, find_problem=find_problem)
