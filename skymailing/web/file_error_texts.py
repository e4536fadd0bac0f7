"""Define the texts of errors about attached files, which `error_texts` shows."""

from typing import Any

from flask_babel import lazy_gettext as _l

FILE_ERROR_TEXTS: dict[str, Any] = {
    "file_nameless": _l("This file has no name."),
    "file_not_base64": _l("The content must be base64, as RFC 4648 defines it."),
    "file_empty": _l("The file “%(name)s” is empty."),
    "file_type_refused": _l(
        "The file “%(name)s” cannot be attached: mail providers refuse emails with %(extension)s files."
    ),
    "file_archive_refused": _l(
        "The archive “%(name)s” cannot be attached: it contains a %(extension)s file, which mail providers "
        "refuse."
    ),
    "file_archive_unreadable": _l("The archive “%(name)s” is damaged."),
    "file_archive_too_many": _l("The archive “%(name)s” contains more than %(limit)s files."),
    "file_too_many": _l("An email can have up to %(limit)s files."),
    "file_total_too_large": _l("The files of an email can have up to %(limit)s MB in total."),
    "file_no_space": _l(
        "Your files take up %(limit)s MB already. Remove some from your messages; files of past mailings are "
        "deleted with their details."
    ),
}
