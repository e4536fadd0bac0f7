"""Everybody's mailings: to look at, to disable and to enable; nothing else can be changed here."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from flask import Response, abort, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_admin import expose
from flask_babel import gettext as _
from flask_babel import ngettext

from skymailing.audit import Actor, present_actor
from skymailing.clock import utcnow
from skymailing.delivery.audience import count_recipients
from skymailing.delivery.rendering.letter import EXAMPLE, Content, TemplateError, preview
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.mailings import log_queries, services, tasks
from skymailing.mailings import queries as mailing_queries
from skymailing.mailings.run_queries import find_last_run
from skymailing.mailings.state_text import explain_state
from skymailing.manager import queries
from skymailing.manager.forms import AttemptFilter, MailingFilter, ReasonForm
from skymailing.manager.views.panel import PanelView, asked_ids
from skymailing.messages.services import explain_error
from skymailing.models import DeliveryState, Mailing, MailingState, Outcome
from skymailing.web.error_texts import explain

# A letter can do nothing here, and fetches no pictures: nobody learns that a manager has looked.
LETTER_POLICY = (
    "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)


class MailingsView(PanelView):
    @expose("/")
    def index(self) -> ResponseReturnValue:
        """List everybody's mailings."""
        form = MailingFilter(formdata=request.args)
        form.validate()
        page = queries.list_mailings(
            form.text("q"),
            form.text("owner"),
            form.member("state", MailingState),
            form.flag("disabled"),
            form.moments(),
            request.args.get("cursor"),
        )
        return self.render("manager/mailings.html", page=page, form=form)

    @expose("/<int:mailing_id>/")
    def show(self, mailing_id: int) -> ResponseReturnValue:
        """Show what a mailing sends, to how many and when, and its runs."""
        mailing = db.session.get(Mailing, mailing_id) or abort(404)
        return self.render(
            "manager/mailing.html",
            mailing=mailing,
            audience=count_recipients(mailing),
            progress=mailing_queries.count_last_run(mailing),
            runs=queries.list_runs(mailing.id, None, (None, None), request.args.get("cursor")),
            states=list(DeliveryState),
            explain_state=explain_state,
        )

    @expose("/<int:mailing_id>/letter")
    def letter(self, mailing_id: int) -> ResponseReturnValue:
        """Return the letter, for a frame: the last run's, or as it would leave now."""
        mailing = db.session.get(Mailing, mailing_id) or abort(404)
        source = find_last_run(mailing) or mailing.message
        content = Content(source.subject, source.format, source.body)
        try:
            rendered = preview(content, EXAMPLE, sender_name=mailing.sender_name or mailing.owner.sender_name)
        except TemplateError as error:
            response = Response(explain_error(error), mimetype="text/plain")
        else:
            kind = "text/html" if rendered.html else "text/plain"
            response = Response(rendered.html or rendered.text, mimetype=kind)
        response.headers["Content-Security-Policy"] = LETTER_POLICY
        return response

    @expose("/<int:mailing_id>/log")
    def log(self, mailing_id: int) -> ResponseReturnValue:
        """Show a mailing's attempts with the mail server's own words."""
        mailing = db.session.get(Mailing, mailing_id) or abort(404)
        form = AttemptFilter(formdata=request.args)
        form.validate()
        since, until = form.moments()
        wanted = log_queries.LogFilter(
            owner_id=mailing.owner_id,
            mailing_id=mailing.id,
            outcome=form.member("outcome", Outcome),
            since=since,
            until=until,
            address=form.text("q"),
        )
        page = log_queries.list_attempts(wanted, request.args.get("cursor"))
        has_removed = log_queries.has_removed(wanted)
        return self.render("manager/log.html", mailing=mailing, page=page, form=form, has_removed=has_removed)

    @expose("/disable", methods=("GET", "POST"))
    def disable(self) -> ResponseReturnValue:
        """Ask why, then stop the mailings that the request names."""
        return self.mark(DISABLE)

    @expose("/enable", methods=("GET", "POST"))
    def enable(self) -> ResponseReturnValue:
        """Ask why, then let the mailings go on that the request names."""
        return self.mark(ENABLE)

    def mark(self, act: "Act") -> ResponseReturnValue:
        ids = asked_ids()
        if not ids:
            flash(_("Tick the mailings first."), "warning")
            return redirect(url_for("manager_mailings.index"))
        mailings = queries.find_mailings(ids) or abort(404)
        chosen = [mailing for mailing in mailings if mailing.is_disabled != act.disables]
        form = ReasonForm()
        if chosen and form.validate_on_submit():
            return self.carry_out(act, chosen, form.reason.data)
        return self.render(
            act.template,
            mailings=chosen,
            left_out=[mailing for mailing in mailings if mailing not in chosen],
            form=form,
        )

    def carry_out(self, act: "Act", mailings: list[Mailing], reason: str) -> ResponseReturnValue:
        now, ids = utcnow(), [mailing.id for mailing in mailings]
        try:
            for mailing in mailings:
                act.verb(mailing, reason, now, present_actor())
        except UserError as error:
            db.session.rollback()
            flash(explain(error), "warning")
            return redirect(url_for("manager_mailings.index"))
        db.session.commit()
        tasks.dispatch(ids, now)
        flash(act.done(len(ids)), "success")
        if len(ids) == 1:
            return redirect(url_for("manager_mailings.show", mailing_id=ids[0]))
        return redirect(url_for("manager_mailings.index"))


@dataclass(frozen=True)
class Act:
    """Setting or lifting the mark, and what to say about it."""

    disables: bool
    template: str
    verb: Callable[[Mailing, str, datetime, Actor], None]
    done: Callable[[int], str]


DISABLE = Act(
    disables=True,
    template="manager/disable.html",
    verb=services.disable_mailing,
    done=lambda count: ngettext("%(num)d mailing is disabled.", "%(num)d mailings are disabled.", count),
)
ENABLE = Act(
    disables=False,
    template="manager/enable.html",
    verb=lambda mailing, reason, _now, actor: services.enable_mailing(mailing, reason, actor),
    done=lambda count: ngettext("%(num)d mailing is enabled.", "%(num)d mailings are enabled.", count),
)
