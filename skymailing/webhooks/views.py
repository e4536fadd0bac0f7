"""The pages of webhooks."""

from flask import Blueprint, Response, flash, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user, login_required

from skymailing import hints
from skymailing.audit import current_actor
from skymailing.clock import utcnow
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.models import WebhookCall, WebhookEndpoint
from skymailing.quotas.checks import LimitReached
from skymailing.security import get_own
from skymailing.settings.retention import retention_settings
from skymailing.web.error_texts import explain
from skymailing.webhooks import queries, services
from skymailing.webhooks.forms import EndpointForm
from skymailing.webhooks.services import WebhookError
from skymailing.webhooks.urls import InvalidUrl
from skymailing.webhooks.words import DISABLED_WORDS, EVENT_WORDS, describe_response

bp = Blueprint("webhooks", __name__, url_prefix="/webhooks")
BLUEPRINTS = (bp,)


@bp.get("/")
@login_required
def index() -> ResponseReturnValue:
    """List the user's endpoints."""
    rows = queries.list_endpoints(current_user.id)
    return render_template("webhooks/index.html", rows=rows, disabled_words=DISABLED_WORDS)


@bp.route("/new", methods=["GET", "POST"])
@login_required
def new() -> ResponseReturnValue:
    """Add an endpoint, and show its secret once."""
    form = EndpointForm()
    if form.validate_on_submit():
        try:
            endpoint, secret = services.create_endpoint(current_user, form.values, utcnow(), current_actor())
        except (InvalidUrl, WebhookError, LimitReached) as error:
            refuse(form, error)
        else:
            db.session.commit()
            return show_secret(endpoint, secret)
    return render_template("webhooks/form.html", form=form, endpoint=None)


def show_secret(endpoint: WebhookEndpoint, secret: str) -> Response:
    """Return a page with a new secret, which is not shown again and not stored by browsers."""
    page = make_response(render_template("webhooks/secret.html", endpoint=endpoint, secret=secret))
    page.headers["Cache-Control"] = "no-store"
    return page


def refuse(form: EndpointForm, error: UserError) -> None:
    """Roll back the changes, and show the error in the form."""
    db.session.rollback()
    if isinstance(error, InvalidUrl):
        form.url.errors = [explain(error)]
    elif isinstance(error, WebhookError) and error.field:
        form[error.field].errors = [explain(error)]
    else:
        form.form_errors = [explain(error)]


@bp.get("/<int:endpoint_id>")
@login_required
def show(endpoint_id: int) -> ResponseReturnValue:
    """Show an endpoint with the log of its calls."""
    endpoint = get_own(WebhookEndpoint, endpoint_id)
    return render_template(
        "webhooks/show.html",
        row=queries.describe(endpoint),
        endpoint=endpoint,
        page=queries.list_calls(endpoint.id, request.args.get("cursor")),
        event_words=EVENT_WORDS,
        disabled_words=DISABLED_WORDS,
        describe_response=describe_response,
        kept_days=retention_settings().webhook_calls,
        now=utcnow(),
    )


@bp.route("/<int:endpoint_id>/edit", methods=["GET", "POST"])
@login_required
def edit(endpoint_id: int) -> ResponseReturnValue:
    """Change the address or the events of an endpoint."""
    endpoint = get_own(WebhookEndpoint, endpoint_id)
    form = EndpointForm(data={"url": endpoint.url, "events": endpoint.events})
    if form.validate_on_submit():
        try:
            services.change_endpoint(endpoint, form.values, current_actor())
        except (InvalidUrl, WebhookError) as error:
            refuse(form, error)
            endpoint = get_own(WebhookEndpoint, endpoint_id)
        else:
            db.session.commit()
            flash(_("Webhook saved."), "success")
            return redirect(url_for("webhooks.show", endpoint_id=endpoint_id))
    return render_template("webhooks/form.html", form=form, endpoint=endpoint)


@bp.post("/<int:endpoint_id>/rotate")
@login_required
def rotate(endpoint_id: int) -> ResponseReturnValue:
    """Replace the secret, and show the new one once."""
    endpoint = get_own(WebhookEndpoint, endpoint_id)
    secret = services.rotate_secret(endpoint, utcnow(), current_actor())
    db.session.commit()
    return show_secret(endpoint, secret)


@bp.post("/<int:endpoint_id>/enable")
@login_required
def enable(endpoint_id: int) -> ResponseReturnValue:
    """Send events to an endpoint again."""
    services.enable_endpoint(get_own(WebhookEndpoint, endpoint_id), current_actor())
    db.session.commit()
    hints.hint_webhooks()
    flash(_("The webhook is on."), "success")
    return redirect(url_for("webhooks.show", endpoint_id=endpoint_id))


@bp.post("/<int:endpoint_id>/disable")
@login_required
def disable(endpoint_id: int) -> ResponseReturnValue:
    """Stop sending events to an endpoint."""
    services.disable_endpoint(get_own(WebhookEndpoint, endpoint_id), current_actor())
    db.session.commit()
    flash(_("The webhook is off."), "success")
    return redirect(url_for("webhooks.show", endpoint_id=endpoint_id))


@bp.post("/<int:endpoint_id>/test")
@login_required
def test(endpoint_id: int) -> ResponseReturnValue:
    """Let a worker send a test event."""
    endpoint = get_own(WebhookEndpoint, endpoint_id)
    try:
        services.send_test(endpoint, utcnow())
    except (WebhookError, LimitReached) as error:
        db.session.rollback()
        flash(explain(error), "danger")
    else:
        db.session.commit()
        flash(_("The test is being sent. Reload this page to see the response."), "success")
    return redirect(url_for("webhooks.show", endpoint_id=endpoint_id))


@bp.post("/calls/<big:call_id>/again")
@login_required
def again(call_id: int) -> ResponseReturnValue:
    """Let a worker send a call again."""
    call = get_own(WebhookCall, call_id)
    endpoint_id = call.endpoint_id
    try:
        services.send_again(call, utcnow())
    except (WebhookError, LimitReached) as error:
        db.session.rollback()
        flash(explain(error), "danger")
    else:
        db.session.commit()
        hints.hint_webhooks()
        flash(_("The event is being sent again. Reload this page to see the response."), "success")
    return redirect(url_for("webhooks.show", endpoint_id=endpoint_id))


@bp.route("/<int:endpoint_id>/delete", methods=["GET", "POST"])
@login_required
def delete(endpoint_id: int) -> ResponseReturnValue:
    """Ask for confirmation, then delete an endpoint with its log."""
    endpoint = get_own(WebhookEndpoint, endpoint_id)
    if request.method == "POST":
        services.delete_endpoint(endpoint, current_actor())
        db.session.commit()
        flash(_("Webhook deleted."), "success")
        return redirect(url_for("webhooks.index"))
    return render_template("webhooks/delete.html", endpoint=endpoint)
