"""The server answers its own page and nobody else, is bounded in everything, and goes on whatever comes."""

import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress

import pytest

from shared.errors import InputError
from shared.serve import Limits, Server
from tests.serving import serving

LIMITS = Limits(body=1000, receiving=0.4, sending=0.4, connections=6, jobs=2)


def answering(body):
    match body:
        case b"bad":
            raise InputError("picture: is\nno picture; give one")
        case b"fault":
            raise RuntimeError("secret path /home/me")
        case b"memory":
            raise MemoryError
        case b"slow":
            time.sleep(0.3)
    return "text/plain", body[::-1]


def running(limits=LIMITS):
    return serving(b"<p>the page", {"/do": answering}, limits)


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


def request(method="POST", path="/do", host="127.0.0.1:{port}", body=b"abc", **headers):
    headers.setdefault("content_length", len(body))
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}"] if host else [f"{method} {path} HTTP/1.1"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items() if value is not None]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def ask(server, **parts):
    return exchange(server, request(**parts).replace(b"{port}", str(server.server_port).encode()))


def serves(server):
    assert ask(server, method="GET", path="/")[::2] == (200, b"<p>the page")
    assert ask(server)[::2] == (200, b"cba")
    return True


OWN = "http://127.0.0.1:{port}"
ATTACKS = {
    "path traversal": ({"method": "GET", "path": "/../../etc/passwd"}, 404),
    "encoded traversal": ({"method": "GET", "path": "/%2e%2e/%2e%2e/etc/passwd"}, 404),
    "absolute file": ({"method": "GET", "path": "//etc/passwd"}, 404),
    "address of another site": ({"method": "GET", "path": "http://elsewhere.example/"}, 404),
    "listing": ({"method": "GET", "path": "/do/"}, 404),
    "foreign host (DNS rebinding)": ({"host": "elsewhere.example:{port}"}, 403),
    "host that begins as ours": ({"host": "127.0.0.1.elsewhere.example"}, 403),
    "host with a user": ({"host": "127.0.0.1@elsewhere.example"}, 403),
    "no host": ({"host": None}, 403),
    "two hosts": ({"Host": "elsewhere.example"}, 403),
    "foreign host, page": ({"method": "GET", "path": "/", "host": "elsewhere.example"}, 403),
    "foreign origin (CSRF)": ({"Origin": "http://elsewhere.example"}, 403),
    "origin of another port": ({"Origin": "http://127.0.0.1:1"}, 403),
    "origin by another scheme": ({"Origin": "https://127.0.0.1:{port}"}, 403),
    "null origin": ({"Origin": "null"}, 403),
    "wrong method for a route": ({"method": "GET"}, 405),
    "wrong method for the page": ({"path": "/"}, 405),
    "huge length": ({"content_length": 10**12}, 413),
    "one byte too many": ({"body": bytes(1001)}, 413),
    "endless length": ({"content_length": "9" * 4000}, 400),
    "negative length": ({"content_length": -5}, 400),
    "length that is no number": ({"content_length": "0x10"}, 400),
    "two lengths (smuggling)": ({"Content-Length": 7}, 400),
    "no length": ({"content_length": None}, 411),
    "chunks": ({"Transfer-Encoding": "chunked"}, 411),
    "less than was said": ({"content_length": 9}, 408),
    **{f"method {name}": ({"method": name}, 405) for name in ("HEAD", "PUT", "OPTIONS", "TRACE", "CONNECT", "EVAL")},
}  # fmt: skip


@pytest.mark.parametrize(("parts", "status"), ATTACKS.values(), ids=ATTACKS)
def test_an_attack_is_refused_in_one_line_and_the_server_still_answers(server, parts, status):
    found, head, body = ask(server, **parts)
    assert found == status, body
    assert set(json.loads(body)) == {"error"}
    assert body.endswith(b"}\n")
    assert body.count(b"\n") == 1
    assert b"elsewhere" not in body
    assert "Access-Control" not in head
    assert serves(server)


def test_controls_that_must_pass(server):
    assert ask(server, Origin=OWN)[0] == 200
    assert ask(server, host="localhost:{port}", Origin="http://localhost:{port}")[0] == 200
    assert ask(server, body=bytes(1000))[0] == 200
    assert ask(server, method="GET", path="/?a=b")[0] == 200


GARBAGE = {
    "noise": bytes(range(256)) * 4,
    "a TLS greeting": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
    "one word": b"GET\r\n\r\n",
    "HTTP/0.9": b"GET /\r\n\r\n",
    "HTTP/9.9": b"GET / HTTP/9.9\r\n\r\n",
    "no version": b"GET / HTTP/x.y\r\n\r\n",
    "an endless line": b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n",
    "an endless header": b"GET / HTTP/1.1\r\nA: " + b"a" * 70_000 + b"\r\n\r\n",
    "very many headers": b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 5000 + b"\r\n",
    "a header without a name": b"GET / HTTP/1.1\r\n: x\r\n\r\n",
    "headers of zeros": b"GET / HTTP/1.1\r\nHost: \0\0\r\n\r\n",
    "line feeds": b"\n" * 500,
    "nothing": b"",
}


@pytest.mark.parametrize("raw", GARBAGE.values(), ids=GARBAGE)
def test_what_is_no_request_is_refused_or_dropped(server, raw):
    status, _, body = exchange(server, raw)
    assert status == 0 or (400 <= status < 600 and "error" in json.loads(body)), (status, body)
    assert serves(server)


@pytest.mark.parametrize("beginning", [b"", b"POST /do HTTP/1.1\r\n", request(content_length=900)])
def test_a_slow_sender_is_cut_off_however_steadily_it_drips(server, beginning):
    begun = time.monotonic()
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=5) as connection:
        connection.sendall(beginning.replace(b"{port}", str(server.server_port).encode()))
        with suppress(ConnectionError):
            while time.monotonic() - begun < 4:
                connection.sendall(b"a")
                connection.settimeout(0.05)
                with suppress(TimeoutError):
                    if connection.recv(100) == b"":
                        break
    assert time.monotonic() - begun < 3
    assert serves(server)


def test_a_flood_of_connections_is_turned_away_and_leaves_nothing_behind(server):
    idle = [socket.create_connection(("127.0.0.1", server.server_port), timeout=5) for _ in range(60)]
    answers = [received(connection) for connection in idle]
    for connection in idle:
        connection.close()
    turned_away = [answer for answer in answers if b" 503 " in answer]
    assert len(turned_away) >= 60 - 2 * LIMITS.connections
    assert all(json.loads(answer.partition(b"\r\n\r\n")[2])["error"] for answer in turned_away)
    time.sleep(0.1)
    assert threading.active_count() < 2 + 2 * LIMITS.connections
    assert serves(server)


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
    for parts in ({"method": "GET", "path": "/"}, {}, {"path": "/nothing"}):
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
        connection.sendall(request(body=bytes(2**24)).replace(b"{port}", b"1"))
        time.sleep(0.2)
        assert serves(server)


def test_it_listens_on_the_loopback_address_alone(server):
    assert server.server_address[0] == "127.0.0.1"
    assert server.url == f"http://127.0.0.1:{server.server_port}/"


def test_a_port_that_cannot_be_had_is_one_line(server):
    with pytest.raises(InputError, match=r"^--port \d+: .*; choose another, or 0 for a free one$"):
        Server(b"", {}, port=server.server_port)
    for port in (-1, 65536):
        with pytest.raises(InputError, match="a port is a number"):
            Server(b"", {}, port=port)


PROGRAM = """
import time, sys
from shared.serve import serve
def job(body):
    time.sleep(0.5); print("finished", flush=True); return "text/plain", body
sys.exit(serve(b"", {"/do": job}, ready=lambda url: print(url, flush=True)))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_it_when_the_job_is_done_with_the_exit_code_of_all_commands(number):
    process = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with process:
        port = int(process.stdout.readline().decode().rstrip("/\n").rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(request().replace(b"{port}", str(port).encode()))
            time.sleep(0.2)
            process.send_signal(number)
            assert received(connection).endswith(b"abc")
        assert process.wait(5) == 130
        assert process.stdout.read() == b"finished\n"
        assert process.stderr.read() == b""
