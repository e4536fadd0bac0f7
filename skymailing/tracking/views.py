"""The public URLs in letters: links that count clicks, and an image that tracks opens."""

from base64 import b64decode

from flask import Blueprint, Response, g, render_template, request
from flask.typing import ResponseReturnValue

from skymailing.tracking.devices import find_device
from skymailing.tracking.hits import TRACKING_IMAGE, note_now
from skymailing.tracking.machines import judge_click, judge_open
from skymailing.tracking.redirects import HEADERS
from skymailing.tracking.targets import DisabledLink, UnknownLink, find_letter
from skymailing.web.urls import CLICK_PREFIX, OPEN_PREFIX

bp = Blueprint("tracking", __name__)
BLUEPRINTS = (bp,)

# A transparent image of one pixel.
PIXEL = b64decode(b"R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")


@bp.get(f"{CLICK_PREFIX}/<token>/<int(min=1):number>")
def click(token: str, number: int) -> ResponseReturnValue:
    """Redirect to the target of a link, which was stored when the letter was sent, and note the click."""
    try:
        letter, targets = find_letter(token, number)
    except UnknownLink:
        return render_template("tracking/no_link.html", is_disabled=False), 404
    except DisabledLink:
        return render_template("tracking/no_link.html", is_disabled=True), 410
    if request.method == "GET":
        note_now(letter, number, judge_click(request.headers), find_device(request.headers))
    g.leaves_site = True
    return Response(status=302, headers={"Location": targets.urls[number], **HEADERS})


@bp.get(f"{OPEN_PREFIX}/<token>.gif")
def picture(token: str) -> ResponseReturnValue:
    """Return a letter's tracking image, and note that it was loaded; forged tokens get the same image."""
    try:
        letter, _targets = find_letter(token, TRACKING_IMAGE)
    except (UnknownLink, DisabledLink):
        pass
    else:
        if request.method == "GET":
            note_now(letter, TRACKING_IMAGE, judge_open(request.headers))
    return Response(PIXEL, mimetype="image/gif", headers=HEADERS)
