"""The fields with which a message's files are attached and removed."""

from collections.abc import Sequence

from flask_babel import lazy_gettext as _l
from flask_wtf.file import MultipleFileField
from wtforms import SelectMultipleField
from wtforms.validators import ValidationError

from skymailing.errors import UserError
from skymailing.messages.files import FileChanges, NewFile, check_total, read_upload
from skymailing.models import MessageFile
from skymailing.settings.quotas import QuotaSettings, quota_settings
from skymailing.web.error_texts import explain
from skymailing.web.ids import parse_big_id


class FileFields:
    """The part of the message form with the files to attach and to remove."""

    files = MultipleFileField(_l("Attach files"))
    removed_files = SelectMultipleField(coerce=parse_big_id, validate_choice=False)

    # The files that the message has.
    current_files: Sequence[MessageFile] = ()
    _new_files: Sequence[NewFile] = ()

    @property
    def file_limits(self) -> QuotaSettings:
        return quota_settings()

    def validate_files(self, field: MultipleFileField) -> None:
        """Read the files; check each of them, and their total size."""
        try:
            self._new_files = [read_upload(file.filename or "", file.stream) for file in field.data or ()]
            removed = set(self.removed_files.data or ())
            kept = [file.file.size for file in self.current_files if file.id not in removed]
            check_total([*kept, *(len(file.content) for file in self._new_files)])
        except UserError as error:
            raise ValidationError(explain(error)) from error
        finally:
            for file in field.data or ():
                file.close()  # large uploads are temporary files

    def read_files(self) -> FileChanges:
        """Return the changes that were submitted."""
        return FileChanges(self._new_files, frozenset(self.removed_files.data or ()))
