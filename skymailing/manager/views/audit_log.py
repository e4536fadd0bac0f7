"""The audit log: all of it for administrators, one's own acts for managers."""

from flask import request
from flask.typing import ResponseReturnValue
from flask_admin import expose
from flask_login import current_user

from skymailing.manager import queries
from skymailing.manager.forms import AuditFilter
from skymailing.manager.views.panel import PanelView
from skymailing.models import AuditAction


class AuditView(PanelView):
    @expose("/")
    def index(self) -> ResponseReturnValue:
        """List who did what, when, from where and why."""
        form = AuditFilter(formdata=request.args)
        form.validate()
        page = queries.list_audit(
            current_user,
            form.text("q"),
            form.member("action", AuditAction),
            form.moments(),
            request.args.get("cursor"),
        )
        return self.render("manager/audit.html", page=page, form=form)
