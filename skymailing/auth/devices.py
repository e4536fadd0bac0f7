"""The devices on which an account is signed in, and those that were seen before.

Adds and flushes, never commits. When a session was seen last stands in Redis alone, so that looking
at pages writes nothing to the database.
"""

import hashlib
import ipaddress
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import delete, exists, select

from skymailing.auth.services import post_sparingly
from skymailing.caching.invalidation import shared_cache
from skymailing.db.engine import insert_into
from skymailing.extensions import db
from skymailing.models import KnownDevice, User, UserSession
from skymailing.security import seen_name

REMEMBERED = timedelta(days=30)
# A browser's session ends with the browser, and this long after signing in at the latest.
NOT_REMEMBERED = timedelta(days=7)
DEVICE_LIFETIME = timedelta(days=400)  # the longest that browsers keep a cookie

# The first that occurs in the header wins: browsers name those that they descend from as well.
BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("YaBrowser", "Yandex Browser"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Vivaldi", "Vivaldi"),
    ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"),
    ("CriOS", "Chrome"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
    ("curl", "curl"),
)
SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("CrOS", "ChromeOS"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)


def describe_device(user_agent: str) -> str:
    """Return browser and system such as "Firefox, Windows": words of ours only; empty when unknown."""
    found = [
        next((name for sign, name in signs if sign in user_agent), None) for signs in (BROWSERS, SYSTEMS)
    ]
    return ", ".join(name for name in found if name)


def coarse_address(address: str | None) -> str:
    """Return the network that an address belongs to, which tells about where, not who; empty when unknown."""
    try:
        parsed = ipaddress.ip_address(address or "")
    except ValueError:
        return ""
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else parsed
    if mapped is not None:
        return f"{str(mapped).rpartition('.')[0]}.*"
    return f"{ipaddress.ip_network((parsed, 48), strict=False).network_address}*"


def begin_session(user: User, key: str, device: str, address: str, now: datetime, *, remember: bool) -> None:
    """Let the session with this key be the user's until its time is over."""
    db.session.execute(delete(UserSession).where(UserSession.expires_at < now))
    lifetime = REMEMBERED if remember else NOT_REMEMBERED
    db.session.add(
        UserSession(
            user_id=user.id,
            key=key,
            device=device,
            address=address,
            created_at=now,
            expires_at=now + lifetime,
        )
    )
    db.session.flush()


def end_session(key: str) -> None:
    """Sign out the session with this key."""
    db.session.execute(delete(UserSession).where(UserSession.key == key))


def end_session_of(user: User, session_id: int) -> bool:
    """Sign out one of the user's own devices; whether there was such a one."""
    ended = delete(UserSession).where(UserSession.id == session_id, UserSession.user_id == user.id)
    return db.session.execute(ended.returning(UserSession.id)).first() is not None


def end_other_sessions(user: User, key: str) -> int:
    """Sign the user out on all devices but the one with this key; return how many those were."""
    ended = delete(UserSession).where(UserSession.user_id == user.id, UserSession.key != key)
    return len(db.session.execute(ended.returning(UserSession.id)).all())


def list_sessions(user: User, now: datetime) -> Sequence[UserSession]:
    """Return where the user is signed in, the latest first."""
    alive = select(UserSession).where(UserSession.user_id == user.id, UserSession.expires_at > now)
    return db.session.scalars(alive.order_by(UserSession.created_at.desc(), UserSession.id.desc())).all()


def last_seen(sessions: Sequence[UserSession]) -> dict[int, datetime]:
    """Return when each session was used last, by its id; signing in counts, should Redis know no more."""
    times = shared_cache().get_many(*(seen_name(session.id) for session in sessions)) if sessions else []
    return {
        session.id: datetime.fromtimestamp(time, UTC) if time else session.created_at
        for session, time in zip(sessions, times, strict=True)
    }


def is_known(user_id: int, device_key: str) -> bool:
    """Whether the account was signed in to in this browser before."""
    known = exists().where(KnownDevice.user_id == user_id, KnownDevice.key_hash == _hash(device_key))
    return bool(db.session.scalar(select(known)))


def greet_device(user: User, device_key: str, device: str, address: str, now: datetime) -> bool:
    """Remember the device; return whether a letter tells of it, as it is new and not the first of all."""
    is_new = not is_known(user.id, device_key)
    has_others = db.session.scalar(select(exists().where(KnownDevice.user_id == user.id)))
    values = {"user_id": user.id, "key_hash": _hash(device_key), "seen_at": now}
    db.session.execute(
        insert_into(KnownDevice)
        .values(values)
        .on_conflict_do_update(index_elements=["user_id", "key_hash"], set_={"seen_at": now})
    )
    forgotten = KnownDevice.seen_at < now - DEVICE_LIFETIME  # as browsers have by then
    db.session.execute(delete(KnownDevice).where(KnownDevice.user_id == user.id, forgotten))
    is_told = bool(is_new and has_others and user.wants_login_letters)
    if is_told:
        local = now.astimezone(ZoneInfo(user.timezone))
        params = {"device": device, "address": address, "at": f"{local:%Y-%m-%d %H:%M}, {user.timezone}"}
        post_sparingly(user, "new-device", **params)
    return is_told


def _hash(device_key: str) -> str:
    return hashlib.sha256(device_key.encode()).hexdigest()
