"""List and end an account's sessions, and remember the devices used to sign in to it.

The time of a session's last use is stored only in Redis, so that viewing pages does not write to the
database.
"""

import hashlib
import ipaddress
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import delete, exists, select

from skymailing.auth.services import add_letter_within_limit
from skymailing.caching.invalidation import shared_cache
from skymailing.db.engine import insert_into
from skymailing.extensions import db
from skymailing.models import KnownDevice, User, UserSession
from skymailing.security import make_last_seen_key

REMEMBERED_LIFETIME = timedelta(days=30)
# Without "Keep me signed in", a session ends when the browser is closed, or at the latest after this time.
SESSION_LIFETIME = timedelta(days=7)
DEVICE_LIFETIME = timedelta(days=400)  # browsers keep cookies no longer than this

# The first match wins, since browsers also name the browsers that they are based on.
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


def name_device(user_agent: str) -> str:
    """Return the browser and the system, such as "Firefox, Windows"; empty if both are unknown."""
    found = [
        next((name for part, name in known if part in user_agent), None) for known in (BROWSERS, SYSTEMS)
    ]
    return ", ".join(name for name in found if name)


def mask_address(address: str | None) -> str:
    """Return the network of an address, which does not identify a person; empty if unknown."""
    try:
        parsed = ipaddress.ip_address(address or "")
    except ValueError:
        return ""
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else parsed
    if mapped is not None:
        return f"{str(mapped).rpartition('.')[0]}.*"
    return f"{ipaddress.ip_network((parsed, 48), strict=False).network_address}*"


def start_session(user: User, key: str, device: str, address: str, now: datetime, *, remember: bool) -> None:
    """Add a session with this key for the user; delete expired sessions."""
    db.session.execute(delete(UserSession).where(UserSession.expires_at < now))
    lifetime = REMEMBERED_LIFETIME if remember else SESSION_LIFETIME
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
    """End the session with this key."""
    db.session.execute(delete(UserSession).where(UserSession.key == key))


def end_session_by_id(user: User, session_id: int) -> bool:
    """End one session of the user; return whether it existed."""
    ended = delete(UserSession).where(UserSession.id == session_id, UserSession.user_id == user.id)
    return db.session.execute(ended.returning(UserSession.id)).first() is not None


def end_other_sessions(user: User, key: str) -> int:
    """End all sessions of the user except the one with this key; return how many were ended."""
    ended = delete(UserSession).where(UserSession.user_id == user.id, UserSession.key != key)
    return len(db.session.execute(ended.returning(UserSession.id)).all())


def list_sessions(user: User, now: datetime) -> Sequence[UserSession]:
    """Return the user's active sessions, newest first."""
    active = select(UserSession).where(UserSession.user_id == user.id, UserSession.expires_at > now)
    return db.session.scalars(active.order_by(UserSession.created_at.desc(), UserSession.id.desc())).all()


def find_last_uses(sessions: Sequence[UserSession]) -> dict[int, datetime]:
    """Return the time of each session's last use, by ID; without one in Redis, the time of its sign-in."""
    times = (
        shared_cache().get_many(*(make_last_seen_key(session.id) for session in sessions)) if sessions else []
    )
    return {
        session.id: datetime.fromtimestamp(time, UTC) if time else session.created_at
        for session, time in zip(sessions, times, strict=True)
    }


def is_known_device(user_id: int, device_key: str) -> bool:
    """Return whether this device has been used to sign in to the account before."""
    known = exists().where(KnownDevice.user_id == user_id, KnownDevice.key_hash == _hash(device_key))
    return bool(db.session.scalar(select(known)))


def remember_device(user: User, device_key: str, device: str, address: str, now: datetime) -> bool:
    """Remember the device, and notify the user by email if it is new but not the account's first.

    Return whether a letter was added.
    """
    is_new = not is_known_device(user.id, device_key)
    has_others = db.session.scalar(select(exists().where(KnownDevice.user_id == user.id)))
    values = {"user_id": user.id, "key_hash": _hash(device_key), "seen_at": now}
    db.session.execute(
        insert_into(KnownDevice)
        .values(values)
        .on_conflict_do_update(index_elements=["user_id", "key_hash"], set_={"seen_at": now})
    )
    expired = KnownDevice.seen_at < now - DEVICE_LIFETIME  # browsers have deleted the cookie by then
    db.session.execute(delete(KnownDevice).where(KnownDevice.user_id == user.id, expired))
    should_notify = bool(is_new and has_others and user.wants_login_letters)
    if should_notify:
        local = now.astimezone(ZoneInfo(user.timezone))
        params = {"device": device, "address": address, "at": f"{local:%Y-%m-%d %H:%M}, {user.timezone}"}
        add_letter_within_limit(user, "new-device", **params)
    return should_notify


def forget_other_devices(user: User, device_key: str | None) -> None:
    """Forget the account's known devices, except the one with this key."""
    deletion = delete(KnownDevice).where(KnownDevice.user_id == user.id)
    if device_key is not None:
        deletion = deletion.where(KnownDevice.key_hash != _hash(device_key))
    db.session.execute(deletion)


def _hash(device_key: str) -> str:
    return hashlib.sha256(device_key.encode()).hexdigest()
