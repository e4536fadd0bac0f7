"""All users' mailings: managers can view, disable and enable them, but change nothing else."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from flask import Response, abort, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_admin import expose
from flask_babel import gettext as _
from flask_babel import ngettext

from skymailing.archive.queries import list_published
from skymailing.audit import Actor, current_actor
from skymailing.clock import utcnow
from skymailing.db.time_limit import TookTooLong, limit_time
from skymailing.delivery.audience.recipients import find_recipients
from skymailing.delivery.rendering.letter import EXAMPLE, Content, TemplateError, preview
from skymailing.delivery.rendering.message_content import HasContent
from skymailing.delivery.rendering.values import ValueFormats
from skymailing.delivery.senders import describe_mailing
from skymailing.delivery.variants.contents import list_contents
from skymailing.dispatch import dispatch_mailings
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.letters.queries import find_newest_content
from skymailing.mailings import log_queries, services
from skymailing.mailings import queries as mailing_queries
from skymailing.mailings.result_text import format_share
from skymailing.mailings.run_queries import find_last_run
from skymailing.mailings.state_text import explain_state
from skymailing.manager import queries
from skymailing.manager.forms import AttemptFilter, MailingFilter, ReasonForm
from skymailing.manager.step_results import count_results
from skymailing.manager.views.base import MAX_SELECTED, PanelView
from skymailing.messages.error_texts import explain_template_error
from skymailing.models import DeliveryState, Mailing, MailingState, Outcome
from skymailing.web.error_texts import explain
from skymailing.web.ids import read_id, read_selected_ids

# The letter runs no scripts and loads no images, so that senders cannot see that a manager viewed it.
LETTER_POLICY = (
    "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)


class MailingsView(PanelView):
    @expose("/")
    def index(self) -> ResponseReturnValue:
        """List the mailings of all users."""
        form = MailingFilter(formdata=request.args)
        form.validate()
        criteria = queries.MailingCriteria(
            name=form.text("q"),
            owner=form.text("owner"),
            state=form.member("state", MailingState),
            disabled=form.flag("disabled"),
            refused=form.flag("refused"),
            starts=form.utc_range(),
        )
        page = queries.list_mailings(criteria, request.args.get("cursor"))
        return self.render(
            "manager/mailings.html",
            page=page,
            form=form,
            latest_runs=count_results(list(page)),
            explain_state=explain_state,
            format_share=format_share,
        )

    @expose("/<int:mailing_id>/")
    def show(self, mailing_id: int) -> ResponseReturnValue:
        """Show a mailing with its audience, schedule and runs."""
        mailing = db.session.get(Mailing, mailing_id) or abort(404)
        return self.render(
            "manager/mailing.html",
            mailing=mailing,
            sender=describe_mailing(mailing).mailbox,
            audience=count_recipients(mailing),
            published=list_published(mailing.id),
            progress=mailing_queries.count_last_run(mailing),
            runs=queries.list_runs(mailing.id, None, (None, None), request.args.get("cursor")),
            states=list(DeliveryState),
            explain_state=explain_state,
            find_end=queries.find_end,
            variants=list_contents(db.session(), mailing, find_last_run(mailing)),
        )

    @expose("/<int:mailing_id>/letter")
    def letter(self, mailing_id: int) -> ResponseReturnValue:
        """Return the letter to show in a frame: as the last run sent it, or as it would be sent now."""
        mailing = db.session.get(Mailing, mailing_id) or abort(404)
        last = find_last_run(mailing)
        variants = list_contents(db.session(), mailing, last)
        sent = variants.get(read_id(request.args.get("variant"))) or last
        # Each transactional letter has its own content; show the newest one.
        newest = find_newest_content(mailing.owner_id) if mailing.is_transactional else mailing.message
        source: HasContent = (None if mailing.is_transactional else sent) or newest or abort(404)
        content = Content.of(source)
        try:
            rendered = preview(
                content,
                EXAMPLE,
                sender_name=describe_mailing(mailing).name,
                formats=ValueFormats.of(mailing.owner),
            )
        except TemplateError as error:
            response = Response(explain_template_error(error), mimetype="text/plain")
        else:
            kind = "text/html" if rendered.html else "text/plain"
            response = Response(rendered.html or rendered.text, mimetype=kind)
        response.headers["Content-Security-Policy"] = LETTER_POLICY
        return response

    @expose("/<int:mailing_id>/log")
    def log(self, mailing_id: int) -> ResponseReturnValue:
        """Show a mailing's attempts with the mail server's replies."""
        mailing = db.session.get(Mailing, mailing_id) or abort(404)
        form = AttemptFilter(formdata=request.args)
        form.validate()
        since, until = form.utc_range()
        log_filter = log_queries.LogFilter(
            owner_id=mailing.owner_id,
            mailing_id=mailing.id,
            outcome=form.member("outcome", Outcome),
            since=since,
            until=until,
            address=form.text("q"),
        )
        page = log_queries.list_attempts(log_filter, request.args.get("cursor"))
        has_removed_attempts = log_queries.has_removed_attempts(log_filter)
        return self.render(
            "manager/log.html",
            mailing=mailing,
            page=page,
            form=form,
            has_removed_attempts=has_removed_attempts,
        )

    @expose("/disable", methods=("GET", "POST"))
    def disable(self) -> ResponseReturnValue:
        """Ask for a reason, then disable the selected mailings."""
        return self.change(DISABLE)

    @expose("/enable", methods=("GET", "POST"))
    def enable(self) -> ResponseReturnValue:
        """Ask for a reason, then enable the selected mailings."""
        return self.change(ENABLE)

    def change(self, action: "BulkAction") -> ResponseReturnValue:
        ids = read_selected_ids(MAX_SELECTED)
        if not ids:
            flash(_("Select at least one mailing."), "warning")
            return redirect(url_for("manager_mailings.index"))
        mailings = queries.find_mailings(ids) or abort(404)
        selected = [mailing for mailing in mailings if mailing.is_disabled != action.disables]
        form = ReasonForm()
        if selected and form.validate_on_submit():
            return self.apply(action, selected, form.reason.data)
        return self.render(
            action.template,
            mailings=selected,
            skipped=[mailing for mailing in mailings if mailing not in selected],
            form=form,
        )

    def apply(self, action: "BulkAction", mailings: list[Mailing], reason: str) -> ResponseReturnValue:
        now, ids = utcnow(), [mailing.id for mailing in mailings]
        try:
            for mailing in mailings:
                action.apply(mailing, reason, now, current_actor())
        except UserError as error:
            db.session.rollback()
            flash(explain(error), "warning")
            return redirect(url_for("manager_mailings.index"))
        db.session.commit()
        dispatch_mailings(ids, now)
        flash(action.format_result(len(ids)), "success")
        if len(ids) == 1:
            return redirect(url_for("manager_mailings.show", mailing_id=ids[0]))
        return redirect(url_for("manager_mailings.index"))


@dataclass(frozen=True)
class BulkAction:
    """An action on the selected mailings, and its texts."""

    disables: bool
    template: str
    apply: Callable[[Mailing, str, datetime, Actor], None]
    format_result: Callable[[int], str]


DISABLE = BulkAction(
    disables=True,
    template="manager/disable.html",
    apply=services.disable_mailing,
    format_result=lambda count: ngettext("%(num)d mailing disabled.", "%(num)d mailings disabled.", count),
)
ENABLE = BulkAction(
    disables=False,
    template="manager/enable.html",
    apply=lambda mailing, reason, _now, actor: services.enable_mailing(mailing, reason, actor),
    format_result=lambda count: ngettext("%(num)d mailing enabled.", "%(num)d mailings enabled.", count),
)


def count_recipients(mailing: Mailing) -> int | None:
    """Return the number of a mailing's recipients; None if counting takes too long."""
    with suppress(TookTooLong), limit_time():
        return find_recipients(mailing, utcnow()).count()
    return None
