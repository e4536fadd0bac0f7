"""Every account: to look at, to block and to unblock; administrators give roles."""

from collections.abc import Callable
from dataclasses import dataclass

from flask import abort, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_admin import expose
from flask_babel import gettext as _
from flask_babel import ngettext
from flask_login import current_user

from skymailing.audit import present_actor
from skymailing.auth import services
from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.mailings import tasks
from skymailing.manager import queries
from skymailing.manager.forms import ReasonForm, RoleForm, UserFilter
from skymailing.manager.views.panel import ADMINS, PanelView, asked_ids
from skymailing.models import Role, User


class UsersView(PanelView):
    @expose("/")
    def index(self) -> ResponseReturnValue:
        """List all accounts with what they have and do."""
        form = UserFilter(formdata=request.args)
        form.validate()
        page = queries.list_users(
            form.text("q"),
            form.member("role", Role),
            form.flag("blocked"),
            form.flag("confirmed"),
            form.moments(),
            request.args.get("cursor"),
        )
        return self.render(
            "manager/users.html",
            page=page,
            form=form,
            numbers=queries.count_of_users(page.items),
            may_block=self.may_block,
        )

    @expose("/<int:user_id>/")
    def show(self, user_id: int) -> ResponseReturnValue:
        """Show one account."""
        user = db.session.get(User, user_id) or abort(404)
        return self.render(
            "manager/user.html",
            user=user,
            numbers=queries.count_of_users([user])[user.id],
            mailings=queries.list_mailings_of(user.id),
            may_block=self.may_block,
            may_give_roles=current_user.role in ADMINS and user.id != current_user.id,
        )

    def may_block(self, user: User) -> bool:
        return services.may_block(user, present_actor())

    @expose("/block", methods=("GET", "POST"))
    def block(self) -> ResponseReturnValue:
        """Ask why, then shut out the users that the request names."""
        return self.change(BLOCK)

    @expose("/unblock", methods=("GET", "POST"))
    def unblock(self) -> ResponseReturnValue:
        """Ask why, then let the users in again that the request names."""
        return self.change(UNBLOCK)

    def change(self, act: "Act") -> ResponseReturnValue:
        ids = asked_ids()
        if not ids:
            flash(_("Tick the users first."), "warning")
            return redirect(url_for("manager_users.index"))
        users = queries.find_users(ids) or abort(404)
        allowed = [user for user in users if self.may_block(user)]
        if not allowed:
            abort(403)
        chosen = [user for user in allowed if user.is_blocked != act.blocks]
        form = ReasonForm()
        if chosen and form.validate_on_submit():
            return self.carry_out(act, chosen, form.reason.data)
        left_out = [user for user in users if user not in chosen]
        return self.render(act.template, users=chosen, left_out=left_out, form=form)

    def carry_out(self, act: "Act", users: list[User], reason: str) -> ResponseReturnValue:
        ids = [user.id for user in users]
        try:
            for user in users:
                act.verb(user, reason)
        except services.NotAllowed:  # a role given since the page was shown
            db.session.rollback()
            abort(403)
        db.session.commit()
        if not act.blocks:
            for user_id in ids:
                tasks.dispatch_mailings_of(user_id, utcnow())
        flash(act.done(len(ids)), "success")
        if len(ids) == 1:
            return redirect(url_for("manager_users.show", user_id=ids[0]))
        return redirect(url_for("manager_users.index"))

    @expose("/<int:user_id>/role", methods=("GET", "POST"))
    def role(self, user_id: int) -> ResponseReturnValue:
        """Give an account another role; for administrators, and not to oneself."""
        if current_user.role not in ADMINS or user_id == current_user.id:
            abort(403)
        user = db.session.get(User, user_id) or abort(404)
        form = RoleForm(data={"role": user.role.value})
        if form.validate_on_submit():
            try:
                services.change_role(user, Role(form.role.data), form.reason.data or "", present_actor())
            except services.LastAdmin:
                db.session.rollback()
                form.role.errors = [_("This is the last administrator. Make somebody else one first.")]
            else:
                db.session.commit()
                flash(_("The role is changed."), "success")
                return redirect(url_for("manager_users.show", user_id=user_id))
        return self.render("manager/role.html", user=user, form=form)


@dataclass(frozen=True)
class Act:
    """Blocking or unblocking, and what to say about it."""

    blocks: bool
    template: str
    verb: Callable[[User, str], None]
    done: Callable[[int], str]


BLOCK = Act(
    blocks=True,
    template="manager/block.html",
    verb=lambda user, reason: services.block_user(user, reason, utcnow(), present_actor()),
    done=lambda count: ngettext("%(num)d user is blocked.", "%(num)d users are blocked.", count),
)
UNBLOCK = Act(
    blocks=False,
    template="manager/unblock.html",
    verb=lambda user, reason: services.unblock_user(user, reason, present_actor()),
    done=lambda count: ngettext("%(num)d user is unblocked.", "%(num)d users are unblocked.", count),
)
