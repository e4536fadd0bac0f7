"""The page of a user's brand, and the brand's public files."""

from flask import Blueprint, Response, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user, login_required

from skymailing.brand import services
from skymailing.brand.forms import DEFAULT_COLOR, BrandForm
from skymailing.brand.queries import find_logo
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.models import Brand
from skymailing.web.colors import parse_color, write_stylesheet
from skymailing.web.error_texts import explain
from skymailing.web.images import parse_name
from skymailing.web.responses import ONE_YEAR

bp = Blueprint("brand", __name__, url_prefix="/brand")
BLUEPRINTS = (bp,)
CACHED_FOREVER = f"public, max-age={ONE_YEAR}, immutable"


@bp.route("/", methods=["GET", "POST"])
@login_required
def edit() -> ResponseReturnValue:
    """Show and save the user's name, colour and logo on public pages."""
    brand = db.session.get(Brand, current_user.id)
    saved = {
        "name": brand.name if brand else "",
        "website": brand.website if brand else "",
        "color": (brand.color if brand else "") or DEFAULT_COLOR,
    }
    logo_name = brand.logo_name if brand else ""
    has_color = bool(brand and brand.color)
    form = BrandForm(data=saved)
    if form.validate_on_submit() and _save(form):
        flash(_("Brand saved."), "success")
        return redirect(url_for("brand.edit"))
    return render_template("brand/edit.html", form=form, logo_name=logo_name, has_color=has_color)


def _save(form: BrandForm) -> bool:
    """Save the form; if the logo cannot be read, add an error to its field and return False."""
    db.session.rollback()  # no transaction is open while the logo is decoded
    file = request.files.get("logo")
    try:
        logo = services.read_logo(file.stream) if file and file.filename else None
    except UserError as error:
        form.logo.errors = [explain(error)]
        return False
    services.save_brand(current_user, form.values, logo, removes_logo=bool(form.removes_logo.data))
    db.session.commit()
    return True


@bp.get("/logos/<name>")
def logo(name: str) -> ResponseReturnValue:
    """Return a logo; its content never changes."""
    content = find_logo(name) if parse_name(name) else None
    if content is None:
        abort(404)
    return Response(content, mimetype="image/png", headers={"Cache-Control": CACHED_FOREVER})


@bp.get("/colors/<digits>.css")
def colors(digits: str) -> ResponseReturnValue:
    """Return the stylesheet for a colour, since the page's policy forbids styles in the page itself."""
    try:
        color = parse_color(f"#{digits}")
    except ValueError:
        abort(404)
    return Response(write_stylesheet(color), mimetype="text/css", headers={"Cache-Control": CACHED_FOREVER})
