"""The audit log: administrators see all entries, managers only their own actions."""

from flask import request
from flask.typing import ResponseReturnValue
from flask_admin import expose
from flask_login import current_user

from skymailing.manager import queries
from skymailing.manager.forms import AuditFilter
from skymailing.manager.views.base import PanelView
from skymailing.models import AuditAction


class AuditView(PanelView):
    @expose("/")
    def index(self) -> ResponseReturnValue:
        """List the entries of the audit log."""
        form = AuditFilter(formdata=request.args)
        form.validate()
        page = queries.list_audit(
            current_user,
            form.text("q"),
            form.member("action", AuditAction),
            form.utc_range(),
            request.args.get("cursor"),
        )
        return self.render("manager/audit.html", page=page, form=form)
