"""The pages of the address book, including import, export, and the pages that links in letters open."""

from skymailing.clients.views import (
    activity,
    attributes,
    bulk,
    bulk_jobs,
    client_tags,
    client_values,
    clients,
    columns,
    duplicates,
    import_export,
    merging,
    notes,
    preferences,
    profile,
    saved_views,
    suppressions,
    tags,
    topics,
    unsubscribe,
    uploads,
)
from skymailing.clients.views.blueprint import bp

__all__ = [
    "BLUEPRINTS",
    "activity",
    "attributes",
    "bulk",
    "bulk_jobs",
    "client_tags",
    "client_values",
    "clients",
    "columns",
    "duplicates",
    "import_export",
    "merging",
    "notes",
    "profile",
    "saved_views",
    "suppressions",
    "tags",
    "topics",
    "uploads",
]

BLUEPRINTS = (bp, unsubscribe.bp, preferences.bp)
