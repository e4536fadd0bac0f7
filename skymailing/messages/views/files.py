"""Links to files: the page on which users create them, and the files, which anyone with the link can load."""

from contextlib import closing
from urllib.parse import quote

from flask import Response, abort, render_template
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext as _l
from flask_login import current_user, login_required
from flask_wtf import FlaskForm
from flask_wtf.file import FileField, FileRequired

from skymailing.clock import utcnow
from skymailing.db.engine import start_writing, starts_reading
from skymailing.errors import UserError
from skymailing.extensions import db, limiter
from skymailing.messages import file_links
from skymailing.messages.files import read_upload
from skymailing.messages.views.blueprint import bp
from skymailing.models import FileLink
from skymailing.settings.quotas import quota_settings
from skymailing.web.error_texts import explain
from skymailing.web.responses import ONE_YEAR
from skymailing.web.urls import public_url
from skymailing.web.user_turns import get_user_key

FILE_POLICY = "default-src 'none'; sandbox; frame-ancestors 'none'"


class FileLinkForm(FlaskForm):
    """A file to which a letter will link."""

    file = FileField(_l("File"), [FileRequired(_l("Choose a file."))])


@bp.route("/files", methods=["GET", "POST"])
@login_required
@limiter.limit("60 per hour", key_func=get_user_key, methods=["POST"])
@starts_reading
def link_file() -> ResponseReturnValue:
    """Store a file and show the public link to it."""
    form, link = FileLinkForm(), None
    if form.validate_on_submit():
        link = _store(form)
    url = public_url("messages.linked_file", token=link.token) if link else ""
    page = render_template("messages/file_link.html", form=form, link=link, url=url, limits=quota_settings())
    return page, 422 if form.is_submitted() and link is None else 200


def _store(form: FileLinkForm) -> FileLink | None:
    """Return the link to the form's file; if it is refused, add an error to its field and return None."""
    try:
        with closing(form.file.data) as upload:  # large uploads are temporary files
            file = read_upload(upload.filename or "", upload.stream)
        start_writing()
        link = file_links.add_link(current_user.id, file, utcnow())
    except UserError as error:
        db.session.rollback()
        form.file.errors = [explain(error)]
        return None
    db.session.commit()
    return link


@bp.get("/files/<token>")
@limiter.limit("120 per minute")
def linked_file(token: str) -> ResponseReturnValue:
    """Return a file, as a download, to anyone who has its link; its content never changes."""
    link = file_links.find_link(token) or abort(404)
    # A neutral type, so that browsers do not show the file as a page of this site.
    response = Response(link.file.content, mimetype="application/octet-stream")
    response.headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(link.name, safe='')}"
    response.headers["Cache-Control"] = f"public, max-age={ONE_YEAR}, immutable"
    response.headers["Content-Security-Policy"] = FILE_POLICY
    response.headers["X-Robots-Tag"] = "noindex"
    return response
