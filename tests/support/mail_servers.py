"""Run Debian's Exim and Postfix with test configurations, on loopback, as an ordinary user.

They expect to run as root and to have their own users; two preloaded cwrap libraries simulate both.
"""

import os
import pwd
import re
import shutil
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bench.postfix import wait_for_port
from tests.support.debian_packages import unpack
from tests.support.ports import find_free_port

POSTFIX_QUEUES = (
    *("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "maildrop"),
    *("pid", "private", "public", "saved", "trace"),
)
POSTFIX_SERVICES = """\
127.0.0.1:{port} inet n - n - {processes} smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
smtp unix - - n - - smtp
lmtp unix - - n - - lmtp
proxymap unix - - n - - proxymap
postlog unix-dgram n - n - 1 postlogd
"""
POSTFIX_SETTINGS = """\
compatibility_level = 3.6
queue_directory = {work}/queue
data_directory = {work}/data
daemon_directory = {programs}/usr/lib/postfix/sbin
command_directory = {programs}/usr/sbin
shlib_directory = {programs}/usr/lib/postfix
import_environment = MAIL_CONFIG {variables}
maillog_file = {work}/log
maillog_file_prefixes = {work}
mail_owner = postfix
setgid_group = postdrop
default_privs = stranger
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = postfix.example
mydestination =
mynetworks = 127.0.0.0/8
alias_maps =
alias_database =
local_recipient_maps =
default_transport = discard
relay_transport = discard
{extra}
"""
EXIM_SETTINGS = """\
exim_user = {user}
exim_group = servers
primary_hostname = exim.example
spool_directory = {work}/spool
log_file_path = {work}/%slog
pid_file_path = {work}/pid
log_selector = +received_recipients
local_interfaces = <; [127.0.0.1]:{port}
daemon_smtp_ports = {port}
queue_only = true
smtp_accept_max = 200
smtp_accept_queue_per_connection = 0
host_lookup =
tls_advertise_hosts =
recipients_max = 0
keep_environment =
acl_smtp_mail = check_mail
acl_smtp_rcpt = check_recipient
{extra}
begin acl
check_mail:
{mail}
  accept
check_recipient:
{recipient}
  accept
"""


class MailServer(ABC):
    """A context manager that runs a real mail server, which discards accepted letters."""

    package: str
    user: str

    def __init__(self) -> None:
        self.port = find_free_port()

    def __enter__(self) -> Self:
        unpacked = unpack(self.package, "libnss-wrapper", "libuid-wrapper")
        self.work = Path(tempfile.mkdtemp(prefix=f"{self.package[:4]}-"))
        # When root runs the tests, the servers run as an ordinary user, who may not be able to read the
        # checkout.
        self.programs = self.work / "programs" if os.geteuid() == 0 else unpacked
        if self.programs != unpacked:
            shutil.copytree(unpacked, self.programs, symlinks=True)
        owner = pwd.getpwnam("daemon") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
        self._write_users(owner.pw_uid, owner.pw_gid)
        self.configure()
        ids: dict[str, Any] = {}
        if os.geteuid() == 0:
            ids = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
            self._hand_files_to(owner.pw_uid, owner.pw_gid)
        output = self.work / "output"
        with output.open("wb") as file:
            self._process = subprocess.Popen(
                self.command(), env=self.environment(), stdout=file, stderr=file, **ids
            )
        wait_for_port(self.port, self._process, output)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.terminate()
        self._process.wait(20)
        shutil.rmtree(self.work, ignore_errors=True)

    @abstractmethod
    def configure(self) -> None:
        """Write the configuration below `work`."""

    @abstractmethod
    def command(self) -> list[str]:
        """Return the command that runs the server in the foreground."""

    @abstractmethod
    def accepted(self) -> Counter[str]:
        """Return how many letters were accepted for each address."""

    @abstractmethod
    def refused_senders(self) -> int:
        """Return how often MAIL was refused."""

    def environment(self) -> dict[str, str]:
        """Return the environment in which the server appears to be root and to have its own users."""
        lib = self.programs / "usr/lib"
        libraries = [lib / "postfix", *sorted(lib.glob("*-linux-gnu*"))]
        wrappers = [str(next(lib.rglob(name))) for name in ("libnss_wrapper.so", "libuid_wrapper.so")]
        return {
            "PATH": os.environ["PATH"],
            "LD_LIBRARY_PATH": os.pathsep.join(map(str, libraries)),
            "LD_PRELOAD": " ".join(wrappers),
            "UID_WRAPPER": "1",
            "NSS_WRAPPER_PASSWD": str(self.work / "passwd"),
            "NSS_WRAPPER_GROUP": str(self.work / "group"),
        }

    def log(self, name: str = "log") -> str:
        """Return a log of the server."""
        path = self.work / name
        return path.read_text(errors="replace") if path.exists() else ""

    def wait_for_accepted(self, count: int, seconds: float = 10) -> Counter[str]:
        """Return the accepted letters once the log, which may lag behind, has `count` of them."""
        deadline = time.monotonic() + seconds
        while (found := self.accepted()).total() < count and time.monotonic() < deadline:
            time.sleep(0.1)
        return found

    def _hand_files_to(self, uid: int, gid: int) -> None:
        for path in (self.work, *self.work.rglob("*")):
            if self.programs not in (path, *path.parents):
                os.chown(path, uid, gid)

    def _write_users(self, uid: int, gid: int) -> None:
        self.work.chmod(0o755)
        users = {"root": (0, 0), self.user: (uid, gid), "stranger": (64_000, 64_000)}
        groups = {"root": 0, "servers": gid, self.user: gid, "postdrop": 65_000, "stranger": 64_000}
        passwd = (f"{name}:x:{uid}:{gid}::/:/bin/false\n" for name, (uid, gid) in users.items())
        (self.work / "passwd").write_text("".join(passwd))
        (self.work / "group").write_text("".join(f"{name}:x:{gid}:\n" for name, gid in groups.items()))


class Exim(MailServer):
    """Exim; `mail` and `recipient` are ACL statements, `extra` further settings."""

    package = "exim4-daemon-light"
    user = "Debian-exim"

    def __init__(self, mail: str = "", recipient: str = "", extra: str = "") -> None:
        super().__init__()
        self._statements = {"mail": mail, "recipient": recipient, "extra": extra}

    def configure(self) -> None:
        (self.work / "spool").mkdir()
        settings = EXIM_SETTINGS.format(user=self.user, work=self.work, port=self.port, **self._statements)
        (self.work / "exim.conf").write_text(settings)

    def command(self) -> list[str]:
        return [str(self.programs / "usr/sbin/exim4"), "-C", str(self.work / "exim.conf"), "-bdf"]

    def accepted(self) -> Counter[str]:
        return Counter(re.findall(r"^.* <= .* for (\S+)$", self.log("mainlog"), re.MULTILINE))

    def refused_senders(self) -> int:
        return len(re.findall(r" rejected MAIL ", self.log("mainlog")))

    @property
    def dropped_sessions(self) -> int:
        """Return how many sessions Exim ended because of too many commands or errors."""
        return len(re.findall(r"too many ", self.log("mainlog"), re.IGNORECASE))


class Postfix(MailServer):
    """Postfix; `extra` are further settings, `processes` is the number of parallel sessions."""

    package = "postfix"
    user = "postfix"

    def __init__(self, extra: str = "", processes: int = 100) -> None:
        super().__init__()
        self._extra, self._processes = extra, processes

    def configure(self) -> None:
        (self.work / "data").mkdir()
        for name in POSTFIX_QUEUES:
            (self.work / "queue" / name).mkdir(parents=True)
        (self.work / "etc").mkdir()
        variables = " ".join(name for name in self.environment() if name not in ("PATH", "MAIL_CONFIG"))
        settings = POSTFIX_SETTINGS.format(
            work=self.work, programs=self.programs, variables=variables, extra=self._extra
        )
        (self.work / "etc/main.cf").write_text(settings)
        services = POSTFIX_SERVICES.format(port=self.port, processes=self._processes)
        (self.work / "etc/master.cf").write_text(services)

    def command(self) -> list[str]:
        return [str(self.programs / "usr/lib/postfix/sbin/master"), "-c", str(self.work / "etc"), "-d"]

    def environment(self) -> dict[str, str]:
        return super().environment() | {"UID_WRAPPER_ROOT": "1", "MAIL_CONFIG": str(self.work / "etc")}

    def accepted(self) -> Counter[str]:
        return Counter(re.findall(r"discard\[.* to=<([^>]*)>.* status=sent ", self.log()))

    def refused_senders(self) -> int:
        return len(re.findall(r"reject: MAIL from|warning: Message delivery request rate limit", self.log()))
