"""The public page of a form, and the page that confirms an address. Visitors need no account.

The form works from any website and without JavaScript, and sets no cookie. So the blueprint is exempt from
CSRF protection, which would need a cookie. A request only sends a letter to the address in it.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, abort, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import force_locale

from skymailing import hints
from skymailing.brand.queries import PublicBrand, describe_brand
from skymailing.clock import utcnow
from skymailing.db.engine import start_writing, starts_reading
from skymailing.errors import UserError
from skymailing.extensions import csrf, db
from skymailing.models import SignupForm
from skymailing.outbox.signup_letters import read_signup_token
from skymailing.signup import fields, queries
from skymailing.signup.confirmation import confirm_signup
from skymailing.signup.fields import Entry, list_fields, read_entry
from skymailing.signup.mail_domains import may_accept_mail
from skymailing.signup.protection import Passage, Visitor, judge
from skymailing.signup.requests import Request, request_signup
from skymailing.signup.stamps import make_page_stamp, make_step_stamp
from skymailing.signup.texts import read_texts
from skymailing.tokens import BadToken
from skymailing.web.error_texts import explain

bp = Blueprint("signup", __name__, url_prefix="/f")
csrf.exempt(bp)


@dataclass(frozen=True, slots=True)
class PublicForm:
    """A form, and its owner's brand."""

    form: SignupForm
    brand: PublicBrand

    def render(self, page: str, **values: Any) -> str:
        """Render a page of the form."""
        texts = read_texts(self.form)
        return render_template(f"signup/{page}.html", form=self.form, brand=self.brand, texts=texts, **values)

    def render_form(self, entry: Entry, problem: str = "") -> str:
        """Render the form itself, with the visitor's input."""
        stamp = make_page_stamp(self.form.uuid, utcnow())
        questions = list_fields(self.form)
        return self.render("form", fields=questions, entry=entry, problem=problem, stamp=stamp)


@bp.route("/<uuid:uuid>", methods=["GET", "POST"])
@starts_reading
def show(uuid: UUID) -> ResponseReturnValue:
    """Show a form, and accept submissions from this page or from any website."""
    if not request.path.endswith(str(uuid)):
        # The UUID contains capital letters. With several URLs per page, anyone could fill the cache with
        # copies.
        return redirect(url_for("signup.show", uuid=uuid), 308)
    shown = load(uuid)
    with force_locale(shown.form.language):
        if not queries.is_accepting(shown.form):
            return shown.render("closed"), 410
        if request.method == "POST":
            return keep_private(receive(shown))
        return shown.render_form(Entry({}))


def load(uuid: UUID) -> PublicForm:
    """Return the form, or abort with 404.

    The form is detached, since the view must not keep a transaction open while it queries Redis and DNS, or
    renders a page.
    """
    found = queries.find_public_form(str(uuid))
    if found is None:
        abort(404)
    form, brand = found
    shown = PublicForm(form, describe_brand(form.owner, brand))
    db.session.expunge_all()
    db.session.rollback()
    return shown


def receive(shown: PublicForm) -> ResponseReturnValue:
    """Handle a submitted form. The response is the same for all addresses, known or not."""
    form, entry = shown.form, read_entry(shown.form, request.form)
    if request.form.get(fields.TRAP):
        return shown.render("sent", entry=entry)  # a bot, from which the rejection must be hidden
    if entry.errors:
        return shown.render_form(entry)
    now, visitor = utcnow(), read_visitor()
    stamp, proof = request.form.get(fields.STAMP, ""), request.form.get(fields.PROOF, "")
    verdict = judge(form, entry.email_key, visitor, stamp, proof, now)
    if verdict.passage is Passage.STEP:
        stamp = make_step_stamp(form.uuid, entry.email_key, verdict.bits, now)
        return shown.render("step", entry=entry, stamp=stamp, bits=verdict.bits)
    if verdict.passage is Passage.REFUSED:
        return shown.render_form(entry, explain(UserError("form_network_limit"))), 429
    if not may_accept_mail(entry.email):
        domain = entry.email.rpartition("@")[2]
        entry.errors[fields.EMAIL] = explain(UserError("form_mail_domain", domain=domain))
        return shown.render_form(entry)
    start_writing()
    if not queries.keep_open(form.id):
        return shown.render("closed"), 410
    request_signup(form, Request(entry.email, entry.values, entry.allows_tracking), visitor, now)
    db.session.commit()
    hints.hint_outbox()
    return shown.render("sent", entry=entry)


def read_visitor() -> Visitor:
    return Visitor(request.remote_addr or "", request.headers.get("User-Agent", ""))


@bp.route("/<uuid:uuid>/confirm/<token>", methods=["GET", "POST"])
@starts_reading
def confirm(uuid: UUID, token: str) -> ResponseReturnValue:
    """Show a button on GET, since mail scanners follow links; confirm on POST, which may be repeated."""
    shown = load(uuid)
    with force_locale(shown.form.language):
        if not queries.has_active_owner(shown.form):
            return keep_private((shown.render("closed"), 410))
        try:
            is_done, agreed = read_or_confirm(token, shown.form.uuid)
        except BadToken as error:
            db.session.rollback()
            return keep_private((shown.render("failed", reason=error.reason), 410))
        return keep_private(shown.render("confirm", is_done=is_done, agreed=agreed))


def read_or_confirm(token: str, form_uuid: str) -> tuple[bool, str]:
    """Return whether the address of a token is confirmed, and the consent texts; raises BadToken.

    Ends the transaction, so that it is not open while the page is rendered.
    """
    if request.method == "POST":
        start_writing()
        signup = confirm_signup(token, form_uuid, read_visitor(), utcnow())
    else:
        signup = read_signup_token(token, form_uuid)
    texts = [text.text for text in (signup.text, signup.tracking_text) if text]
    found = signup.confirmed_at is not None, "\n".join(texts)
    db.session.commit()
    if request.method == "POST":
        hints.hint_sequences()  # a welcome letter should follow immediately
    return found


def keep_private(result: ResponseReturnValue) -> Response:
    """Keep pages with addresses and tokens out of all caches and search engines."""
    response = make_response(result)
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Robots-Tag"] = "noindex"
    return response
