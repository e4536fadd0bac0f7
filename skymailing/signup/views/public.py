"""The public page of a form, and the page that confirms an address. Visitors need no account.

They work from any website and without JavaScript, and set no cookie: the blueprint is exempt from CSRF
protection, which would need one. A request does nothing but send a letter to the address in it.
"""

from uuid import UUID

from flask import Blueprint, Response, abort, make_response, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import force_locale

from skymailing import hints
from skymailing.clock import utcnow
from skymailing.db.engine import start_writing, starts_reading
from skymailing.errors import UserError
from skymailing.extensions import csrf, db
from skymailing.models import SignupForm
from skymailing.outbox.signup_letters import read_signup_token
from skymailing.security import BadToken
from skymailing.signup import fields, queries
from skymailing.signup.confirmation import confirm_signup
from skymailing.signup.fields import Entry, list_fields, read_entry
from skymailing.signup.mail_domains import may_accept_mail
from skymailing.signup.protection import Passage, Visitor, judge
from skymailing.signup.requests import Request, request_signup
from skymailing.signup.stamps import make_page_stamp, make_step_stamp
from skymailing.signup.texts import read_texts
from skymailing.web.error_texts import explain

bp = Blueprint("signup", __name__, url_prefix="/f")
csrf.exempt(bp)


@bp.route("/<uuid:uuid>", methods=["GET", "POST"])
@starts_reading
def show(uuid: UUID) -> ResponseReturnValue:
    """Show a form, and receive it from this page or from any website."""
    form = load_form(uuid)
    with force_locale(form.language):
        if not queries.is_accepting(form):
            return render_template("signup/closed.html", form=form, texts=read_texts(form)), 410
        if request.method == "POST":
            return keep_private(receive(form))
        return show_form(form, Entry({}))


def load_form(uuid: UUID) -> SignupForm:
    """Return the form, or abort with 404. It is detached: what follows asks Redis and DNS."""
    form = queries.find_form(str(uuid))
    if form is None:
        abort(404)
    db.session.expunge_all()
    db.session.rollback()
    return form


def receive(form: SignupForm) -> ResponseReturnValue:
    """Handle a submitted form. The answer is the same for all addresses, known or not."""
    entry = read_entry(form, request.form)
    if request.form.get(fields.TRAP):
        return show_sent(form)  # a program, which learns nothing
    if entry.errors:
        return show_form(form, entry)
    now, visitor = utcnow(), read_visitor()
    stamp, proof = request.form.get(fields.STAMP, ""), request.form.get(fields.PROOF, "")
    verdict = judge(form, entry.email_key, visitor, stamp, proof, now)
    if verdict.passage is Passage.STEP:
        new_stamp = make_step_stamp(form.uuid, entry.email_key, verdict.bits, now)
        return render_template(
            "signup/step.html",
            form=form,
            texts=read_texts(form),
            entry=entry,
            stamp=new_stamp,
            bits=verdict.bits,
        )
    if verdict.passage is Passage.REFUSED:
        return show_form(form, entry, explain(UserError("form_network_limit"))), 429
    if not may_accept_mail(entry.email):
        domain = entry.email.rpartition("@")[2]
        entry.errors[fields.EMAIL] = explain(UserError("form_mail_domain", domain=domain))
        return show_form(form, entry)
    start_writing()
    current = queries.get_open_form(form.id)
    if current is None:
        abort(404)  # closed or deleted in the meantime
    request_signup(current, Request(entry.email, entry.values), visitor, now)
    db.session.commit()
    hints.hint_outbox()
    return show_sent(form)


def read_visitor() -> Visitor:
    return Visitor(request.remote_addr or "", request.headers.get("User-Agent", ""))


def show_form(form: SignupForm, entry: Entry, problem: str = "") -> str:
    return render_template(
        "signup/form.html",
        form=form,
        texts=read_texts(form),
        fields=list_fields(form),
        entry=entry,
        problem=problem,
        stamp=make_page_stamp(form.uuid, utcnow()),
    )


def show_sent(form: SignupForm) -> str:
    return render_template("signup/sent.html", form=form, texts=read_texts(form))


@bp.route("/<uuid:uuid>/confirm/<token>", methods=["GET", "POST"])
def confirm(uuid: UUID, token: str) -> ResponseReturnValue:
    """Show a button on GET, since mail scanners follow links; confirm on POST, which may be repeated."""
    form = queries.find_form(str(uuid))
    if form is None:
        abort(404)
    with force_locale(form.language):
        try:
            if request.method == "POST":
                signup = confirm_signup(token, form.uuid, read_visitor(), utcnow())
            else:
                signup = read_signup_token(token, form.uuid)
        except BadToken as error:
            db.session.rollback()
            page = render_template("signup/failed.html", form=form, reason=error.reason)
            return keep_private((page, 410))
        is_done = signup.confirmed_at is not None
        agreed = signup.text.text if signup.text else ""
        if request.method == "POST":
            db.session.commit()
        page = render_template(
            "signup/confirm.html", form=form, texts=read_texts(form), is_done=is_done, agreed=agreed
        )
        return keep_private(page)


def keep_private(result: ResponseReturnValue) -> Response:
    """Keep pages with addresses and tokens out of all caches and search engines."""
    response = make_response(result)
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Robots-Tag"] = "noindex"
    return response
