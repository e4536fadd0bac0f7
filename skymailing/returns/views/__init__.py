"""The page of returned emails, and the webhooks of mail providers."""

from skymailing.returns.views import hooks, pages

BLUEPRINTS = (pages.bp, hooks.bp)
