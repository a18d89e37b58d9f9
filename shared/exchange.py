"""One request to a served page and its answer: who may ask, what may be sent, and how long it may take.

A request is taken from this computer's own page alone: its Host must be this computer, its Origin, where there is one,
this server, and its path must begin with the key that only the printed address has. All three are looked at before
anything else of a request is. HTTP/1.0: a connection has one request, so nothing can hide behind it.
"""

from __future__ import annotations

import hmac
import io
import json
import re
import socket
import sys
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

from shared.errors import InputError

if TYPE_CHECKING:
    from shared.serve import Server

OURS = re.compile(r"(localhost|127\.0\.0\.1)(:\d{1,5})?", re.IGNORECASE)  # any port: it may be forwarded through ssh
HEAD = 2**17  # bytes before the body

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

Parts = Generator[bytes, None, None]
Handler = Callable[[bytes], tuple[str, bytes | Parts]]


class Exchange(BaseHTTPRequestHandler):
    """What ``http.server`` makes of a connection, with guards."""

    server: Server
    default_request_version = "HTTP/1.0"  # or else an unreadable request is answered without a status

    def setup(self) -> None:
        """Have what comes in counted and timed."""
        super().setup()
        self.rfile.close()
        self._incoming = _Hurried(self.connection, HEAD, self.server.limits.receiving)
        self.rfile = io.BufferedReader(self._incoming)

    def do_GET(self) -> None:
        """The page."""
        if self._welcome("GET"):
            self._answer(HTTPStatus.OK, "text/html; charset=utf-8", self.server.page)

    def do_POST(self) -> None:
        """A job, if there is room for one."""
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
            return HTTPStatus.OK, *self.server.routes[self._asked[1]](body)
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
    def _asked(self) -> tuple[str, str | None]:
        """Of ``/key/name`` the key, and what is asked for behind it."""
        before, _, rest = self.path.partition("?")[0].partition("/")
        key, slash, name = rest.partition("/")
        return "" if before else key, name if slash else None

    def _welcome(self, method: str) -> bool:
        """Whether the request comes from this computer's own page and asks for something that there is."""
        hosts, origins = self.headers.get_all("Host", []), self.headers.get_all("Origin", [])
        if len(hosts) != 1 or not OURS.fullmatch(hosts[0]):
            return self._refuse(HTTPStatus.FORBIDDEN, "this server answers to localhost only")
        if any(origin.lower() != f"http://{hosts[0].lower()}" for origin in origins):
            return self._refuse(HTTPStatus.FORBIDDEN, "this server answers to its own page only")
        key, name = self._asked
        if not hmac.compare_digest(key.encode("latin-1"), self.server.key.encode()):
            return self._refuse(HTTPStatus.FORBIDDEN, "open the address that the command printed")
        allowed = "GET" if name == "" else "POST" if name in self.server.routes else None
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
            self._incoming.expect(length, length / limits.pace)
            try:
                body = self.rfile.read(length)
            except TimeoutError:
                self._refuse(HTTPStatus.REQUEST_TIMEOUT, "it took too long to arrive")
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
        """Which Python this is concerns nobody."""
        return "atrous"

    def log_message(self, format: str, *arguments: Any) -> None:
        """Requests are nobody's concern."""


class _Hurried(io.RawIOBase):
    """What a socket receives: so many bytes, in so many seconds. Sending a byte now and then does not stretch them."""

    def __init__(self, connection: socket.socket, most: int, seconds: float):
        self.connection, self.left, self.until = connection, most, time.monotonic() + seconds

    def expect(self, more: int, seconds: float) -> None:
        """So many bytes more, and seconds."""
        self.left += more
        self.until += seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        seconds = self.until - time.monotonic()
        if seconds <= 0 or self.left <= 0:
            raise TimeoutError("the request takes too long, or is too long")
        self.connection.settimeout(seconds)
        count = self.connection.recv_into(buffer)
        self.left -= count
        return count


def _line(text: str) -> bytes:
    return json.dumps({"error": " ".join(text.split())[:500]}).encode() + b"\n"
