"""The mailing pages: list, form, single mailing, buttons, runs and logs."""

from skymailing.mailings.views import actions, breakdowns, clicks, edit, index, logs, runs, show
from skymailing.mailings.views.blueprint import bp

__all__ = ["BLUEPRINTS", "actions", "breakdowns", "clicks", "edit", "index", "runs", "show"]

BLUEPRINTS = (bp, logs.bp)
