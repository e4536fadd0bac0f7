"""Define who may use which route: ACCESS has a decision per route, TABLE the outcome per person.

A new route fails `test_matrix.py` until it has an entry in ACCESS.
"""

from skymailing.models import RemovalKind, Role
from tests.security import object_factories as objects
from tests.security import sequence_objects, sign_in_objects
from tests.security.client_decisions import CLIENT, CLIENT_PAGES
from tests.security.rules import PRIVATE, PUBLIC, Outcome, Own, OwnInPanel, Panel, Person

MESSAGE = Own("message_id", objects.make_message)
DRAFT = Own("draft_id", objects.make_draft)
ARTICLE_DRAFT = OwnInPanel("draft_id", objects.make_article_draft)
BLOCK = Own("block_id", objects.make_saved_block)
TEMPLATE = Own("template_id", objects.make_template)
LAYOUT = Own("layout_id", objects.make_layout)
MAILING = Own("mailing_id", objects.make_mailing)
RUN = Own("run_id", objects.make_run)
TRACKED_RUN = Own("run_id", objects.make_tracked_run)
LETTER = Own("letter_id", objects.make_letter)
CAUGHT = Own("caught_id", objects.make_caught_letter)
SEGMENT = Own("segment_id", objects.make_segment)
SEQUENCE = Own("sequence_id", sequence_objects.make_sequence)
STEP = Own("step_id", sequence_objects.make_step)
PLACE = Own("enrolment_id", sequence_objects.make_place)
FORM = Own("form_id", objects.make_form)
REVIEWER = Own("reviewer_id", objects.make_reviewer)
SENDER = Own("sender_id", objects.make_sender)
DOMAIN = Own("domain_id", objects.make_domain)
SERVER = Own("server_id", objects.make_server)
WEBHOOK = Own("endpoint_id", objects.make_webhook)
TOPIC = Own("topic_id", objects.make_topic)
SESSION = Own("session_id", sign_in_objects.make_session)
PASSKEY = Own("passkey_id", sign_in_objects.make_passkey)
IDENTITY = Own("identity_id", sign_in_objects.make_identity)

MANAGERS = frozenset({Role.MANAGER, Role.ADMIN})
AUTHORS = frozenset({Role.CONTENT, Role.ADMIN})
ADMINS = frozenset({Role.ADMIN})
ARTICLE = Panel(AUTHORS, "article_id", objects.make_article)

# A mailing whose message has also been deleted, so that no one can restore it.
UNRESTORABLE_MAILING = {"values": {"message_id": 0}, "clients": []}
DELETED_SEGMENT = {"name": "Omsk", "conditions": {"field": "email", "op": "is_set"}, "uses": []}

ACCESS: dict[str, str | Own | Panel] = {
    "static": PUBLIC,
    **dict.fromkeys(("home.index", "home.language", "home.privacy", "help.index", "help.page"), PUBLIC),
    **dict.fromkeys(("health.live", "health.ready"), PUBLIC),
    "home.change_guide": PRIVATE,
    "metrics.show": PUBLIC,  # only from this host, as test_metrics.py checks
    **dict.fromkeys(("blog.index", "blog.article", "blog.media"), PUBLIC),
    **dict.fromkeys(("syndication.feed", "syndication.sitemap", "syndication.robots"), PUBLIC),
    # The signed token in the URL grants access; test_tokens.py tries forged ones.
    **dict.fromkeys(("auth.verify", "auth.verify_with_new_password", "auth.reset"), PUBLIC),
    **dict.fromkeys(("auth.confirm_email", "senders.confirm", "signup.confirm"), PUBLIC),
    **dict.fromkeys(("signup.show", "unsubscribe.page", "unsubscribe.undo"), PUBLIC),
    **dict.fromkeys(("unsubscribe.give_reason", "preferences.page"), PUBLIC),
    "hooks.receive": PUBLIC,  # with a secret in its URL; test_hooks.py tries wrong ones
    **dict.fromkeys(("auth.register", "auth.registered", "auth.login", "auth.login_code"), PUBLIC),
    **dict.fromkeys(("auth.logout", "auth.resend", "auth.reset_request", "auth.reset_requested"), PUBLIC),
    **dict.fromkeys(("auth.profile", "auth.change_password", "auth.new_email", "auth.sessions"), PRIVATE),
    "auth.end_one": SESSION,
    "auth.end_others": PRIVATE,
    **dict.fromkeys(("auth.two_factor", "auth.two_factor_setup", "auth.two_factor_off"), PRIVATE),
    "auth.recovery_codes": PRIVATE,
    **dict.fromkeys(("auth.passkeys", "auth.add_passkey"), PRIVATE),
    "auth.delete_passkey": PASSKEY,
    "auth.identities": PRIVATE,
    "auth.disconnect": IDENTITY,
    **dict.fromkeys(("auth.start_at_provider", "auth.return_from_provider"), PUBLIC),
    **dict.fromkeys(("auth.passkey_challenge", "auth.login_with_passkey"), PUBLIC),
    "auth.api_keys": PRIVATE,
    "auth.revoke_api_key": Own("key_id", objects.make_api_key),
    "auth.test_letters": PRIVATE,
    **dict.fromkeys(("auth.test_letter", "auth.test_letter_html", "auth.test_letter_source"), CAUGHT),
    **dict.fromkeys(("account.export", "account.delete", "account.leaving"), PRIVATE),
    **CLIENT_PAGES,
    **dict.fromkeys(("sequences.index", "sequences.new"), PRIVATE),
    **dict.fromkeys(
        [f"sequences.{name}" for name in ("show", "edit", "start", "pause", "archive", "decide", "delete")],
        SEQUENCE,
    ),
    **dict.fromkeys(("sequences.new_step", "sequences.list_people", "sequences.add_person"), SEQUENCE),
    **dict.fromkeys(("sequences.edit_step", "sequences.move_step", "sequences.remove_step"), STEP),
    "sequences.add_from_client": CLIENT,
    "sequences.change_place": PLACE,
    "segments.index": PRIVATE,
    "segments.new": PRIVATE,
    "segments.preview": PRIVATE,
    **dict.fromkeys(("segments.values", "segments.save_activity"), PRIVATE),
    "segments.show": SEGMENT,
    "segments.edit": SEGMENT,
    "segments.duplicate": SEGMENT,
    "segments.delete": SEGMENT,
    "segments.undo": Own("removal_id", objects.make_removal(RemovalKind.SEGMENT, DELETED_SEGMENT)),
    **dict.fromkeys(("brand.edit", "brand.preview"), PRIVATE),
    **dict.fromkeys(("brand.fonts", "brand.logo", "brand.colors"), PUBLIC),
    **dict.fromkeys(("forms.index", "forms.new"), PRIVATE),
    "forms.show": FORM,
    "forms.edit": FORM,
    "forms.delete": FORM,
    **dict.fromkeys(("topics.index", "topics.new"), PRIVATE),
    "topics.edit": TOPIC,
    "topics.move_up": TOPIC,
    "topics.delete": TOPIC,
    **dict.fromkeys(
        ("transactional.index", "transactional.resume", "transactional.settle_unknowns", "palette.index"),
        PRIVATE,
    ),
    "transactional.show": LETTER,
    "transactional.show_html": LETTER,
    "senders.index": PRIVATE,
    "senders.new": PRIVATE,
    "senders.edit": SENDER,
    "senders.resend": SENDER,
    "senders.delete": SENDER,
    "domains.new": PRIVATE,
    "domains.show": DOMAIN,
    "domains.check": DOMAIN,
    "domains.probe": DOMAIN,
    "domains.replace_key": DOMAIN,
    "domains.choose_signing": DOMAIN,
    "domains.delete": DOMAIN,
    "servers.index": PRIVATE,
    "servers.new": PRIVATE,
    "servers.edit": SERVER,
    "servers.test": SERVER,
    "servers.delete": SERVER,
    **dict.fromkeys(("webhooks.index", "webhooks.new"), PRIVATE),
    **dict.fromkeys(("webhooks.show", "webhooks.edit", "webhooks.rotate", "webhooks.test"), WEBHOOK),
    **dict.fromkeys(("webhooks.enable", "webhooks.disable", "webhooks.delete"), WEBHOOK),
    "webhooks.again": Own("call_id", objects.make_webhook_call),
    # The signed token of a letter grants access; tests/archive/test_letters.py tries forged ones.
    "letters.show": PUBLIC,
    **dict.fromkeys(("archive.index", "archive.feed", "archive.entry"), PUBLIC),
    "mailings_archive.index": PRIVATE,
    "mailings_archive.address": PRIVATE,
    "mailings_archive.publish": RUN,
    "mailings_archive.letter": RUN,
    "mailings_archive.unpublish": Own("entry_id", objects.make_archive_entry),
    **dict.fromkeys(("messages.index", "messages.new", "messages.gallery"), PRIVATE),
    **dict.fromkeys(("messages.typed", "messages.insight", "messages.recipients"), PRIVATE),
    **dict.fromkeys(("messages.list_blocks", "messages.save_block"), PRIVATE),
    "messages.delete_block": BLOCK,
    "messages.save_template": MESSAGE,
    **dict.fromkeys(
        ("messages.delete_template", "messages.rename_template", "messages.preview_template"), TEMPLATE
    ),
    **dict.fromkeys(("messages.list_layouts", "messages.new_layout"), PRIVATE),
    **dict.fromkeys(("messages.edit_layout", "messages.delete_layout", "messages.preview_layout"), LAYOUT),
    "messages.set_default_layout": LAYOUT,
    "messages.starter_picture": PUBLIC,  # loaded by mail programs
    "messages.begin_draft": PRIVATE,
    "messages.begin_message_draft": MESSAGE,
    "messages.change_draft": DRAFT,
    "messages.discard": DRAFT,
    "messages.restore": DRAFT,
    "messages.convert_body": PRIVATE,
    "messages.upload_picture": PRIVATE,
    "messages.picture": PUBLIC,  # loaded by mail programs; its name cannot be guessed
    "messages.link_file": PRIVATE,
    "messages.linked_file": PUBLIC,  # linked from letters; its token cannot be guessed
    "messages.show": MESSAGE,
    "messages.duplicate": MESSAGE,
    "messages.edit": MESSAGE,
    "messages.delete": MESSAGE,
    "messages.preview": MESSAGE,
    **dict.fromkeys(("messages.test_typed", "messages.test_emails"), PRIVATE),
    **dict.fromkeys(("messages.resend_reviewer", "messages.delete_reviewer"), REVIEWER),
    "messages.confirm_reviewer": PUBLIC,
    "messages.check_links": MESSAGE,
    "messages.check_typed_links": PRIVATE,
    "messages.link_check": Own("check_id", objects.make_link_check),
    "messages.test": MESSAGE,
    "mailings.index": PRIVATE,
    "mailings.new": PRIVATE,
    "mailings.preview": PRIVATE,
    "mailings.show": MAILING,
    "mailings.progress": MAILING,
    "mailings.edit": MAILING,
    "mailings.preview_change": MAILING,
    "mailings.delete": MAILING,
    "mailings.undo": Own("removal_id", objects.make_removal(RemovalKind.MAILING, UNRESTORABLE_MAILING)),
    "mailings.start": MAILING,
    "mailings.pause": MAILING,
    "mailings.resume": MAILING,
    "mailings.cancel": MAILING,
    **dict.fromkeys(("mailings.resend_failed", "mailings.follow_up"), MAILING),
    "mailings.settle_unknowns": MAILING,
    "mailings.test": MAILING,
    **dict.fromkeys(("mailings.clicks", "mailings.clicks_csv"), TRACKED_RUN),
    **dict.fromkeys(("mailings.click_map", "mailings.click_segment"), TRACKED_RUN),
    **dict.fromkeys(("tracking.click", "tracking.picture"), PUBLIC),
    **dict.fromkeys(("mailings.run", "mailings.breakdown", "mailings.breakdown_csv"), RUN),
    "mailings.choose_winner": Own("run_id", objects.make_tested_run),
    **dict.fromkeys(("mailings.log", "mailings.log_csv"), MAILING),
    "manager.index": Panel(MANAGERS | AUTHORS),
    "manager_mailings.index": Panel(MANAGERS),
    "manager_mailings.show": Panel(MANAGERS, "mailing_id", objects.make_mailing),
    "manager_mailings.letter": Panel(MANAGERS, "mailing_id", objects.make_mailing),
    "manager_mailings.log": Panel(MANAGERS, "mailing_id", objects.make_mailing),
    "manager_mailings.disable": Panel(MANAGERS),
    "manager_mailings.enable": Panel(MANAGERS),
    "manager_runs.index": Panel(MANAGERS),
    "manager_runs.show": Panel(MANAGERS, "run_id", objects.make_run),
    "manager_runs.delivery": Panel(MANAGERS, "delivery_id", objects.make_delivery),
    "manager_reputation.index": Panel(MANAGERS),
    "manager_returned.index": Panel(MANAGERS),
    "manager_senders.index": Panel(MANAGERS),
    "manager_users.index": Panel(MANAGERS),
    "manager_users.show": Panel(MANAGERS, "user_id", lambda user: user),
    "manager_users.block": Panel(MANAGERS),
    "manager_users.unblock": Panel(MANAGERS),
    "manager_users.trust": Panel(MANAGERS, "user_id", lambda user: user),
    "manager_users.role": Panel(ADMINS, "user_id", lambda user: user),
    **dict.fromkeys(
        ("manager_articles.index", "manager_articles.new", "manager_articles.preview"), Panel(AUTHORS)
    ),
    **dict.fromkeys(("manager_articles.convert", "manager_articles.upload_picture"), Panel(AUTHORS)),
    "manager_articles.begin_draft": Panel(AUTHORS),
    "manager_articles.begin_article_draft": ARTICLE,
    "manager_articles.change_draft": ARTICLE_DRAFT,
    "manager_articles.discard_draft": ARTICLE_DRAFT,
    "manager_articles.restore_draft": ARTICLE_DRAFT,
    "manager_articles.edit": ARTICLE,
    "manager_articles.delete": ARTICLE,
    "manager_audit.index": Panel(MANAGERS),
    **dict.fromkeys(("returns.index", "returns.csv"), PRIVATE),
    **dict.fromkeys(("returns.confirm", "returns.dismiss"), Own("bounce_id", objects.make_bounce)),
    **dict.fromkeys(("logs.index", "logs.csv"), PRIVATE),
    **dict.fromkeys(("reports.index", "reports.csv", "reports.show_clicks"), PRIVATE),
    # The operations themselves are in tests/api/test_permissions.py.
    **dict.fromkeys(("api_docs.index", "api_docs.specification", "api_docs.guide"), PUBLIC),
}
# These are registered only with the mail catcher, which is not allowed in production.
DEVELOPMENT_ONLY = {"catcher.index", "catcher.show", "catcher.raw", "catcher.html", "catcher.delete_all"}

# People who are not signed in get the login page, another user's object gives 404, a missing role 403.
TABLE: dict[object, str] = {
    #                    visitor  unconfirmed  blocked  owner  other  manager  content  admin
    PUBLIC: "             open     open         open     open   open   open     open     open ",
    PRIVATE: "            login    login        login    open   open   open     open     open ",
    Own: "                login    login        login    open   404    404      404      404  ",
    OwnInPanel: "         login    login        login    403    403    403      404      404  ",
    MANAGERS | AUTHORS: " login    login        login    403    403    open     open     open ",
    MANAGERS: "           login    login        login    403    403    open     403      open ",
    AUTHORS: "            login    login        login    403    403    403      open     open ",
    ADMINS: "             login    login        login    403    403    403      403      open ",
}


def find_expected_outcome(endpoint: str, person: Person) -> Outcome:
    """Return the expected outcome when a person requests a route about the owner's objects."""
    access = ACCESS[endpoint]
    kind = access.roles if isinstance(access, Panel) else type(access) if isinstance(access, Own) else access
    outcomes = TABLE[kind].split()
    return Outcome(outcomes[list(Person).index(person)])
