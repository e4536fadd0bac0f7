"""Measure the baselines with the same sink: Postfix's smtp-source and a plain Flask-Mail loop."""

import subprocess
import sys
import time
from pathlib import Path

from bench.postfix import Postfix, Sink

PROJECT_DIR = Path(__file__).resolve().parents[1]
SESSIONS = "10"
LETTER_BYTES = 4096


def measure_smtp_source(postfix: Postfix, sink: Sink, count: int, size: int = LETTER_BYTES) -> float:
    """Return letters per second of `smtp-source -s 10`, which sends the same letter repeatedly.

    Its sessions stay open (-d), like ours, which is twice as fast as its default of one session per letter.
    """
    before = sink.letters
    command = [postfix.source, "-s", SESSIONS, "-d", "-m", str(count), "-l", str(size)]
    command += ["-f", "letters@sky.example", "-t", "client@example.org", f"127.0.0.1:{sink.port}"]
    start = time.perf_counter()
    subprocess.run(command, env=postfix.environment, check=True)
    seconds = time.perf_counter() - start
    _check_arrived(sink.letters - before, count)
    return count / seconds


def measure_flask_mail_loop(sink: Sink, count: int) -> float:
    """Return letters per second of the loop, without its start-up time."""
    before = sink.letters
    command = [sys.executable, "-m", "bench.flask_mail_loop", str(sink.port), str(count)]
    output = subprocess.run(command, cwd=PROJECT_DIR, check=True, capture_output=True, text=True).stdout
    _check_arrived(sink.letters - before, count)
    return count / float(output)


def _check_arrived(arrived: int, count: int) -> None:
    if arrived != count:
        raise RuntimeError(f"{count} letters were sent and {arrived} arrived")
