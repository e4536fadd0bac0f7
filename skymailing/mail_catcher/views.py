"""Pages with caught letters; registered only while the mail catcher is in use."""

from dataclasses import dataclass
from email.message import EmailMessage

from flask import Blueprint, Response, abort, current_app, flash, redirect, render_template, request, url_for
from flask_babel import ngettext
from werkzeug.wrappers import Response as BaseResponse

from skymailing.db.pagination import PER_PAGE, Page
from skymailing.mail_catcher.parts import read_part
from skymailing.mail_catcher.store import CaughtLetter, LetterStore

bp = Blueprint("catcher", __name__, url_prefix="/outbox")
BLUEPRINTS = (bp,)

# A letter may use any styles but run no scripts; its links open in a new tab.
LETTER_POLICY = (
    "default-src 'none'; img-src data: https: http:; style-src 'unsafe-inline'; base-uri 'self'; "
    "frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox"
)


@dataclass(frozen=True)
class ListedLetter:
    """A row of the list."""

    letter: CaughtLetter
    headers: EmailMessage


@bp.get("/")
def index() -> str:
    query = request.args.get("q", "").strip()
    letters = get_store().list_letters(query)
    page = paginate(letters, request.args.get("cursor"))
    return render_template("mail_catcher/index.html", page=page, total=len(letters), query=query)


@bp.get("/<letter_id>")
def show(letter_id: str) -> str:
    letter = get_letter(letter_id)
    message = letter.message
    return render_template(
        "mail_catcher/show.html",
        letter=letter,
        message=message,
        text=read_part(message, "plain"),
        has_html=message.get_body(("html",)) is not None,
    )


@bp.get("/<letter_id>/html")
def html(letter_id: str) -> Response:
    """Serve only the HTML part, which the page shows in a frame."""
    content = read_part(get_letter(letter_id).message, "html")
    if content is None:
        abort(404)
    response = Response(f'<base target="_blank">{content}', mimetype="text/html")
    response.headers["Content-Security-Policy"] = LETTER_POLICY
    return response


@bp.get("/<letter_id>.eml")
def raw(letter_id: str) -> Response:
    """Serve the letter as a file: its envelope, then the unchanged message."""
    response = Response(get_letter(letter_id).raw, mimetype="message/rfc822")
    response.headers.set("Content-Disposition", "attachment", filename=f"{letter_id}.eml")
    return response


@bp.route("/delete", methods=["GET", "POST"])
def delete_all() -> str | BaseResponse:
    """Confirm on GET, delete on POST."""
    if request.method == "GET":
        return render_template("mail_catcher/delete.html", total=len(get_store().list_letters()))
    count = get_store().delete_all()
    flash(ngettext("%(num)d email deleted.", "%(num)d emails deleted.", count), "success")
    return redirect(url_for("catcher.index"))


def get_store() -> LetterStore:
    return LetterStore(current_app.config["DATA_DIR"] / "outbox")


def get_letter(letter_id: str) -> CaughtLetter:
    letter = get_store().find(letter_id)
    if letter is None:
        abort(404)
    return letter


def paginate(letters: list[CaughtLetter], cursor: str | None) -> Page:
    """Return the page that starts at the letter with the ID `cursor`; new letters do not shift it."""
    start = sum(letter.id > cursor for letter in letters) if cursor else 0
    on_page = letters[start : start + PER_PAGE]
    end = start + PER_PAGE
    return Page(
        [ListedLetter(letter, letter.headers) for letter in on_page],
        next_cursor=letters[end].id if end < len(letters) else None,
        previous_cursor=letters[max(0, start - PER_PAGE)].id if start else None,
    )
