"""The owner's pages of topics."""

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user, login_required
from flask_wtf import FlaskForm

from skymailing.audit import current_actor
from skymailing.clients.named_conditions import list_segments
from skymailing.extensions import db
from skymailing.models import Topic
from skymailing.quotas.checks import LimitReached
from skymailing.security import get_own
from skymailing.topics import queries, services
from skymailing.topics.forms import TopicForm
from skymailing.web.error_texts import explain

bp = Blueprint("topics", __name__, url_prefix="/topics")
BLUEPRINTS = (bp,)


@bp.get("/")
@login_required
def index() -> ResponseReturnValue:
    """List the user's topics, with the number of people who joined and left each."""
    topics = queries.list_topics(current_user.id)
    counts = queries.count_choices(current_user.id)
    rows = [(topic, counts.get(topic.id, queries.Counts())) for topic in topics]
    return render_template("topics/index.html", rows=rows)


@bp.route("/new", methods=["GET", "POST"])
@login_required
def new() -> ResponseReturnValue:
    """Add a topic."""
    form = TopicForm(data={"is_public": True})
    if form.validate_on_submit():
        try:
            services.add_topic(current_user.id, form.values)
        except (services.TopicError, LimitReached) as error:
            show_error(form, error)
        else:
            return finish()
    return render_template("topics/form.html", form=form, topic=None)


@bp.route("/<int:topic_id>/edit", methods=["GET", "POST"])
@login_required
def edit(topic_id: int) -> ResponseReturnValue:
    """Change a topic."""
    topic = get_own(Topic, topic_id)
    form = TopicForm(obj=topic)
    if form.validate_on_submit():
        try:
            services.change_topic(topic, form.values)
        except services.TopicError as error:
            show_error(form, error)
            topic = get_own(Topic, topic_id)
        else:
            return finish()
    return render_template("topics/form.html", form=form, topic=topic)


def show_error(form: TopicForm, error: services.TopicError | LimitReached) -> None:
    """Roll back the changes, and show the error in the form."""
    db.session.rollback()
    if isinstance(error, LimitReached):
        form.form_errors = [explain(error)]
    else:
        form.name.errors = [*form.name.errors, explain(error)]


def finish() -> ResponseReturnValue:
    """Commit a saved topic."""
    db.session.commit()
    flash(_("Topic saved."), "success")
    return redirect(url_for("topics.index"))


@bp.post("/<int:topic_id>/up")
@login_required
def move_up(topic_id: int) -> ResponseReturnValue:
    """Move a topic up in the order in which clients see the topics."""
    services.move_up(get_own(Topic, topic_id))
    db.session.commit()
    return redirect(url_for("topics.index"))


@bp.route("/<int:topic_id>/delete", methods=["GET", "POST"])
@login_required
def delete(topic_id: int) -> ResponseReturnValue:
    """Ask for confirmation, then delete a topic that no unfinished mailing uses."""
    topic, form, refusal = get_own(Topic, topic_id), FlaskForm(), None
    try:
        services.check_unused(topic.id)
        if form.validate_on_submit():
            services.delete_topic(topic, current_actor())
            db.session.commit()
            flash(_("Topic deleted."), "success")
            return redirect(url_for("topics.index"))
    except services.TopicInUse as error:
        refusal = explain(error)
    page = render_template(
        "topics/delete.html",
        topic=topic,
        refusal=refusal,
        mailings=list(db.session.scalars(queries.find_blocking_mailings(topic.id))),
        counts=queries.count_choices(current_user.id).get(topic.id, queries.Counts()),
        segments=list_segments(current_user.id, "topic", topic.name_key),
    )
    return page, 409 if refusal and form.is_submitted() else 200
