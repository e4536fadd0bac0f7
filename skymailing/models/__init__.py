"""The aggregates, one file each; importing this package registers every table."""

from skymailing.models.access import KnownDevice, RecoveryCode, UserSession
from skymailing.models.article import Article, ViewFold
from skymailing.models.audit import AppendOnly, AuditAction, AuditEntry, AuditKind, AuditPermit
from skymailing.models.client import IMPORT_TRANSITIONS, Client, ClientImport, ImportRejection, ImportState
from skymailing.models.counts import ReportDay, RunAnswer, RunDomain, RunInterval
from skymailing.models.delivery import (
    DELIVERY_TRANSITIONS,
    OPEN_STATES,
    Attempt,
    Bounce,
    BounceKind,
    BreakerState,
    Delivery,
    DeliveryState,
    Outcome,
    Route,
)
from skymailing.models.mailing import (
    EVERY_DAY,
    MAILING_TRANSITIONS,
    RUN_TRANSITIONS,
    Audience,
    Mailing,
    MailingState,
    OnLate,
    OnUnknown,
    Periodicity,
    Run,
    RunState,
    StateReason,
    mailing_clients,
)
from skymailing.models.message import Message, MessageDraft, MessageFormat, MessagePicture
from skymailing.models.outbox import LetterState, OutboxLetter
from skymailing.models.removal import Removal, RemovalKind
from skymailing.models.suppression import Suppression, SuppressionReason
from skymailing.models.user import Role, User

__all__ = [
    "DELIVERY_TRANSITIONS",
    "EVERY_DAY",
    "IMPORT_TRANSITIONS",
    "MAILING_TRANSITIONS",
    "OPEN_STATES",
    "RUN_TRANSITIONS",
    "AppendOnly",
    "Article",
    "Attempt",
    "Audience",
    "AuditAction",
    "AuditEntry",
    "AuditKind",
    "AuditPermit",
    "Bounce",
    "BounceKind",
    "BreakerState",
    "Client",
    "ClientImport",
    "Delivery",
    "DeliveryState",
    "ImportRejection",
    "ImportState",
    "KnownDevice",
    "LetterState",
    "Mailing",
    "MailingState",
    "Message",
    "MessageDraft",
    "MessageFormat",
    "MessagePicture",
    "OnLate",
    "OnUnknown",
    "OutboxLetter",
    "Outcome",
    "Periodicity",
    "RecoveryCode",
    "Removal",
    "RemovalKind",
    "ReportDay",
    "Role",
    "Route",
    "Run",
    "RunAnswer",
    "RunDomain",
    "RunInterval",
    "RunState",
    "StateReason",
    "Suppression",
    "SuppressionReason",
    "User",
    "UserSession",
    "ViewFold",
    "mailing_clients",
]
