"""List every page of the service by role, for tests that open all of them."""

from sqlalchemy import select

from skymailing.models import (
    Client,
    ClientImport,
    Mailing,
    MailingKind,
    MailingState,
    Message,
    Role,
    Run,
    Segment,
    Sequence,
    SignupForm,
    User,
)
from tests.e2e.clicked_run import add_clicked_run
from tests.e2e.public_pages import public_paths
from tests.e2e.site import Site
from tests.e2e.test_panel_screens import panel_paths

VISITOR_PATHS = [
    "/",
    "/blog/",
    "/blog/what-sent-really-means",
    "/language",
    "/privacy",
    *("/help/", "/help/?q=import", "/help/buttons"),
    "/auth/login",
    "/auth/register",
    "/auth/registered",
    "/auth/reset",
    "/auth/reset/sent",
    "/outbox/",
    "/nowhere",
]
DEMO = "demo@example.com"


def get_demo_user(site: Site) -> User:
    with site.open_session() as session:
        return session.scalars(select(User).where(User.email == DEMO)).one()


def user_paths(site: Site) -> list[str]:
    """Return the path of each kind of user page, with demo data."""
    with site.open_session() as session:
        owner = session.scalars(select(User).where(User.email == DEMO)).one()
        own = select(Mailing).where(Mailing.owner_id == owner.id, Mailing.kind == MailingKind.MAILING)
        mailings = {mailing.state: mailing.id for mailing in session.scalars(own)}
        running = mailings[MailingState.RUNNING]
        run = session.scalars(select(Run.id).where(Run.mailing_id == running)).first()
        tested = session.scalars(select(Run.id).where(Run.test_ends_at.is_not(None)).order_by(Run.id)).first()
        client = session.scalars(select(Client.id).where(Client.owner_id == owner.id)).first()
        message = session.scalars(select(Message.id).where(Message.owner_id == owner.id)).first()
        import_ = session.scalars(select(ClientImport.id).where(ClientImport.owner_id == owner.id)).first()
    clicked = add_clicked_run(site, get_demo_user(site).id)
    return [
        *("/", "/clients/", "/clients/?q=no-such-client", "/clients/new"),
        *(f"/clients/{client}{page}" for page in ("", "/edit", "/delete")),
        *("/clients/tags/", "/clients/import"),
        *([f"/clients/imports/{import_}"] if import_ else []),
        *segment_paths(site),
        *form_paths(site),
        *sequence_paths(site, owner.id),
        *("/topics/", "/topics/new"),
        *(f"/messages/{page}" for page in ("", "new", message, f"{message}/edit")),
        *(f"/messages/new?kind={kind}" for kind in ("blocks", "mjml")),
        *("/mailings/", "/mailings/?state=cancelled&q=none", "/mailings/new"),
        *(f"/mailings/new#step-{step}" for step in ("what", "when", "check")),
        *(f"/mailings/{id}" for id in mailings.values()),
        f"/mailings/{running}/edit",
        f"/mailings/{mailings[MailingState.SCHEDULED]}/edit",
        f"/mailings/{running}/cancel",
        f"/mailings/{running}/log",
        f"/mailings/runs/{run}",
        *(f"/mailings/runs/{tested}{page}" for page in ("", "/clicks", "/clicks?variant=2")),
        *(f"/mailings/runs/{clicked}/{page}" for page in ("clicks", "breakdown")),
        *(f"/mailings/archive/{page}" for page in ("", f"runs/{run}")),
        "/logs/",
        "/reports/",
        "/auth/profile",
    ]


def segment_paths(site: Site) -> list[str]:
    with site.open_session() as session:
        segment = session.scalars(select(Segment.id).order_by(Segment.id)).first()
    return ["/segments/", "/segments/new", f"/segments/{segment}", f"/segments/{segment}/edit"]


def sequence_paths(site: Site, owner_id: int) -> list[str]:
    with site.open_session() as session:
        sequence = session.scalars(select(Sequence).where(Sequence.owner_id == owner_id)).first()
        assert sequence is not None
        own = [
            f"/sequences/{sequence.id}{page}" for page in ("", "/edit", "/people", "/archive", "/steps/new")
        ]
        step = sequence.steps[0].id
        steps = [f"/sequences/steps/{step}/{page}" for page in ("edit", "remove")]
        return ["/sequences/", "/sequences/new", "/sequences/new?kind=welcome", *own, *steps]


def form_paths(site: Site) -> list[str]:
    with site.open_session() as session:
        form = session.scalars(select(SignupForm).order_by(SignupForm.id)).first()
        assert form is not None
        own = [f"/forms/{form.id}{page}" for page in ("", "/edit", "/delete")]
        return ["/forms/", "/forms/new", *own]


def paths_for(site: Site, role: Role | None) -> list[str]:
    """Return the paths for a role; None means a visitor."""
    if role is None:
        return [*VISITOR_PATHS, *public_paths(site)]
    if role is Role.USER:
        return user_paths(site)
    paths = panel_paths(site)
    if role is Role.CONTENT:
        return [path for path in paths if "/articles/" in path]
    if role is Role.MANAGER:
        return [path for path in paths if "/articles/" not in path and not path.endswith("/role")]
    return paths
