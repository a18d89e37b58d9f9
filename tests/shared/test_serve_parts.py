"""An answer that grows: part by part, no longer than somebody reads it, and one at a time."""

import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

from shared.serve import Limits
from tests.serving import serving

PART = bytes(2**16)
made = []  # parts, and at last "closed"


def growing(body):
    if body == b"slow":
        time.sleep(0.3)
        return "text/plain", b"done"
    return "text/plain", parts(int(body))


def parts(count):
    made.clear()
    try:
        for at in range(count):
            made.append(at)
            yield PART
            time.sleep(0.01)
    finally:
        made.append("closed")


def running(**limits):
    return serving(b"", {"do": growing}, Limits(jobs=1, **limits))


def ask(server, body):
    try:
        with urllib.request.urlopen(f"{server.url}do", data=body, timeout=10) as answer:
            return answer.status, answer.read(), answer.headers
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(), error.headers


def closed(within=5):
    until = time.monotonic() + within
    while made[-1:] != ["closed"] and time.monotonic() < until:
        time.sleep(0.01)
    return made[-1:] == ["closed"]


def test_it_comes_part_by_part_and_in_the_same_bounds_as_all_answers():
    with running() as server:
        status, body, headers = ask(server, b"3")
    assert (status, body, made) == (200, 3 * PART, [0, 1, 2, "closed"])
    assert "Content-Length" not in headers
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]


def test_no_more_is_made_when_its_reader_has_left():
    with running() as server:
        answer = urllib.request.urlopen(f"{server.url}do", data=b"1000000", timeout=10)
        assert len(answer.read(2**17)) == 2**17
        answer.close()
        assert closed()
        assert ask(server, b"1")[0] == 200


def test_while_it_grows_others_are_told_that_the_server_is_busy():
    with running() as server, urllib.request.urlopen(f"{server.url}do", data=b"1000000", timeout=10) as answer:
        answer.read(10)
        status, body, _ = ask(server, b"1")
        assert (status, body) == (503, b'{"error": "busy with other requests; try again in a moment"}\n')


def test_who_may_wait_for_its_turn_gets_it_if_it_comes_in_time():
    with running(waiting=5) as server:
        found = []
        threads = [threading.Thread(target=lambda: found.append(ask(server, b"slow")[0])) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [200, 200, 200]


PROGRAM = """
import sys, time
from shared.serve import serve
def grow():
    while True:
        yield b"more"
        time.sleep(0.01)
sys.exit(serve(b"", {"do": lambda body: ("text/plain", grow())}, ready=lambda url: print(url, flush=True)))
"""


def test_ctrl_c_ends_it_at_its_next_part():
    process = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with process:
        port, key = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/(.+)/\n", process.stdout.readline().decode()).groups()
        with socket.create_connection(("127.0.0.1", int(port)), timeout=10) as connection:
            head = f"POST /{key}/do HTTP/1.0\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n"
            connection.sendall(head.encode())
            while b"more" not in connection.recv(2**16):
                pass
            process.send_signal(signal.SIGINT)
            while connection.recv(2**16):
                pass
        assert process.wait(10) == 130
        assert process.stderr.read() == b""
