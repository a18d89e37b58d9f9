"""The server answers its own page and nobody else, is bounded in everything, and goes on whatever comes."""

import re
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from shared.errors import InputError
from shared.serve import Limits, Server
from tests.serving import serving

LIMITS = Limits(body=1000, receiving=0.4, sending=0.4, connections=6, jobs=2)


def answering(body):
    match body:
        case b"bad":
            raise InputError("picture: is no picture; give one")
        case b"fault":
            raise RuntimeError("secret path /home/me")
        case b"memory":
            raise MemoryError
        case b"slow":
            time.sleep(0.3)
    return "text/plain", body[::-1]


def running(limits=LIMITS):
    return serving(b"<p>the page", {"do": answering}, limits)


@pytest.fixture(scope="module")
def server():
    with running() as server:
        yield server


def received(connection):
    parts = []
    with suppress(ConnectionError):
        while part := connection.recv(2**16):
            parts.append(part)
    return b"".join(parts)


def exchange(server, raw):
    """What comes back for these bytes; status 0 if the connection was closed without an answer."""
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=5) as connection:
        with suppress(ConnectionError):
            connection.sendall(raw)
        answer = received(connection)
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]) if head else 0, head.decode(), body


def request(method="POST", path="/{key}/do", host="127.0.0.1:{port}", body=b"abc", **headers):
    headers.setdefault("content_length", len(body))
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}"] if host else [f"{method} {path} HTTP/1.1"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items() if value is not None]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def sent(server, **parts):
    raw = request(**parts)
    for word, value in (("port", server.server_port), ("key", server.key)):
        raw = raw.replace(f"{{{word}}}".encode(), str(value).encode())
    return raw


def ask(server, **parts):
    return exchange(server, sent(server, **parts))


def serves(server):
    assert ask(server, method="GET", path="/{key}/")[::2] == (200, b"<p>the page")
    assert ask(server)[::2] == (200, b"cba")
    return True


OWN = "http://127.0.0.1:{port}"


def test_what_is_proper_is_answered(server):  # what is not is in tests/reliability/served_pages.py
    assert ask(server, Origin=OWN)[0] == 200
    assert ask(server, host="localhost:{port}", Origin="http://localhost:{port}")[0] == 200
    assert ask(server, body=bytes(1000))[0] == 200
    assert ask(server, body=bytes(1001))[0] == 413
    assert ask(server, method="GET", path="/{key}/?a=b")[0] == 200


def test_every_server_has_another_key(server):
    with running() as other:
        assert len(other.key) == len(server.key) >= 32
        assert ask(other)[0] == 200
        assert ask(other, path=f"/{server.key}/do")[0] == 403


def test_more_jobs_than_it_takes_are_told_to_come_back(server):
    found = []
    threads = [threading.Thread(target=lambda: found.append(ask(server, body=b"slow")[0])) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [200, 200, 503, 503, 503]
    assert serves(server)


def test_an_error_is_one_line_and_tells_nothing_about_this_computer(server, capsys):
    assert ask(server, body=b"bad")[::2] == (422, b'{"error": "picture: is no picture; give one"}\n')
    assert ask(server, body=b"memory")[0] == 503
    status, _, body = ask(server, body=b"fault")
    assert status == 500
    assert b"secret" not in body
    assert b"Traceback" not in body
    assert capsys.readouterr().err.splitlines() == [
        "server: a fault of the program: RuntimeError: secret path /home/me"
    ]
    assert serves(server)


def test_every_answer_carries_what_keeps_browsers_in_bounds(server):
    for parts in ({"method": "GET", "path": "/{key}/"}, {}, {"path": "/nothing"}):
        head = ask(server, **parts)[1]
        policy = re.search(r"Content-Security-Policy: (.*)", head)[1]
        assert "http" not in policy
        assert "*" not in policy
        assert "frame-ancestors 'none'" in policy
        for line in ("X-Content-Type-Options: nosniff", "Referrer-Policy: no-referrer", "Cache-Control: no-store"):
            assert line in head
        assert "Python" not in head


def test_who_does_not_take_the_answer_holds_up_nobody():
    big = Limits(body=2**25, receiving=3, sending=0.3, connections=6, jobs=1)
    with running(big) as server, socket.create_connection(("127.0.0.1", server.server_port), timeout=5) as connection:
        connection.sendall(sent(server, body=bytes(2**24)))
        time.sleep(0.2)
        assert serves(server)


def test_it_listens_on_the_loopback_address_alone(server):
    assert server.server_address[0] == "127.0.0.1"
    assert server.url == f"http://127.0.0.1:{server.server_port}/{server.key}/"


def test_a_port_that_cannot_be_had_is_one_line(server):
    with pytest.raises(InputError, match=r"^--port \d+: .*; choose another, or 0 for a free one$"):
        Server(b"", {}, port=server.server_port)
    for port in (-1, 65536):
        with pytest.raises(InputError, match="a port is a number"):
            Server(b"", {}, port=port)


PROGRAM = """
import sys, tempfile, time
from shared.serve import serve
def job(body):
    print(tempfile.mkdtemp(), flush=True)
    time.sleep(0.5)
    return "text/plain", body
sys.exit(serve(b"", {"do": job}, ready=lambda url: print(url, flush=True)))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_it_when_the_job_is_done_with_the_exit_code_of_all_commands_and_leaves_nothing(number):
    process = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with process:
        port, key = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/(.+)/\n", process.stdout.readline().decode()).groups()
        with socket.create_connection(("127.0.0.1", int(port)), timeout=5) as connection:
            raw = request().replace(b"{port}", port.encode()).replace(b"{key}", key.encode())
            connection.sendall(raw)
            folder = Path(process.stdout.readline().decode().strip()).parent
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
            process.send_signal(number)
            assert received(connection).endswith(b"abc")
        assert process.wait(5) == 130
        assert not folder.exists()
        assert process.stderr.read() == b""
