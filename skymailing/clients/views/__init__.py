"""The pages of the address book, including import, export and unsubscribing."""

from skymailing.clients.views import (
    attributes,
    bulk,
    bulk_jobs,
    clients,
    columns,
    import_export,
    merging,
    profile,
    suppressions,
    tags,
    unsubscribe,
    uploads,
)
from skymailing.clients.views.blueprint import bp

__all__ = [
    "BLUEPRINTS",
    "attributes",
    "bulk",
    "bulk_jobs",
    "clients",
    "columns",
    "import_export",
    "merging",
    "profile",
    "suppressions",
    "tags",
    "uploads",
]

BLUEPRINTS = (bp, unsubscribe.bp)
