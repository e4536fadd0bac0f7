"""The page on which owners choose the types of their clients' data."""

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user, login_required

from skymailing.clients.attribute_types import ORDERS, set_types
from skymailing.clients.known_fields import list_known_attributes
from skymailing.clients.views.blueprint import bp
from skymailing.delivery.rendering.values import ValueFormats
from skymailing.extensions import db
from skymailing.models import AttributeType


@bp.route("/attributes", methods=["GET", "POST"])
@login_required
def attributes() -> ResponseReturnValue:
    """Show the attributes with their types and an example each, and change them."""
    samples = list_known_attributes(current_user.id)
    names = sorted({*samples, *current_user.attribute_types})
    if request.method == "POST":
        chosen = {name: request.form.get(f"type:{name}", "") for name in names}
        known = {name: AttributeType(type) for name, type in chosen.items() if type in set(AttributeType)}
        set_types(current_user.id, known)
        if (order := request.form.get("date_order", "")) in ORDERS:
            current_user.date_order = order
        db.session.commit()
        flash(_("Saved. Emails sent from now on use these types."), "success")
        return redirect(url_for("clients.attributes"))
    return render_template(
        "clients/attributes.html",
        names=names,
        samples=samples,
        types=current_user.attribute_types,
        is_day_first=ValueFormats.read({}, "", "", current_user.timezone).is_day_first,
    )
