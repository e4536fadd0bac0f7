"""All accounts: managers can view, block and unblock them; administrators can also change roles."""

from collections.abc import Callable
from dataclasses import dataclass

from flask import abort, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_admin import expose
from flask_babel import gettext as _
from flask_babel import ngettext
from flask_login import current_user

from skymailing.audit import current_actor
from skymailing.auth import services, trust
from skymailing.clock import utcnow
from skymailing.dispatch import dispatch_owner_mailings
from skymailing.extensions import db
from skymailing.manager import queries
from skymailing.manager.forms import ReasonForm, RoleForm, UserFilter
from skymailing.manager.owner_usage import OwnerUsage, measure_owners
from skymailing.manager.suspicion import find_new_since, find_unusual, is_paused, judge
from skymailing.manager.timeline import list_events, may_see_actor
from skymailing.manager.views.base import ADMINS, MAX_SELECTED, PanelView
from skymailing.manager.words import suspicion_label
from skymailing.models import Role, User
from skymailing.quotas import usage as limits_of
from skymailing.web.error_texts import explain
from skymailing.web.i18n import get_user_zone
from skymailing.web.ids import read_selected_ids
from skymailing.web.timezone_choices import name_timezone


class UsersView(PanelView):
    @expose("/")
    def index(self) -> ResponseReturnValue:
        """List all accounts with their totals."""
        form = UserFilter(formdata=request.args)
        form.validate()
        now = utcnow()
        criteria = queries.UserCriteria(
            text=form.text("q"),
            role=form.member("role", Role),
            blocked=form.flag("blocked"),
            confirmed=form.flag("confirmed"),
            registered=form.utc_range(),
            ids=find_unusual(form.suspicions(), form.bounce_percent(), now),
        )
        page = queries.list_users(criteria, request.args.get("cursor"))
        return self.render(
            "manager/users.html",
            page=page,
            form=form,
            totals=queries.count_by_user(page.items),
            may_block=self.may_block,
            new_since=find_new_since(now).astimezone(get_user_zone()).date(),
        )

    @expose("/<int:user_id>/")
    def show(self, user_id: int) -> ResponseReturnValue:
        """Show an account: its figures and limits, and what happened to it."""
        user = db.session.get(User, user_id) or abort(404)
        now = utcnow()
        usage = measure_owners(now, [user.id]).get(user.id, OwnerUsage(user.id))
        return self.render(
            "manager/user.html",
            user=user,
            timezone=name_timezone(user.timezone, now),
            totals=queries.count_by_user([user])[user.id],
            mailings=queries.list_latest_mailings(user.id),
            may_block=self.may_block,
            usage=usage,
            reasons=judge(user, usage, is_paused(user.id), now),
            suspicion_label=suspicion_label,
            events=list_events(user, request.args.get("cursor")),
            may_see_actor=lambda entry: may_see_actor(current_user, entry),
            limits=(limits := limits_of.measure(user, now)),
            may_trust=limits.is_new and user.id != current_user.id,
            may_change_role=current_user.role in ADMINS and user.id != current_user.id,
        )

    def may_block(self, user: User) -> bool:
        return services.may_block(user, current_actor())

    @expose("/block", methods=("GET", "POST"))
    def block(self) -> ResponseReturnValue:
        """Ask for a reason, then block the selected users."""
        return self.change(BLOCK)

    @expose("/unblock", methods=("GET", "POST"))
    def unblock(self) -> ResponseReturnValue:
        """Ask for a reason, then unblock the selected users."""
        return self.change(UNBLOCK)

    def change(self, action: "BulkAction") -> ResponseReturnValue:
        ids = read_selected_ids(MAX_SELECTED)
        if not ids:
            flash(_("Select at least one user."), "warning")
            return redirect(url_for("manager_users.index"))
        users = queries.find_users(ids) or abort(404)
        allowed = [user for user in users if self.may_block(user)]
        if not allowed:
            abort(403)
        selected = [user for user in allowed if user.is_blocked != action.blocks]
        form = ReasonForm()
        if selected and form.validate_on_submit():
            return self.apply(action, selected, form.reason.data)
        skipped = [user for user in users if user not in selected]
        return self.render(action.template, users=selected, skipped=skipped, form=form)

    def apply(self, action: "BulkAction", users: list[User], reason: str) -> ResponseReturnValue:
        ids = [user.id for user in users]
        try:
            for user in users:
                action.apply(user, reason)
        except services.NotAllowed:  # a user has been given a role since the page was opened
            db.session.rollback()
            abort(403)
        db.session.commit()
        if not action.blocks:
            for user_id in ids:
                dispatch_owner_mailings(user_id, utcnow())
        flash(action.format_result(len(ids)), "success")
        if len(ids) == 1:
            return redirect(url_for("manager_users.show", user_id=ids[0]))
        return redirect(url_for("manager_users.index"))

    @expose("/<int:user_id>/trust", methods=("GET", "POST"))
    def trust(self, user_id: int) -> ResponseReturnValue:
        """Ask for a reason, then lift a user's limits for new accounts."""
        user = db.session.get(User, user_id) or abort(404)
        form = ReasonForm()
        if not form.validate_on_submit():
            return self.render("manager/trust.html", user=user, form=form)
        try:
            trust.trust_user(user, form.reason.data, utcnow(), current_actor())
        except services.NotAllowed:
            db.session.rollback()
            abort(403)
        db.session.commit()
        dispatch_owner_mailings(user_id, utcnow())
        flash(_("The limits for new accounts no longer apply to this user."), "success")
        return redirect(url_for("manager_users.show", user_id=user_id))

    @expose("/<int:user_id>/role", methods=("GET", "POST"))
    def role(self, user_id: int) -> ResponseReturnValue:
        """Change an account's role; only administrators can, and not for their own."""
        if current_user.role not in ADMINS or user_id == current_user.id:
            abort(403)
        user = db.session.get(User, user_id) or abort(404)
        form = RoleForm(data={"role": user.role.value})
        if form.validate_on_submit():
            try:
                services.change_role(user, Role(form.role.data), form.reason.data or "", current_actor())
            except services.LastAdmin as error:
                db.session.rollback()
                form.role.errors = [explain(error)]
            else:
                db.session.commit()
                flash(_("Role changed."), "success")
                return redirect(url_for("manager_users.show", user_id=user_id))
        return self.render("manager/role.html", user=user, form=form)


@dataclass(frozen=True)
class BulkAction:
    """An action on the selected users, and its texts."""

    blocks: bool
    template: str
    apply: Callable[[User, str], None]
    format_result: Callable[[int], str]


BLOCK = BulkAction(
    blocks=True,
    template="manager/block.html",
    apply=lambda user, reason: services.block_user(user, reason, utcnow(), current_actor()),
    format_result=lambda count: ngettext("%(num)d user blocked.", "%(num)d users blocked.", count),
)
UNBLOCK = BulkAction(
    blocks=False,
    template="manager/unblock.html",
    apply=lambda user, reason: services.unblock_user(user, reason, current_actor()),
    format_result=lambda count: ngettext("%(num)d user unblocked.", "%(num)d users unblocked.", count),
)
