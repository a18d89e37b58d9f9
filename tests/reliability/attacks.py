"""Attacks on a served page, over raw sockets; each gives what came back, b"" if the connection was closed."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """A server: its port, what its addresses begin with, a name that takes POST, and how long it may take to refuse."""

    port: int
    base: str
    name: str
    patience: float

    def exchange(self, raw: bytes, drip: bytes = b"") -> bytes:
        """What comes back for these bytes, to its end, or TimeoutError; ``drip`` is sent again and again meanwhile."""
        until, answer, step = time.monotonic() + self.patience, bytearray(), 0.02 if drip else self.patience
        with socket.create_connection(("127.0.0.1", self.port), timeout=step) as connection, suppress(ConnectionError):
            connection.sendall(raw)
            while time.monotonic() < until:
                with suppress(TimeoutError):
                    if not (part := connection.recv(2**16)):
                        return bytes(answer)
                    answer += part
                    continue
                connection.sendall(drip)
            raise TimeoutError(f"no end after {self.patience:g} s")
        return bytes(answer)

    def request(
        self, method: str = "POST", path: str | None = None, host: str | None = "", body: bytes = b"", **headers: object
    ) -> bytes:
        """The bytes of a request that is proper where nothing else is said; None leaves a header out."""
        path = f"{self.base}{self.name}" if path is None else path
        fields = {"Host": host or (None if host is None else f"127.0.0.1:{self.port}"), "Content-Length": len(body)}
        fields |= {name.replace("_", "-"): value for name, value in headers.items()}
        lines = [f"{name}: {value}" for name, value in fields.items() if value is not None]
        return "\r\n".join([f"{method} {path} HTTP/1.1", *lines, "", ""]).encode() + body

    def ask(self, **parts: object) -> bytes:
        """What comes back for ``request(**parts)``."""
        return self.exchange(self.request(**parts))


Attack = Callable[[Target], bytes]
ELSEWHERE = "http://elsewhere.example"


def asking(**parts: object) -> Attack:
    """A request with something wrong in it; ``{base}`` in its path stands for what addresses begin with."""

    def attack(target: Target) -> bytes:
        said = dict(parts)
        if "path" in said:
            said["path"] = said["path"].format(base=target.base, port=target.port)
        return target.ask(**said)

    return attack


def sending(raw: bytes) -> Attack:
    """These very bytes."""
    return lambda target: target.exchange(raw)


def slow_header(target: Target) -> bytes:
    """A header that never ends, byte by byte."""
    return target.exchange(target.request()[:-2] + b"X: ", b"a")


def slow_body(target: Target) -> bytes:
    """A body that comes byte by byte."""
    return target.exchange(target.request(Content_Length=9000), b"a")


def slow_start(target: Target) -> bytes:
    """A connection on which nothing comes."""
    return target.exchange(b"")


def flood(target: Target) -> bytes:
    """200 connections at once that say nothing; one that is still open in the end is no refusal."""
    many, answers = [], []
    for _ in range(200):
        with suppress(OSError):
            many.append(socket.create_connection(("127.0.0.1", target.port), timeout=target.patience))
    try:
        for connection in many:
            with suppress(ConnectionError):
                while part := connection.recv(2**16):
                    answers.append(part)
    finally:
        for connection in many:
            connection.close()
    return answers[0] if answers else b""


def pipelined(target: Target) -> bytes:
    """A refused request, and a second one behind it; both answered would be two heads."""
    return target.exchange(target.request(host="elsewhere.example") + target.request("GET", target.base))


def second_request(target: Target) -> bytes:
    """A proper one with another behind its body: what comes behind the first answer."""
    answers = target.exchange(target.request("GET", target.base) + target.request("GET", target.base))
    return b"".join(b"HTTP/1." + each for each in answers.split(b"HTTP/1.")[2:])


def aborted(target: Target) -> bytes:
    """Leave in the middle of an answer, ten times: nothing may go on being made for nobody."""
    for _ in range(10):
        with socket.create_connection(("127.0.0.1", target.port), timeout=target.patience) as connection:
            connection.sendall(target.request(body=b'{"seconds": 60}\n'))
            connection.recv(100)
    return b""


FORM = {"Content_Type": "application/x-www-form-urlencoded"}
PARTS = b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n" * 20_000 + b"--x--\r\n"
LONG_PART = b"--x\r\nContent-Disposition: form-data; name=" + b"a" * 10**6 + b"\r\n\r\n\r\n--x--\r\n"
MULTIPART = {"Content_Type": "multipart/form-data; boundary=x"}

BY_WIRE: dict[str, Attack] = {
    "a foreign host (DNS rebinding)": asking(method="GET", path="{base}", host="elsewhere.example:80"),
    "a foreign host, to compute": asking(host="elsewhere.example"),
    "a host that begins as ours": asking(host="127.0.0.1.elsewhere.example"),
    "a host with a user": asking(host="127.0.0.1@elsewhere.example"),
    "no host": asking(host=None),
    "two hosts": asking(HOST="elsewhere.example"),
    "a form of another site (CSRF)": asking(Origin=ELSEWHERE, body=b"a=b", **FORM),
    "another port's page": asking(Origin="http://127.0.0.1:1"),
    "another scheme's page": asking(Origin="https://127.0.0.1"),
    "a page without an origin": asking(Origin="null"),
    "no key": asking(method="GET", path="/"),
    "no key, to compute": lambda target: target.ask(path=f"/{target.name}"),
    "a wrong key": lambda target: target.ask(path=f"/{'a' * 32}/{target.name}"),
    "half a key": lambda target: target.ask(path=f"{target.base[:-9]}/{target.name}"),
    "a key with a byte more": lambda target: target.ask(path=f"{target.base[:-1]}\u00e9/{target.name}"),
    "a path upwards": asking(method="GET", path="{base}../../etc/passwd"),
    "an encoded path upwards": asking(method="GET", path="{base}%2e%2e/%2e%2e/etc/passwd"),
    "an absolute file": asking(method="GET", path="//etc/passwd"),
    "an absolute address": asking(method="GET", path="http://127.0.0.1:{port}{base}"),
    "another site's address": asking(method="GET", path=f"{ELSEWHERE}/"),
    "a zero byte": asking(method="GET", path="{base}\0"),
    "no length": asking(Content_Length=None),
    "chunks": asking(Transfer_Encoding="chunked", body=b"0\r\n\r\n"),
    "a negative length": asking(Content_Length=-5),
    "a huge length": asking(Content_Length=10**12),
    "an endless length": asking(Content_Length="9" * 4000),
    "a length that is no number": asking(Content_Length="0x10"),
    "two lengths": asking(body=b"{}\n", content_length=7),
    "a slow header": slow_header,
    "a slow body": slow_body,
    "nothing at all": slow_start,
    "5,000 headers": asking(**{f"A{at}": "b" for at in range(5000)}),
    "an endless header": asking(A="a" * 200_000),
    "an endless line": sending(b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n"),
    "200 connections": flood,
    "a request behind a refused one": pipelined,
    "a request behind another": second_request,
    "HTTP/0.9": lambda target: target.exchange(f"GET {target.base}\r\n\r\n".encode()),
    "HTTP/9.9": lambda target: target.exchange(f"GET {target.base} HTTP/9.9\r\n\r\n".encode()),
    "noise": sending(bytes(range(256)) * 4),
    "a TLS greeting": sending(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200)),
    "headers of zeros": sending(b"GET / HTTP/1.1\r\nHost: \0\0\r\n\r\n"),
    "very many parts": asking(body=PARTS, **MULTIPART),
    "a part with an endless header": asking(body=LONG_PART, **MULTIPART),
    **{f"method {name}": asking(method=name) for name in ("GET", "HEAD", "PUT", "OPTIONS", "TRACE", "CONNECT")},
}
"""What is said to any served page."""
