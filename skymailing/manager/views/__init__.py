"""The pages of the manager panel, registered with Flask-Admin."""

from flask import Flask
from flask_admin import Admin
from flask_admin.theme import Theme
from flask_babel import lazy_gettext as _l

from skymailing.manager.views.articles import ArticlesView
from skymailing.manager.views.audit_log import AuditView
from skymailing.manager.views.mailings import MailingsView
from skymailing.manager.views.overview import Overview
from skymailing.manager.views.runs import RunsView
from skymailing.manager.views.sending import ReputationView, ReturnedView, SendersView
from skymailing.manager.views.users import UsersView


def register(app: Flask) -> None:
    """Add the panel's pages to the app."""
    # A folder that does not exist, so that none of Flask-Admin's templates can be rendered by mistake.
    theme = Theme(folder="none", base_template="manager/panel.html")
    overview = Overview(_l("Overview"), None, "manager", "/manager", menu_icon_value="bar-chart")
    panel = Admin(app, "SkyMailing", "/manager", index_view=overview, endpoint="manager", theme=theme)
    panel.add_views(
        MailingsView(_l("Mailings"), None, "manager_mailings", "mailings", menu_icon_value="send"),
        RunsView(_l("Sends"), None, "manager_runs", "runs", menu_icon_value="calendar-event"),
        ReputationView(
            _l("Reputation"), None, "manager_reputation", "reputation", menu_icon_value="exclamation-triangle"
        ),
        ReturnedView(_l("Returned"), None, "manager_returned", "returned", menu_icon_value="inbox"),
        SendersView(_l("Senders"), None, "manager_senders", "senders", menu_icon_value="envelope-paper"),
        UsersView(_l("Users"), None, "manager_users", "users", menu_icon_value="people"),
        ArticlesView(_l("Articles"), None, "manager_articles", "articles", menu_icon_value="newspaper"),
        AuditView(_l("Audit log"), None, "manager_audit", "audit", menu_icon_value="journal-text"),
    )
