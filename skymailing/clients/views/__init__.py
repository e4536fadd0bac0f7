"""The pages of the address book, including import, export and unsubscribing."""

from skymailing.clients.views import attributes, clients, import_export, suppressions, unsubscribe, uploads
from skymailing.clients.views.blueprint import bp

__all__ = ["BLUEPRINTS", "attributes", "clients", "import_export", "suppressions", "uploads"]

BLUEPRINTS = (bp, unsubscribe.bp)
