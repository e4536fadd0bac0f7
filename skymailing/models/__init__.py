"""The models, one file per aggregate; importing this package registers every table."""

from skymailing.models.access import KnownDevice, Passkey, RecoveryCode, UserIdentity, UserSession
from skymailing.models.api import ApiKey, IdempotentRequest, KeyKind
from skymailing.models.archive import Archive, ArchiveEntry
from skymailing.models.article import Article, ArticleDraft, ViewFold
from skymailing.models.audit import AppendOnly, AuditAction, AuditEntry, AuditKind, AuditPermit
from skymailing.models.brand import Brand
from skymailing.models.bulk_job import (
    BULK_TRANSITIONS,
    UNFINISHED_BULK_STATES,
    BulkAction,
    BulkChunk,
    BulkJob,
    BulkState,
)
from skymailing.models.client import (
    IMPORT_TRANSITIONS,
    AttributeName,
    AttributeType,
    Client,
    ClientImport,
    ClientNote,
    ClientToIndex,
    ClientUpload,
    ImportRejection,
    ImportState,
    Origin,
)
from skymailing.models.consent import Consent, ConsentKind, ConsentPurpose, ConsentText
from skymailing.models.counts import (
    COUNTED_STATES,
    LATER_COUNTS,
    REPORTED_COUNTS,
    ReportDay,
    RunAnswer,
    RunDomain,
    RunInterval,
)
from skymailing.models.delivery import (
    DELIVERY_TRANSITIONS,
    OPEN_DELIVERY_STATES,
    Attempt,
    BreakerState,
    Delivery,
    DeliveryState,
    Outcome,
    OwnerPause,
    Route,
)
from skymailing.models.distinct import DistinctGroup, distinct_clients
from skymailing.models.domain import RecordState, SendingDomain, SigningKey
from skymailing.models.file import FileLink, LetterFile, MessageFile, RunFile, StoredFile
from skymailing.models.form import (
    FormDay,
    Signup,
    SignupForm,
    SignupMailbox,
    client_forms,
    form_tags,
    form_topics,
)
from skymailing.models.layout import Layout
from skymailing.models.letter import CaughtLetter, LetterContent, TransactionalLetter
from skymailing.models.link_check import LinkCheck, LinkOutcome
from skymailing.models.mailing import Mailing, Run, mailing_clients
from skymailing.models.mailing_choices import (
    EVERY_DAY,
    Audience,
    OnLate,
    OnPassed,
    OnUnknown,
    Periodicity,
    RepeatUnit,
)
from skymailing.models.mailing_states import (
    CAUGHT_KINDS,
    DAILY_KINDS,
    DAILY_RUN_STATES,
    LETTER_KINDS,
    LETTER_RUN_STATES,
    MAILING_TRANSITIONS,
    NO_OWNER,
    OPEN_RUN_STATES,
    RUN_TRANSITIONS,
    TESTED_STATES,
    MailingKind,
    MailingState,
    RunState,
    StateReason,
)
from skymailing.models.message import (
    COMPOSED_FORMATS,
    Message,
    MessageDraft,
    MessageFormat,
    MessagePicture,
    MessageTemplate,
    SavedBlock,
    SourceFormat,
)
from skymailing.models.outbox import LetterState, OutboxLetter
from skymailing.models.purchase import Purchase
from skymailing.models.removal import Removal, RemovalKind
from skymailing.models.reputation import Reputation
from skymailing.models.returned import (
    TRUSTED_PROOFS,
    Bounce,
    BounceKind,
    Proof,
    ReturnedLetter,
    ReturnedState,
)
from skymailing.models.reviewer import Reviewer
from skymailing.models.segment import MailingAudience, Segment, Tag, client_tags
from skymailing.models.sender import Sender
from skymailing.models.sequence import (
    OPEN_ENROLMENT_STATES,
    SEQUENCE_TRANSITIONS,
    Enrolment,
    EnrolmentState,
    LeaveReason,
    Sequence,
    SequenceSignal,
    SequenceState,
    SequenceStep,
    StepLetter,
    Trigger,
    WaitUnit,
)
from skymailing.models.smtp_server import ROUTE_PREFIX, Security, SmtpServer
from skymailing.models.suppression import MergedAddress, Suppression, SuppressionReason
from skymailing.models.topic import OptOut, OptOutReason, Topic, TopicChoice
from skymailing.models.tracking import Click, Engagement, HitFold, OpenTracking, RunLink
from skymailing.models.usage import RATED_KINDS, SHOWN_KINDS, Limited, UsageHour, UsageKind
from skymailing.models.user import Role, User
from skymailing.models.variant import MAX_VARIANTS, Decision, MailingVariant, RunVariant, WinnerBy
from skymailing.models.webhook import (
    OFFERED_TYPES,
    CallState,
    DisabledReason,
    EndpointState,
    EventType,
    WebhookCall,
    WebhookEndpoint,
    WebhookEvent,
)
