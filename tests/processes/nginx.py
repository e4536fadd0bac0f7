"""Run nginx with the configuration in deploy/nginx/, on free ports and with a test certificate."""

import http.client
import os
import re
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme

from tests.processes.service import PROJECT_DIR, is_listening, wait_until
from tests.support.debian_packages import find_program
from tests.support.ports import find_free_port

NAME = "sky.example"
MAIN_CONFIGURATION = """\
daemon off;
{user}
pid {directory}/nginx.pid;
error_log {directory}/error.log;
events {{}}
http {{
    access_log {directory}/http.log;  # only root can write to the default file
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    {configuration}
}}
"""


@dataclass(frozen=True)
class Response:
    status: int
    headers: http.client.HTTPMessage
    text: str


@dataclass
class Nginx:
    """A running nginx."""

    directory: Path
    http_port: int
    https_port: int
    trust: ssl.SSLContext

    def request(
        self, method: str, path: str, *, tls: bool = True, host: str = NAME, body: str = "", **headers: str
    ) -> Response:
        """Send a request as a browser does after it has resolved `host`."""
        port = self.https_port if tls else self.http_port
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=15)) as connection:
            connection.connect()
            if tls:
                connection.sock = self.trust.wrap_socket(connection.sock, server_hostname=host)
            fields = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body.encode() or None, {"Host": host} | fields)
            response = connection.getresponse()
            return Response(response.status, response.headers, response.read().decode(errors="replace"))

    @property
    def access_log(self) -> str:
        return (self.directory / "access.log").read_text()


def render(directory: Path, upstream: int, http_port: int, https_port: int) -> str:
    """Return our sample configuration with a test's paths and ports."""
    text = (PROJECT_DIR / "deploy/nginx/skymailing.conf").read_text()
    text = re.sub(r"^ *listen \[::\].*\n", "", text, flags=re.MULTILINE)  # some machines have no IPv6
    for old, new in {
        "listen 80": f"listen 127.0.0.1:{http_port}",
        "listen 443": f"listen 127.0.0.1:{https_port}",
        "mail.example.org": NAME,
        "/etc/letsencrypt/live": str(directory),
        "/var/log/nginx/skymailing.log": f"{directory}/access.log",
        "/var/www/html": f"{directory}/html",
        "http://127.0.0.1:8000": f"http://127.0.0.1:{upstream}",
    }.items():
        assert old in text, f"the sample no longer contains {old}"
        text = text.replace(old, new)
    return text


@contextmanager
def run_nginx(directory: Path, upstream: int, *, host_variable: str = "$host") -> Iterator[Nginx]:
    """Run nginx in front of the port `upstream`; it passes `host_variable` to the service as the host."""
    program = find_program("nginx", "nginx-light")
    authority = trustme.CA()
    (directory / NAME).mkdir(parents=True)
    certificate = authority.issue_cert(NAME)
    certificate.private_key_pem.write_to_path(str(directory / NAME / "privkey.pem"))
    for part in certificate.cert_chain_pems:
        part.write_to_path(str(directory / NAME / "fullchain.pem"), append=True)
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    nginx = Nginx(directory, find_free_port(), find_free_port(), trust)
    configuration = render(directory, upstream, nginx.http_port, nginx.https_port)
    configuration = configuration.replace("Host $host;", f"Host {host_variable};")
    user = "user root;" if os.geteuid() == 0 else ""  # other users cannot access a test's folder
    path = directory / "nginx.conf"
    path.write_text(MAIN_CONFIGURATION.format(user=user, directory=directory, configuration=configuration))
    command, environment = [program.path, "-c", str(path)], program.environment
    subprocess.run([*command, "-t"], check=True, capture_output=True, env=environment)
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environment)
    try:
        wait_until(lambda: is_listening(nginx.https_port), "nginx listens")
        yield nginx
    finally:
        process.terminate()
        process.wait(20)
