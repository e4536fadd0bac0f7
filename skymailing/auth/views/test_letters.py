"""The pages with the letters added with test keys, which are not sent."""

from flask import Response, abort, render_template, request
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_required

from skymailing.auth.views.blueprint import bp
from skymailing.db.pagination import paginate
from skymailing.letters import caught
from skymailing.mail_catcher.parts import read_part
from skymailing.models import CaughtLetter
from skymailing.web.letter_pages import seal_frame


@bp.get("/api-keys/test-letters")
@login_required
def test_letters() -> ResponseReturnValue:
    """List the letters of the user's test keys, newest first."""
    page = paginate(caught.select_caught(current_user.id), caught.NEWEST_FIRST, request.args.get("cursor"))
    return render_template("auth/test_letters.html", page=page)


@bp.get("/api-keys/test-letters/<big:caught_id>")
@login_required
def test_letter(caught_id: int) -> ResponseReturnValue:
    """Show a letter as its recipient would see it."""
    letter = get_own_letter(caught_id)
    message = caught.parse(letter)
    return render_template(
        "auth/test_letter.html",
        letter=letter,
        message=message,
        text=read_part(message, "plain"),
        has_html=message.get_body(("html",)) is not None,
    )


@bp.get("/api-keys/test-letters/<big:caught_id>/html")
@login_required
def test_letter_html(caught_id: int) -> Response:
    """Serve only the HTML part, which the page shows in a frame."""
    content = read_part(caught.parse(get_own_letter(caught_id)), "html")
    if content is None:
        abort(404)
    return seal_frame(Response(content, mimetype="text/html"))


@bp.get("/api-keys/test-letters/<big:caught_id>.eml")
@login_required
def test_letter_source(caught_id: int) -> Response:
    """Serve the letter as a file."""
    response = Response(get_own_letter(caught_id).source, mimetype="message/rfc822")
    response.headers.set("Content-Disposition", "attachment", filename=f"test-{caught_id}.eml")
    return response


def get_own_letter(caught_id: int) -> CaughtLetter:
    """Return the user's letter, or abort with 404."""
    return caught.find_caught(current_user.id, caught_id) or abort(404)
