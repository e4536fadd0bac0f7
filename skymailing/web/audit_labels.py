"""Define the labels and tones of the audit log, which `labels` registers."""

from enum import StrEnum

from flask_babel import LazyString, lazy_pgettext

from skymailing.models import AuditAction, AuditKind

Labels = dict[StrEnum, tuple[LazyString, str]]

ACTION_LABELS: Labels = {
    AuditAction.ACCOUNT_CREATED: (lazy_pgettext("audit", "account created"), "planned"),
    AuditAction.ACCOUNT_EXPORTED: (lazy_pgettext("audit", "account exported"), "quiet"),
    AuditAction.ACCOUNT_DELETION_ASKED: (
        lazy_pgettext("audit", "account deletion requested"),
        "bad",
    ),
    AuditAction.ACCOUNT_KEPT: (lazy_pgettext("audit", "account deletion cancelled"), "good"),
    AuditAction.ACCOUNT_DELETED: (lazy_pgettext("audit", "account deleted"), "gone"),
    AuditAction.USER_TRUSTED: (lazy_pgettext("audit", "new-account limits lifted"), "good"),
    AuditAction.USER_BLOCKED: (lazy_pgettext("audit", "user blocked"), "bad"),
    AuditAction.USER_UNBLOCKED: (lazy_pgettext("audit", "user unblocked"), "good"),
    AuditAction.ROLE_CHANGED: (lazy_pgettext("audit", "role changed"), "planned"),
    AuditAction.EMAIL_CHANGED: (lazy_pgettext("audit", "address changed"), "planned"),
    AuditAction.TWO_FACTOR_LIFTED: (
        lazy_pgettext("audit", "two-factor authentication reset"),
        "bad",
    ),
    AuditAction.MAILING_DISABLED: (lazy_pgettext("audit", "mailing disabled"), "bad"),
    AuditAction.MAILING_ENABLED: (lazy_pgettext("audit", "mailing enabled"), "good"),
    AuditAction.MAILING_RESUMED: (lazy_pgettext("audit", "mailing resumed"), "waiting"),
    AuditAction.MAILING_DELETED: (lazy_pgettext("audit", "mailing deleted"), "gone"),
    AuditAction.MESSAGE_DELETED: (lazy_pgettext("audit", "message deleted"), "gone"),
    AuditAction.CLIENT_DELETED: (lazy_pgettext("audit", "client deleted"), "gone"),
    AuditAction.CLIENT_RESTORED: (lazy_pgettext("audit", "client restored"), "planned"),
    AuditAction.CLIENT_MERGED: (lazy_pgettext("audit", "clients merged"), "quiet"),
    AuditAction.MAILING_RESTORED: (lazy_pgettext("audit", "mailing restored"), "planned"),
    AuditAction.MESSAGE_RESTORED: (lazy_pgettext("audit", "message restored"), "planned"),
    AuditAction.SEGMENT_DELETED: (lazy_pgettext("audit", "segment deleted"), "gone"),
    AuditAction.SEGMENT_RESTORED: (lazy_pgettext("audit", "segment restored"), "planned"),
    AuditAction.FORM_DELETED: (lazy_pgettext("audit", "sign-up form deleted"), "gone"),
    AuditAction.SENDER_DELETED: (lazy_pgettext("audit", "sender deleted"), "gone"),
    AuditAction.DOMAIN_DELETED: (lazy_pgettext("audit", "domain deleted"), "gone"),
    AuditAction.SERVER_ADDED: (lazy_pgettext("audit", "mail server added"), "planned"),
    AuditAction.SERVER_CHANGED: (lazy_pgettext("audit", "mail server changed"), "quiet"),
    AuditAction.SERVER_DELETED: (lazy_pgettext("audit", "mail server deleted"), "gone"),
    AuditAction.WEBHOOK_ADDED: (lazy_pgettext("audit", "webhook added"), "planned"),
    AuditAction.WEBHOOK_CHANGED: (lazy_pgettext("audit", "webhook changed"), "quiet"),
    AuditAction.WEBHOOK_ENABLED: (lazy_pgettext("audit", "webhook turned on"), "good"),
    AuditAction.WEBHOOK_DISABLED: (lazy_pgettext("audit", "webhook turned off"), "waiting"),
    AuditAction.WEBHOOK_DELETED: (lazy_pgettext("audit", "webhook deleted"), "gone"),
    AuditAction.TOPIC_DELETED: (lazy_pgettext("audit", "topic deleted"), "gone"),
    AuditAction.TAG_RENAMED: (lazy_pgettext("audit", "tag renamed"), "quiet"),
    AuditAction.TAG_MERGED: (lazy_pgettext("audit", "tags merged"), "quiet"),
    AuditAction.TAG_DELETED: (lazy_pgettext("audit", "tag deleted"), "gone"),
    AuditAction.TAG_RESTORED: (lazy_pgettext("audit", "tag restored"), "planned"),
    AuditAction.CLIENTS_TAGGED: (lazy_pgettext("audit", "tag added to clients"), "quiet"),
    AuditAction.CLIENTS_UNTAGGED: (lazy_pgettext("audit", "tag removed from clients"), "quiet"),
    AuditAction.CLIENTS_SUPPRESSED: (lazy_pgettext("audit", "mailings to clients stopped"), "bad"),
    AuditAction.CLIENTS_ALLOWED: (lazy_pgettext("audit", "mailings to clients resumed"), "good"),
    AuditAction.CLIENTS_DELETED: (lazy_pgettext("audit", "clients deleted"), "gone"),
    AuditAction.CLIENTS_RESTORED: (lazy_pgettext("audit", "clients restored"), "planned"),
    AuditAction.BULK_STOPPED: (lazy_pgettext("audit", "action on clients stopped"), "waiting"),
    AuditAction.CLIENTS_EXPORTED: (lazy_pgettext("audit", "clients exported"), "quiet"),
    AuditAction.LOG_EXPORTED: (lazy_pgettext("audit", "log exported"), "quiet"),
    AuditAction.REPORT_EXPORTED: (lazy_pgettext("audit", "report exported"), "quiet"),
    AuditAction.API_KEY_CREATED: (lazy_pgettext("audit", "API key created"), "planned"),
    AuditAction.API_KEY_REVOKED: (lazy_pgettext("audit", "API key revoked"), "gone"),
    AuditAction.ARTICLE_CREATED: (lazy_pgettext("audit", "article created"), "planned"),
    AuditAction.ARTICLE_EDITED: (lazy_pgettext("audit", "article edited"), "quiet"),
    AuditAction.ARTICLE_DELETED: (lazy_pgettext("audit", "article deleted"), "gone"),
}

KIND_LABELS: Labels = {
    AuditKind.USER: (lazy_pgettext("audit", "user"), "quiet"),
    AuditKind.MAILING: (lazy_pgettext("audit", "mailing"), "quiet"),
    AuditKind.MESSAGE: (lazy_pgettext("audit", "message"), "quiet"),
    AuditKind.CLIENT: (lazy_pgettext("audit", "client"), "quiet"),
    AuditKind.SEGMENT: (lazy_pgettext("audit", "segment"), "quiet"),
    AuditKind.FORM: (lazy_pgettext("audit", "sign-up form"), "quiet"),
    AuditKind.SENDER: (lazy_pgettext("audit", "sender"), "quiet"),
    AuditKind.DOMAIN: (lazy_pgettext("audit", "domain"), "quiet"),
    AuditKind.SERVER: (lazy_pgettext("audit", "mail server"), "quiet"),
    AuditKind.WEBHOOK: (lazy_pgettext("audit", "webhook"), "quiet"),
    AuditKind.TOPIC: (lazy_pgettext("audit", "topic"), "quiet"),
    AuditKind.TAG: (lazy_pgettext("audit", "tag"), "quiet"),
    AuditKind.API_KEY: (lazy_pgettext("audit", "API key"), "quiet"),
    AuditKind.ARTICLE: (lazy_pgettext("audit", "article"), "quiet"),
}
