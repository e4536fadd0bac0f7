"""The page where recipients choose topics, through the signed link in their letters; they need no account."""

from flask import Blueprint, current_app, render_template, request
from flask.typing import ResponseReturnValue

from skymailing.brand.queries import find_brand
from skymailing.clients import open_choice, opt_outs, suppression
from skymailing.clients.consents import list_consents
from skymailing.clients.language_choice import find_language, save_language
from skymailing.clients.views.letter_links import Recipient, read_recipient
from skymailing.clients.views.unsubscribe import read_evidence, show_bad_link
from skymailing.clock import utcnow
from skymailing.extensions import csrf, db
from skymailing.models import Consent, ConsentPurpose
from skymailing.tokens import BadToken
from skymailing.web.ids import read_id
from skymailing.web.urls import PREFERENCES_PREFIX

bp = Blueprint("preferences", __name__, url_prefix=PREFERENCES_PREFIX)
# Mail programs open links in browsers that keep no cookies. The signed link is proof enough.
csrf.exempt(bp)
bp.register_error_handler(BadToken, show_bad_link)


@bp.route("/<token>", methods=["GET", "POST"])
def page(token: str) -> ResponseReturnValue:
    """Show the topics, and save which of them the person gets; saving again changes nothing."""
    recipient = read_recipient(token)
    if recipient.owner is None:
        return render_template("clients/unsubscribe_gone.html", recipient=recipient)
    is_saved = request.method == "POST"
    if is_saved:
        save(recipient)
        db.session.commit()
    consents = list_consents(recipient.owner_id, recipient.email_key)
    return render_template(
        "clients/preferences.html",
        brand=find_brand(recipient.owner),
        recipient=recipient,
        states=recipient.list_topics(),
        suppressed=suppression.find_suppression(recipient.owner_id, recipient.email_key),
        consent=next((consent for consent in consents if consent.text and is_about_letters(consent)), None),
        counting=open_choice.find_counting(recipient.owner_id),
        allows_opens=open_choice.is_allowed(recipient.owner_id, recipient.email_key),
        opens_text=open_choice.describe_choice(),
        language=find_language(recipient.owner_id, recipient.email_key),
        is_saved=is_saved,
    )


def is_about_letters(consent: Consent) -> bool:
    return consent.purpose == ConsentPurpose.LETTERS


def save(recipient: Recipient) -> None:
    """Save the language, the changed topics, and whether opens may be counted.

    Only topics that the person changed after opening the page are saved.
    """
    shown = set(map(read_id, request.form.getlist("shown")))
    ticked = set(map(read_id, request.form.getlist("topic")))
    chosen = {
        state.topic.id: state.topic.id in ticked
        for state in recipient.list_topics()
        if (state.topic.id in ticked) != (state.topic.id in shown)
    }
    language = request.form.get("language")
    if language is not None and find_language(recipient.owner_id, recipient.email_key) is not None:
        known = current_app.config["LANGUAGES"]
        save_language(recipient.owner_id, recipient.email_key, language, known)
    allowed, is_ticked = request.form.get("allowed_opens"), "opens" in request.form
    if allowed is not None and is_ticked is not bool(allowed):
        person = (recipient.owner_id, recipient.email_key)
        open_choice.save_choice(*person, is_ticked, utcnow(), read_evidence())
    opt_outs.save_choices(recipient.owner_id, recipient.email_key, chosen, utcnow())
