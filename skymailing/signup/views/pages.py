"""List, show and edit an owner's sign-up forms."""

from dataclasses import replace

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import force_locale, get_locale
from flask_babel import gettext as _
from flask_login import current_user, login_required
from wtforms.fields import SelectChoice

from skymailing.audit import current_actor
from skymailing.clients.tags import InvalidTag, list_names
from skymailing.clock import utcnow
from skymailing.delivery.senders import is_usable, service_address
from skymailing.email_addresses import display_address
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.models import SignupForm
from skymailing.quotas.checks import LimitReached
from skymailing.security import get_own
from skymailing.segments.queries import list_attributes
from skymailing.senders.queries import list_senders
from skymailing.signup import queries, services
from skymailing.signup.fields import list_fields
from skymailing.signup.forms import SignupFormEditor, name_question
from skymailing.signup.services import PLAIN_COLUMNS, FormValues
from skymailing.signup.snippet import draw_code, form_url, write_snippet
from skymailing.signup.texts import read_texts
from skymailing.topics.queries import list_topics
from skymailing.web.error_texts import explain

bp = Blueprint("forms", __name__, url_prefix="/forms")


@bp.get("/")
@login_required
def index() -> ResponseReturnValue:
    """List the user's forms with their numbers."""
    forms = queries.list_forms(current_user.id)
    numbers = queries.count_people([form.id for form in forms], utcnow())
    return render_template("forms/index.html", forms=forms, numbers=numbers, zero=queries.Numbers())


@bp.get("/<int:form_id>")
@login_required
def show(form_id: int) -> ResponseReturnValue:
    """Show a form: its numbers, its URL, and the code for a website."""
    form = get_own(SignupForm, form_id)
    numbers = queries.count_people([form.id], utcnow()).get(form.id, queries.Numbers())
    drawing, picture = draw_code(form_url(form))
    with force_locale(form.language):
        texts = read_texts(form)
    return render_template(
        "forms/show.html",
        form=form,
        fields=list_fields(form),
        texts=texts,
        numbers=numbers,
        waiting=queries.count_waiting(form.id),
        has_unusable_sender=form.sender is not None and not is_usable(form.sender),
        url=form_url(form),
        snippet=write_snippet(form),
        drawing=drawing,
        picture=picture,
    )


@bp.route("/new", methods=["GET", "POST"])
@login_required
def new() -> ResponseReturnValue:
    """Add a form."""
    editor = make_editor(None)
    if editor.validate_on_submit() and (form := save(editor, None)):
        flash(_("Form created. Copy its link or its code to your website."), "success")
        return redirect(url_for("forms.show", form_id=form.id))
    return show_editor(editor, None)


@bp.route("/<int:form_id>/edit", methods=["GET", "POST"])
@login_required
def edit(form_id: int) -> ResponseReturnValue:
    """Change a form; websites that use its code show the changes once their owner replaces the code."""
    form = get_own(SignupForm, form_id)
    editor = make_editor(form)
    if editor.validate_on_submit() and save(editor, form):
        flash(_("Form saved."), "success")
        return redirect(url_for("forms.show", form_id=form_id))
    return show_editor(editor, get_own(SignupForm, form_id))


def make_editor(form: SignupForm | None) -> SignupFormEditor:
    values = {"language": str(get_locale()), "sender": 0}
    if form is not None:
        values = {name: getattr(form, name) for name in PLAIN_COLUMNS}
        values |= {"sender": form.sender_id or 0, "tags": ", ".join(tag.name for tag in form.tags)}
        values["topics"] = [topic.id for topic in form.topics]
    editor = SignupFormEditor(data=values)
    editor.sender.choices = list_sender_choices(form)
    editor.topics.choices = [SelectChoice(topic.id, topic.name) for topic in list_topics(current_user.id)]
    if not editor.is_submitted():
        editor.show_questions(form, list_attributes(current_user))
    return editor


def list_sender_choices(form: SignupForm | None) -> list[SelectChoice]:
    """Return the usable senders, and the form's current one in any state."""
    current_id = form.sender_id if form else None
    senders = [s for s in list_senders(current_user.id) if is_usable(s) or s.id == current_id]
    service = display_address(service_address())
    return [SelectChoice(0, service), *(SelectChoice(s.id, display_address(s.address)) for s in senders)]


def save(editor: SignupFormEditor, form: SignupForm | None) -> SignupForm | None:
    """Save the submitted form, creating it if there is none; return None to show the page again."""
    values = editor.read_values(str(get_locale()))
    try:
        saved = create(values) if form is None else change(form, values)
    except InvalidTag as error:
        db.session.rollback()
        editor.tags.errors = [explain(error)]
        return None
    except LimitReached as error:
        db.session.rollback()
        editor.form_errors = [explain(error)]
        return None
    except UserError as error:
        db.session.rollback()
        editor.sender.errors = [explain(error)]
        return None
    db.session.commit()
    return saved


def create(values: FormValues) -> SignupForm:
    return services.add_form(current_user.id, replace(values, is_open=True))


def change(form: SignupForm, values: FormValues) -> SignupForm:
    services.change_form(form, values)
    return form


def show_editor(editor: SignupFormEditor, form: SignupForm | None) -> str:
    return render_template(
        "forms/form.html",
        form=editor,
        saved=form,
        known_tags=list_names(current_user.id),
        name_question=name_question,
    )


@bp.route("/<int:form_id>/delete", methods=["GET", "POST"])
@login_required
def delete(form_id: int) -> ResponseReturnValue:
    """Ask for confirmation, then delete a form; its clients are kept."""
    form = get_own(SignupForm, form_id)
    editor = SignupFormEditor()
    if editor.is_submitted():
        services.delete_form(form, current_actor())
        db.session.commit()
        flash(_("Form deleted."), "success")
        return redirect(url_for("forms.index"))
    return render_template("forms/delete.html", form=form)
