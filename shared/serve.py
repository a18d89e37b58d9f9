"""A page for one person on this computer: a small HTTP server that trusts nobody who talks to it.

It listens on the loopback address alone, with one page and a few POST routes, ``bytes -> (content type, bytes)``; an
answer may also grow, part by part, until its reader leaves. No file of the disk has an address. Pages of other sites
cannot reach it: the Host must be this computer's, and the Origin, where there is one, this server's. Everything is
bounded: bytes, seconds, connections, jobs at a time. An error is one line of JSON, and the server goes on.
"""

from __future__ import annotations

import io
import json
import os
import re
import socket
import socketserver
import sys
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import BoundedSemaphore, Event
from typing import Any

from shared.cli import INTERRUPTED
from shared.errors import InputError
from shared.training.interruption import Interruption

LOOPBACK = "127.0.0.1"
OURS = re.compile(r"(localhost|127\.0\.0\.1)(:\d{1,5})?", re.IGNORECASE)  # any port: it may be forwarded through ssh
POLL = 0.2  # seconds between looks at whether to stop
LINGER = 1.0  # seconds that a refused client may go on sending, so that it comes to read why
PATIENCE = 10.0  # seconds that a job may take to end when the server stops
PARTING = 2.0  # seconds that answers on their way have at the end

# The page itself carries a narrower policy, with the hashes of its style and script; a browser obeys both.
HEADERS = {
    "Content-Security-Policy": "default-src 'self' 'unsafe-inline' data: blob:; object-src 'none'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Connection": "close",
}

OVERRUN = (
    b"HTTP/1.0 503 Service Unavailable\r\nContent-Type: application/json\r\n\r\n"
    b'{"error": "too many connections at once; try again"}\n'
)

Parts = Generator[bytes, None, None]
Handler = Callable[[bytes], tuple[str, bytes | Parts]]


@dataclass(frozen=True)
class Limits:
    """What one server takes on; more is refused."""

    body: int = 32 * 2**20
    """Bytes that are sent to it in one request."""
    receiving: float = 20.0
    """Seconds until a request must be there as a whole."""
    sending: float = 20.0
    """Seconds until an answer must be taken."""
    connections: int = 16
    """Open at a time."""
    jobs: int = 2
    """POST requests under way at a time, waiting ones included."""
    waiting: float = 0.0
    """Seconds that another one may wait for its turn before it is told to come back."""


class Server(ThreadingHTTPServer):
    """Listens as soon as it is made; ``url`` is where. ``with`` closes it; ``serve`` runs it until Ctrl-C."""

    daemon_threads = True
    request_queue_size = 64
    allow_reuse_address = os.name != "nt"  # there it would let another program take the port over

    def __init__(self, page: bytes, routes: Mapping[str, Handler], port: int = 0, limits: Limits | None = None):
        """``routes`` maps paths, such as ``/predict``, to what answers a POST there; port 0 is any free one."""
        self.page, self.routes, self.limits = page, dict(routes), limits or Limits()
        self.connections, self.jobs = BoundedSemaphore(self.limits.connections), BoundedSemaphore(self.limits.jobs)
        self.timeout, self.stopping = POLL, Event()
        if not 0 <= port < 2**16:
            raise InputError(f"--port {port}: a port is a number from 0, any free one, to 65535")
        try:
            super().__init__((LOOPBACK, port), _Exchange)
        except OSError as error:
            raise InputError(f"--port {port}: {error.strerror}; choose another, or 0 for a free one") from None

    @property
    def url(self) -> str:
        """The address to open in a browser."""
        return f"http://{LOOPBACK}:{self.server_port}/"

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


class _Exchange(BaseHTTPRequestHandler):
    """One request and its answer. HTTP/1.0: a connection has one, so nothing can hide behind it."""

    server: Server
    default_request_version = "HTTP/1.0"  # or else an unreadable request is answered without a status

    def setup(self) -> None:
        super().setup()
        self.rfile.close()
        until = time.monotonic() + self.server.limits.receiving
        self.rfile = io.BufferedReader(_Hurried(self.connection, until))

    def do_GET(self) -> None:
        if self._welcome("GET"):
            self._answer(HTTPStatus.OK, "text/html; charset=utf-8", self.server.page)

    def do_POST(self) -> None:
        if not self._welcome("POST"):
            return
        body = self._body()
        if body is None:
            return
        if not self.server.jobs.acquire(timeout=self.server.limits.waiting):
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "busy with other requests; try again in a moment")
            return
        try:
            status, kind, content = self._worked_out(body)
            if not isinstance(content, bytes):
                self._grow(kind, content)  # the work lasts as long as the answer
                return
        finally:
            self.server.jobs.release()  # before the answer is sent: who takes it slowly holds up nobody
        self._answer(status, kind, content)

    def _worked_out(self, body: bytes) -> tuple[HTTPStatus, str, bytes | Parts]:
        try:
            return HTTPStatus.OK, *self.server.routes[self._path](body)
        except InputError as error:
            status, text = HTTPStatus.UNPROCESSABLE_ENTITY, str(error)
        except MemoryError:
            status, text = HTTPStatus.SERVICE_UNAVAILABLE, "not enough memory for that; send something smaller"
        except Exception as error:
            said = " ".join(f"{type(error).__name__}: {error}".split())[:500]
            print(f"server: a fault of the program: {said}", file=sys.stderr)
            status, text = HTTPStatus.INTERNAL_SERVER_ERROR, "a fault of the program; its terminal says more"
        return status, "application/json", _line(text)

    @property
    def _path(self) -> str:
        return self.path.partition("?")[0]

    def _welcome(self, method: str) -> bool:
        """Whether the request comes from this computer's own page and asks for something that there is."""
        hosts, origins = self.headers.get_all("Host", []), self.headers.get_all("Origin", [])
        if len(hosts) != 1 or not OURS.fullmatch(hosts[0]):
            return self._refuse(HTTPStatus.FORBIDDEN, "this server answers to localhost only")
        if any(origin.lower() != f"http://{hosts[0].lower()}" for origin in origins):
            return self._refuse(HTTPStatus.FORBIDDEN, "this server answers to its own page only")
        allowed = "GET" if self._path == "/" else "POST" if self._path in self.server.routes else None
        if allowed is None:
            return self._refuse(HTTPStatus.NOT_FOUND, "there is nothing at this address")
        if method != allowed:
            return self._refuse(HTTPStatus.METHOD_NOT_ALLOWED, f"this address takes {allowed} only")
        return True

    def _body(self) -> bytes | None:
        """What was sent; None if it was refused. Nothing is read of a body that is too large, or of unknown size."""
        lengths, limits = self.headers.get_all("Content-Length", []), self.server.limits
        if "Transfer-Encoding" in self.headers or not lengths:
            self._refuse(HTTPStatus.LENGTH_REQUIRED, "the size of what is sent must be stated: Content-Length")
        elif len(set(lengths)) > 1 or not re.fullmatch(r"[0-9]{1,18}", lengths[0]):
            self._refuse(HTTPStatus.BAD_REQUEST, "Content-Length is not a number of bytes")
        elif (length := int(lengths[0])) > limits.body:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"at most {limits.body:,} bytes can be sent")
        else:
            try:
                body = self.rfile.read(length)
            except TimeoutError:
                self._refuse(HTTPStatus.REQUEST_TIMEOUT, f"it took more than {limits.receiving:g} seconds to arrive")
                return None
            if len(body) == length:
                return body
            self._refuse(HTTPStatus.BAD_REQUEST, "it ended before all was sent")
        return None

    def _answer(self, status: HTTPStatus, kind: str, content: bytes) -> None:
        self._begin(status, {"Content-Type": kind, "Content-Length": str(len(content))})
        self.wfile.write(content)

    def _grow(self, kind: str, parts: Parts) -> None:
        """Send parts as they are made. A reader who has left is found out by sending: then no more are made."""
        with closing(parts):
            self._begin(HTTPStatus.OK, {"Content-Type": kind})
            while not self.server.stopping.is_set() and (part := next(parts, None)) is not None:
                self.wfile.write(part)

    def _begin(self, status: HTTPStatus, headers: Mapping[str, str]) -> None:
        self.connection.settimeout(self.server.limits.sending)
        self.send_response(status)
        for name, value in {**HEADERS, **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def _refuse(self, status: HTTPStatus, text: str) -> bool:
        self._answer(status, "application/json", _line(text))
        return False

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002
        """What http.server refuses by itself; nothing of the request comes back in the answer."""
        status = HTTPStatus(code)
        if status == HTTPStatus.NOT_IMPLEMENTED:
            status = HTTPStatus.METHOD_NOT_ALLOWED
        self.close_connection = True
        self._refuse(status, status.phrase)

    def version_string(self) -> str:
        return "atrous"  # which Python this is concerns nobody

    def log_message(self, format: str, *arguments: Any) -> None:
        """Requests are nobody's concern."""


class _Hurried(io.RawIOBase):
    """What a socket receives until a point in time; one that sends a byte now and then cannot stretch it."""

    def __init__(self, connection: socket.socket, until: float):
        self.connection, self.until = connection, until

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left = self.until - time.monotonic()
        if left <= 0:
            raise TimeoutError("the request took too long")
        self.connection.settimeout(left)
        return self.connection.recv_into(buffer)


def serve(
    page: bytes,
    routes: Mapping[str, Handler],
    *,
    port: int = 0,
    limits: Limits | None = None,
    ready: Callable[[str], None] = print,
) -> int:
    """Serve until Ctrl-C or SIGTERM, and return the exit code that says so. ``ready`` is told the address."""
    with Interruption() as interruption, Server(page, routes, port, limits) as server:
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


def _line(text: str) -> bytes:
    return json.dumps({"error": " ".join(text.split())[:500]}).encode() + b"\n"
