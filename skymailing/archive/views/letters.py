"""Show recipients their letter in a browser, through the signed link in it; they need no account."""

from flask import Blueprint, make_response, render_template
from flask.typing import ResponseReturnValue
from markupsafe import escape

from skymailing.archive import letters
from skymailing.archive.letters import LetterGone, LetterHidden
from skymailing.archive.pages import complete_page, lay_out
from skymailing.db.engine import reading_engine
from skymailing.delivery.rendering.letter import TemplateError
from skymailing.extensions import limiter
from skymailing.web.error_texts import explain
from skymailing.web.letter_pages import seal_page
from skymailing.web.urls import BROWSER_PREFIX
from skymailing.web.user_turns import take_turn

bp = Blueprint("letters", __name__, url_prefix=BROWSER_PREFIX)

NOINDEX = '<meta name="robots" content="noindex">'


@bp.get("/<token>")
@limiter.limit("120 per minute")
def show(token: str) -> ResponseReturnValue:
    """Show the letter to which a token belongs."""
    try:
        with reading_engine().connect() as connection:
            letter = letters.find_letter(connection, token)
        # If an owner's template takes long to render, only letters of the same owner have to wait.
        with take_turn(f"letters-{letter.owner_id}"):
            rendered = letters.render_letter(letter)
    except LetterHidden as error:
        return render_template("archive/no_letter.html", text=explain(error)), 404
    except (LetterGone, TemplateError):  # values that have changed since then may break the template
        return render_template("archive/no_letter.html", text=explain(LetterGone())), 410
    page = lay_out(rendered, letter.content.language)
    head = f"<title>{escape(rendered.subject)}</title>{NOINDEX}"
    response = seal_page(make_response(complete_page(page, head)))
    response.headers["X-Robots-Tag"] = "noindex"
    response.headers["Cache-Control"] = "private, no-store"
    return response
