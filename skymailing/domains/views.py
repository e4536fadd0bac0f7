"""The pages of sending domains."""

from dataclasses import dataclass

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user, login_required

from skymailing import hints
from skymailing.audit import current_actor
from skymailing.clock import utcnow
from skymailing.domains import services
from skymailing.domains.forms import DomainForm, SigningForm
from skymailing.domains.probes import describe_probe, request_probe
from skymailing.domains.queries import count_dependent_senders
from skymailing.domains.records import DnsRecord, Purpose, list_records
from skymailing.domains.verification import TAKEN_ANSWER
from skymailing.extensions import db
from skymailing.models import RecordState, SendingDomain
from skymailing.outbox.probes import find_probe_mailbox
from skymailing.quotas.checks import LimitReached
from skymailing.security import get_own
from skymailing.web.error_texts import explain

bp = Blueprint("domains", __name__, url_prefix="/domains")
BLUEPRINTS = (bp,)


@dataclass(frozen=True, slots=True)
class RecordRow:
    """A record as shown on the page."""

    record: DnsRecord
    title: str
    help: str
    state: RecordState
    found: str
    problem: str


@bp.route("/new", methods=["GET", "POST"])
@login_required
def new() -> ResponseReturnValue:
    """Add a domain, and show the records to create."""
    form = DomainForm()
    if form.validate_on_submit():
        try:
            domain = services.add_domain(current_user, form.name.data, utcnow())
        except (services.DomainError, LimitReached) as error:
            db.session.rollback()
            form.name.errors = [explain(error)]
        else:
            db.session.commit()
            hints.hint_domain(domain.id)
            return redirect(url_for("domains.show", domain_id=domain.id))
    return render_template("domains/new.html", form=form)


@bp.get("/<int:domain_id>")
@login_required
def show(domain_id: int) -> ResponseReturnValue:
    """Show the records to create, and whether they were found in DNS."""
    domain = get_own(SendingDomain, domain_id)
    return render_template(
        "domains/show.html",
        domain=domain,
        probe=describe_probe(domain, utcnow()),
        has_mailbox=bool(find_probe_mailbox()),
        rows=[describe(domain, record) for record in list_records(domain)],
        form=SigningForm(obj=domain),
        can_replace_key=bool(domain.keys and domain.keys[-1].published_at),
    )


def describe(domain: SendingDomain, record: DnsRecord) -> RecordRow:
    """Return a record with its texts for the page."""
    titles = {
        Purpose.OWNERSHIP: (_("Ownership"), _("Proves that the domain is yours.")),
        Purpose.SIGNATURE: (
            _("Signature (DKIM)"),
            _("Lets mail services check that your emails really come from you."),
        ),
        Purpose.POLICY: (
            _("Policy (DMARC)"),
            _("Gmail and Yahoo require it from bulk senders. If you have such a record, keep it."),
        ),
    }
    title, help_text = titles[record.purpose]
    finding = domain.findings.get(record.purpose, {})
    found = finding.get("found", "")
    problem = ""
    if record.purpose is Purpose.OWNERSHIP and found == TAKEN_ANSWER:
        found, problem = "", _("Another account has verified this domain.")
    state = RecordState(finding.get("state", RecordState.UNKNOWN))
    return RecordRow(record, title, help_text, state, found, problem)


@bp.post("/<int:domain_id>/check")
@login_required
def check(domain_id: int) -> ResponseReturnValue:
    """Check the records in DNS again."""
    services.request_check(get_own(SendingDomain, domain_id), utcnow())
    return check_soon(domain_id)


@bp.post("/<int:domain_id>/probe")
@login_required
def probe(domain_id: int) -> ResponseReturnValue:
    """Send a test email from the domain to ourselves."""
    try:
        request_probe(get_own(SendingDomain, domain_id), utcnow())
    except services.DomainError as error:
        db.session.rollback()
        flash(explain(error), "warning")
    else:
        db.session.commit()
        hints.hint_outbox()
    return redirect(url_for("domains.show", domain_id=domain_id))


@bp.post("/<int:domain_id>/key")
@login_required
def replace_key(domain_id: int) -> ResponseReturnValue:
    """Create a new key; the current one signs until the new record is found."""
    try:
        services.replace_key(get_own(SendingDomain, domain_id), utcnow())
    except services.DomainError as error:
        db.session.rollback()
        flash(explain(error), "warning")
        return redirect(url_for("domains.show", domain_id=domain_id))
    flash(_("Create the new record. The current key is used until it is found."), "success")
    return check_soon(domain_id)


@bp.post("/<int:domain_id>/signing")
@login_required
def choose_signing(domain_id: int) -> ResponseReturnValue:
    """Choose who signs the domain's emails."""
    domain, form = get_own(SendingDomain, domain_id), SigningForm()
    if form.validate_on_submit():
        services.choose_signing(domain, bool(form.is_signed.data), utcnow())
    return check_soon(domain_id)


def check_soon(domain_id: int) -> ResponseReturnValue:
    """Commit, ask a worker to check the domain, and show its page."""
    db.session.commit()
    hints.hint_domain(domain_id)
    return redirect(url_for("domains.show", domain_id=domain_id))


@bp.route("/<int:domain_id>/delete", methods=["GET", "POST"])
@login_required
def delete(domain_id: int) -> ResponseReturnValue:
    """Ask for confirmation, then delete a domain."""
    domain = get_own(SendingDomain, domain_id)
    if request.method == "POST":
        services.delete_domain(domain, current_actor())
        db.session.commit()
        flash(_("Domain deleted."), "success")
        return redirect(url_for("senders.index"))
    senders = count_dependent_senders(domain)
    return render_template("domains/delete.html", domain=domain, senders=senders)
