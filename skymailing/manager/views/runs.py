"""Runs, their deliveries and attempts; read-only."""

from flask import abort, request
from flask.typing import ResponseReturnValue
from flask_admin import expose

from skymailing.extensions import db
from skymailing.mailings.queries import count_runs
from skymailing.manager import queries
from skymailing.manager.forms import DeliveryFilter, RunFilter
from skymailing.manager.views.base import PanelView
from skymailing.models import Delivery, DeliveryState, Run, RunState


class RunsView(PanelView):
    @expose("/")
    def index(self) -> ResponseReturnValue:
        """List the runs of all mailings."""
        form = RunFilter(formdata=request.args)
        form.validate()
        cursor = request.args.get("cursor")
        page = queries.list_runs(None, form.member("state", RunState), form.utc_range(), cursor)
        return self.render("manager/runs.html", page=page, form=form)

    @expose("/<int:run_id>/")
    def show(self, run_id: int) -> ResponseReturnValue:
        """Show a run's ledger and its deliveries."""
        run = db.session.get(Run, run_id) or abort(404)
        form = DeliveryFilter(formdata=request.args)
        form.validate()
        (progress,) = count_runs([run])
        page = queries.list_deliveries(
            run.id, form.text("q"), form.member("state", DeliveryState), request.args.get("cursor")
        )
        return self.render(
            "manager/run.html", run=run, progress=progress, page=page, form=form, states=list(DeliveryState)
        )

    @expose("/deliveries/<int:delivery_id>/")
    def delivery(self, delivery_id: int) -> ResponseReturnValue:
        """Show a delivery and its attempts."""
        delivery = db.session.get(Delivery, delivery_id) or abort(404)
        attempts = queries.list_attempts(delivery.id)
        return self.render("manager/delivery.html", delivery=delivery, attempts=attempts)
