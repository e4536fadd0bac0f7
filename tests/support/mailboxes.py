"""Provide a mailbox over TLS: the parts of IMAP (with RFC 6851 and 4315) and POP3 that we use."""

import re
import socketserver
import ssl
import threading
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import trustme

USER, PASSWORD = "ann@sky.example", 'p@ss "word'


class MailboxServer:
    """A server for one account; `folders` contains the letters by folder and number."""

    def __init__(self, protocol: str, directory: Path) -> None:
        self.folders: dict[str, dict[int, bytes]] = {"INBOX": {}}
        self.capabilities = "IMAP4rev1 MOVE UIDPLUS"
        self.lost_letters: set[int] = set()  # unreadable because of a disk error
        self.sessions = 0
        self.dies_before = ""  # a command before which the session ends
        self.empties_after = ""  # a command after which all letters are removed, as if by another program
        self.prefix = ""  # required at the start of new folders' names
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(directory / "authority.pem"))
        self.certificates = str(directory / "authority.pem")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(context)
        kind = {"imaps": ImapSession, "pop3s": Pop3Session}[protocol]
        handler = type("Handler", (kind,), {"mailbox": self})
        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        port = self._server.server_address[1]
        self.url = f"{protocol}://ann%40sky.example:p%40ss%20%22word@localhost:{port}/INBOX"

    @property
    def inbox(self) -> dict[int, bytes]:
        return self.folders["INBOX"]

    def add(self, *letters: bytes) -> None:
        """Deliver letters."""
        start = max((number for folder in self.folders.values() for number in folder), default=0) + 1
        self.inbox.update(enumerate(letters, start))

    def count(self) -> dict[str, int]:
        """Return the number of letters by folder."""
        return {name: len(letters) for name, letters in self.folders.items()}

    @contextmanager
    def run(self) -> Iterator["MailboxServer"]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield self
        self._server.shutdown()
        self._server.server_close()


class Session(socketserver.StreamRequestHandler, ABC):
    """One session with a reader."""

    mailbox: MailboxServer
    disable_nagle_algorithm = True

    def say(self, *lines: str) -> None:
        self.wfile.write("".join(f"{line}\r\n" for line in lines).encode())

    def handle(self) -> None:
        self.mailbox.sessions += 1
        self.greet()
        while line := self.rfile.readline().decode().rstrip("\r\n"):
            if self.mailbox.dies_before and self.mailbox.dies_before in line:
                self.mailbox.dies_before = ""
                return
            is_open = self.reply(line)
            if self.mailbox.empties_after and self.mailbox.empties_after in line:
                self.mailbox.empties_after = ""
                self.mailbox.inbox.clear()
            if not is_open:
                return

    @abstractmethod
    def greet(self) -> None:
        """Send the server's greeting."""

    @abstractmethod
    def reply(self, line: str) -> bool:
        """Reply to a command; return whether the session continues."""


class ImapSession(Session):
    def greet(self) -> None:
        self.say("* OK [CAPABILITY IMAP4rev1] ready")  # the full list follows after the sign-in

    def reply(self, line: str) -> bool:
        tag, command = line.split(" ", 1)
        parts = [quoted or plain for quoted, plain in re.findall(r'"((?:\\.|[^"])*)"|(\S+)', command)]
        name = "_".join(parts[:2] if parts[0] == "UID" else parts[:1]).lower()
        status = getattr(self, name)(*parts[2 if parts[0] == "UID" else 1 :])
        self.say(f"{tag} {status or 'OK done'}")
        return name != "logout"

    def login(self, user: str, password: str) -> str:
        is_correct = (user, password.replace('\\"', '"')) == (USER, PASSWORD)
        return "OK done" if is_correct else "NO [AUTHENTICATIONFAILED] wrong"

    def capability(self) -> None:
        self.say(f"* CAPABILITY {self.mailbox.capabilities}")

    def select(self, folder: str) -> str:
        self.letters = self.mailbox.folders.get(folder, {})
        self.say(f"* {len(self.letters)} EXISTS")
        return "OK done" if folder in self.mailbox.folders else "NO no such folder"

    def list(self, _reference: str, name: str = "") -> None:
        if not name:
            self.say(r'* LIST (\Noselect) "." ""')
        elif name in self.mailbox.folders:
            self.say(f'* LIST () "." "{name}"')

    def create(self, name: str) -> str:
        if not name.startswith(self.mailbox.prefix):
            return "NO only below INBOX"
        self.mailbox.folders[name] = {}
        return "OK done"

    def fetch(self, numbers: str, *_items: str) -> None:
        first, _, last = numbers.partition(":")
        listed = sorted(self.letters)[int(first) - 1 : int(last or first)]
        for number, uid in enumerate(listed, int(first)):
            self.say(f"* {number} FETCH (UID {uid} RFC822.SIZE {len(self.letters[uid])})")

    def uid_fetch(self, uids: str, item: str) -> str:
        start, size = map(int, item.rpartition("<")[2].rstrip(">)").split("."))
        wanted = [int(uid) for uid in uids.split(",")]
        if self.mailbox.lost_letters & set(wanted):
            return "NO [SERVERBUG] the letter cannot be read"
        for number, uid in enumerate(filter(self.letters.__contains__, wanted), 1):
            raw = self.letters[uid][start : start + size]
            self.wfile.write(f"* {number} FETCH (UID {uid} BODY[]<0> {{{len(raw)}}}\r\n".encode() + raw)
            self.say(")")
        return "OK done"

    def uid_move(self, uids: str, folder: str) -> None:
        self.uid_copy(uids, folder)
        self.uid_expunge(uids)

    def uid_copy(self, uids: str, folder: str) -> None:
        for uid in map(int, uids.split(",")):
            self.mailbox.folders[folder][uid] = self.letters[uid]

    def uid_store(self, *_parts: str) -> None:
        pass

    def uid_expunge(self, uids: str) -> None:
        order = sorted(self.letters)
        lines = []
        for uid in map(int, uids.split(",")):
            position = bisect_left(order, uid)
            lines.append(f"* {position + 1} EXPUNGE")
            del order[position], self.letters[uid]
        self.say(*lines)

    def logout(self) -> None:
        self.say("* BYE")


class Pop3Session(Session):
    def greet(self) -> None:
        self.numbers = sorted(self.mailbox.inbox)
        self.deleted: set[int] = set()
        self.say("+OK ready")

    def reply(self, line: str) -> bool:
        name, _, rest = line.partition(" ")
        getattr(self, name.lower())(rest)
        return name != "QUIT"

    def user(self, name: str) -> None:
        self.say("+OK" if name == USER else "-ERR")

    # The command's name is a keyword of Python.
    locals()["pass"] = lambda self, password: self.say("+OK" if password == PASSWORD else "-ERR wrong")

    def stat(self, _rest: str) -> None:
        self.say(f"+OK {len(self.numbers)} 1000")

    def top(self, rest: str) -> None:
        number, max_lines = map(int, rest.split())
        uid = self.numbers[number - 1]
        if uid in self.mailbox.lost_letters or uid not in self.mailbox.inbox:
            return self.say("-ERR the letter cannot be read")
        lines = self.mailbox.inbox[uid].replace(b"\r\n", b"\n").split(b"\n")[: max_lines + 50]
        body = b"".join((b"." if line.startswith(b".") else b"") + line + b"\r\n" for line in lines)
        self.wfile.write(b"+OK\r\n" + body + b".\r\n")
        return None

    def dele(self, rest: str) -> None:
        self.deleted.add(self.numbers[int(rest) - 1])
        self.say("+OK")

    def quit(self, _rest: str) -> None:
        for number in self.deleted:
            del self.mailbox.inbox[number]
        self.say("+OK")
