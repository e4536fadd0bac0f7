"""The page of a user's brand, and the brand's public files."""

from typing import Any

from flask import Blueprint, Response, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_locale
from flask_babel import gettext as _
from flask_login import current_user, login_required

from skymailing.brand import services
from skymailing.brand.forms import DEFAULT_COLOR, OWN_FIELDS, BrandForm
from skymailing.brand.queries import find_logo
from skymailing.brand.sample import write_sample
from skymailing.delivery.composition.brands import find_owner_brand
from skymailing.delivery.composition.fonts import FONTS
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.models import Brand
from skymailing.web.colors import parse_color, write_stylesheet
from skymailing.web.error_texts import explain
from skymailing.web.letter_pages import seal_frame
from skymailing.web.picture_files import parse_name
from skymailing.web.responses import ONE_YEAR

bp = Blueprint("brand", __name__, url_prefix="/brand")
BLUEPRINTS = (bp,)
CACHED_FOREVER = f"public, max-age={ONE_YEAR}, immutable"


@bp.route("/", methods=["GET", "POST"])
@login_required
def edit() -> ResponseReturnValue:
    """Show and save how the user appears on public pages and in letters."""
    brand = db.session.get(Brand, current_user.id)
    saved = {name: getattr(brand, name) if brand else "" for name in ("name", "website", *OWN_FIELDS)}
    saved["color"] = (brand.color if brand else "") or DEFAULT_COLOR
    logo_name = brand.logo_name if brand else ""
    has_color = bool(brand and brand.color)
    form = BrandForm(data=saved)
    if form.validate_on_submit() and _save(form):
        flash(_("Brand saved."), "success")
        return redirect(url_for("brand.edit"))
    typed: dict[str, Any] = {name: form[name].data or "" for name in OWN_FIELDS}
    typed |= {"color": form.color.data} if has_color else {}
    return render_template(
        "brand/edit.html",
        form=form,
        logo_name=logo_name,
        has_color=has_color,
        default_color=DEFAULT_COLOR,
        preview_url=url_for("brand.preview", **typed),
    )


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


@bp.get("/preview")
@login_required
def preview() -> ResponseReturnValue:
    """Return a sample letter with the typed colours, font and address, for the frame on the page."""
    saved = find_owner_brand(db.session, current_user)
    return seal_frame(
        Response(write_sample(request.args, saved, get_locale().language), mimetype="text/html")
    )


@bp.get("/fonts/<name>.css")
def fonts(name: str) -> ResponseReturnValue:
    """Return the stylesheet for a font."""
    if name not in FONTS:
        abort(404)
    css = f"body {{ font-family: {FONTS[name]}; }}\n"
    return Response(css, mimetype="text/css", headers={"Cache-Control": CACHED_FOREVER})


@bp.get("/logos/<name>")
def logo(name: str) -> ResponseReturnValue:
    """Return a logo; its content never changes."""
    content = find_logo(name) if parse_name(name) else None
    if content is None:
        abort(404)
    return Response(content, mimetype="image/png", headers={"Cache-Control": CACHED_FOREVER})


@bp.get("/colors/<digits>.css")
def colors(digits: str) -> ResponseReturnValue:
    """Return the stylesheet for a colour; the Content-Security-Policy forbids styles in the page itself."""
    try:
        color = parse_color(f"#{digits}")
    except ValueError:
        abort(404)
    return Response(write_stylesheet(color), mimetype="text/css", headers={"Cache-Control": CACHED_FOREVER})
