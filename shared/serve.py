"""A page for one person on this computer: a small HTTP server that trusts nobody who talks to it.

It listens on the loopback address alone, with one page and a few POST routes, ``bytes -> (content type, bytes)``; an
answer may also grow, part by part, until its reader leaves. No file of the disk has an address. Neither pages of other
sites nor other users of this computer can reach it: ``shared.exchange`` says who may ask. Everything is bounded: bytes,
seconds, connections, jobs at a time. An error is one line of JSON, and the server goes on.
"""

from __future__ import annotations

import os
import secrets
import socket
import socketserver
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import ThreadingHTTPServer
from threading import BoundedSemaphore, Event
from typing import Any

from shared.cli import INTERRUPTED
from shared.errors import InputError
from shared.exchange import Exchange, Handler
from shared.training.interruption import Interruption

LOOPBACK = "127.0.0.1"
POLL = 0.2  # seconds between looks at whether to stop
LINGER = 1.0  # seconds that a refused client may go on sending, so that it comes to read why
PATIENCE = 10.0  # seconds that a job may take to end when the server stops
PARTING = 2.0  # seconds that answers on their way have at the end

OVERRUN = (
    b"HTTP/1.0 503 Service Unavailable\r\nContent-Type: application/json\r\n\r\n"
    b'{"error": "too many connections at once; try again"}\n'
)


@dataclass(frozen=True)
class Limits:
    """What one server takes on; more is refused."""

    body: int = 32 * 2**20
    """Bytes that are sent to it in one request."""
    receiving: float = 5.0
    """Seconds until a request must be there."""
    pace: int = 2**20
    """Bytes of its body that have a second more."""
    sending: float = 20.0
    """Seconds until an answer must be taken."""
    connections: int = 16
    """Open at a time."""
    jobs: int = 2
    """POST requests under way at a time, waiting ones included."""
    waiting: float = 0.0
    """Seconds that another one may wait for its turn before it is told to come back."""


class Server(ThreadingHTTPServer):
    """Listens as soon as it is made; ``url`` is where, and has its ``key``. ``serve`` runs it until Ctrl-C."""

    daemon_threads = True
    request_queue_size = 64
    allow_reuse_address = os.name != "nt"  # there it would let another program take the port over

    def __init__(self, page: bytes, routes: Mapping[str, Handler], port: int = 0, limits: Limits | None = None):
        """``routes`` maps names, such as ``predict``, to what answers a POST there; port 0 is any free one."""
        self.key = secrets.token_urlsafe(24)
        self.page, self.routes, self.limits = page, dict(routes), limits or Limits()
        self.connections, self.jobs = BoundedSemaphore(self.limits.connections), BoundedSemaphore(self.limits.jobs)
        self.timeout, self.stopping = POLL, Event()
        if not 0 <= port < 2**16:
            raise InputError(f"--port {port}: a port is a number from 0, any free one, to 65535")
        try:
            super().__init__((LOOPBACK, port), Exchange)
        except OSError as error:
            raise InputError(f"--port {port}: {error.strerror}; choose another, or 0 for a free one") from None

    @property
    def url(self) -> str:
        """The address to open in a browser."""
        return f"http://{LOOPBACK}:{self.server_port}/{self.key}/"

    def server_bind(self) -> None:
        """Take the port without asking the name service what this computer is called."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = LOOPBACK, self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread; beyond the limit, refuse here and at once."""
        if not self.connections.acquire(blocking=False):
            with suppress(OSError):
                request.settimeout(POLL)
                request.sendall(OVERRUN)
            self.close_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:  # no thread was to be had
            self.connections.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """One connection, from its first byte to its end."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.connections.release()

    def shutdown_request(self, request: Any) -> None:
        """Close. While the client still sends, closing would tear down the answer before it is read: so wait a bit."""
        with suppress(OSError):
            request.shutdown(socket.SHUT_WR)
            until = time.monotonic() + LINGER
            while (left := until - time.monotonic()) > 0:
                request.settimeout(left)
                if not request.recv(2**16):
                    break
        self.close_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 – the interface of socketserver
        """A client that leaves is nothing to talk about; anything else is said in one line."""
        error = sys.exception()
        if not isinstance(error, OSError):
            print(f"server: {type(error).__name__}: {error}".replace("\n", " "), file=sys.stderr)


def serve(
    page: bytes,
    routes: Mapping[str, Handler],
    *,
    port: int = 0,
    limits: Limits | None = None,
    ready: Callable[[str], None] = print,
) -> int:
    """Serve until Ctrl-C or SIGTERM, and return the exit code that says so. ``ready`` is told the address."""
    with Interruption() as interruption, _uploads(), Server(page, routes, port, limits) as server:
        ready(server.url)
        while not interruption.requested:
            server.handle_request()
        server.stopping.set()
        until = time.monotonic() + PATIENCE
        for _ in range(server.limits.jobs):  # holding all of them means that none is under way
            server.jobs.acquire(timeout=max(0.0, until - time.monotonic()))
        until = time.monotonic() + PARTING
        for _ in range(server.limits.connections):  # and their answers are on the way
            server.connections.acquire(timeout=max(0.0, until - time.monotonic()))
    return INTERRUPTED


@contextmanager
def _uploads() -> Iterator[None]:
    """Within, temporary files lie in one folder that only this user can open; it goes at the end, whatever is in it."""
    before = tempfile.tempdir
    with tempfile.TemporaryDirectory(prefix="atrous-", ignore_cleanup_errors=True) as tempfile.tempdir:
        try:
            yield
        finally:
            tempfile.tempdir = before
