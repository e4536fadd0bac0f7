"""Define who may use which route about clients: a part of ACCESS in `decisions.py`."""

from typing import Any

from skymailing.models import DistinctGroup, RemovalKind, User
from tests.security import object_factories as objects
from tests.security.rules import PRIVATE, Own


def make_distinct_group(owner: User) -> Any:
    return objects.add(owner, DistinctGroup(owner_id=owner.id))


NO_BULK = {"action": "allow", "clients": []}
UNUSED_TAG = {"name": "vip", "clients": [], "mailings": []}
CLIENT = Own("client_id", objects.make_client)
NOTE = Own("note_id", objects.make_note)
IMPORT = Own("import_id", objects.make_import)
UPLOAD = Own("upload_id", objects.make_upload)
TAG = Own("tag_id", objects.make_tag)
BULK_JOB = Own("job_id", objects.make_bulk_job)

CLIENT_PAGES: dict[str, str | Own] = {
    **dict.fromkeys(("clients.index", "clients.attributes", "clients.new"), PRIVATE),
    **dict.fromkeys(("clients.show", "clients.edit", "clients.suppress", "clients.allow"), CLIENT),
    **dict.fromkeys(("clients.activity", "clients.duplicates", "clients.hide_duplicates"), PRIVATE),
    **dict.fromkeys(("clients.delete", "clients.merge"), CLIENT),
    "clients.merge_undo": Own("removal_id", objects.make_removal(RemovalKind.MERGE, objects.MERGED)),
    **dict.fromkeys(("clients.add_note", "clients.add_client_tags", "clients.remove_client_tag"), CLIENT),
    **dict.fromkeys(("clients.add_client_value", "clients.change_client_value"), CLIENT),
    **dict.fromkeys(("clients.delete_note", "clients.restore_note"), NOTE),
    "clients.show_again": Own("group_id", make_distinct_group),
    "clients.bulk_action": PRIVATE,
    "clients.columns": PRIVATE,
    **dict.fromkeys(("clients.open_view", "clients.save_view"), PRIVATE),
    **dict.fromkeys(("clients.delete_view", "clients.restore_view"), PRIVATE),
    "clients.bulk_show": BULK_JOB,
    "clients.bulk_stop": BULK_JOB,
    "clients.bulk_job_undo": BULK_JOB,
    "clients.bulk_undo": Own("removal_id", objects.make_removal(RemovalKind.BULK, NO_BULK)),
    "clients.undo": Own("removal_id", objects.make_removal(RemovalKind.CLIENTS, {"clients": []})),
    "clients.choose_topic": CLIENT,
    "clients.export": PRIVATE,
    "clients.tags": PRIVATE,
    "clients.tag_edit": TAG,
    "clients.tag_merge": TAG,
    "clients.tag_delete": TAG,
    "clients.tag_undo": Own("removal_id", objects.make_removal(RemovalKind.TAG, UNUSED_TAG)),
    "clients.import_new": PRIVATE,
    "clients.suppressions": PRIVATE,
    "clients.suppressions_add": PRIVATE,
    "clients.suppressions_import": PRIVATE,
    "clients.suppressions_export": PRIVATE,
    "clients.suppressions_reasons": PRIVATE,
    "clients.suppressions_lift": Own("suppression_id", objects.make_suppression),
    "clients.import_map": UPLOAD,
    "clients.import_sample": PRIVATE,
    "clients.import_show": IMPORT,
    "clients.import_rejections": IMPORT,
}
