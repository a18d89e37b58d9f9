"""Promise: a served page is its user's alone, refuses what is hostile, and goes on.

Servers with the products' own answers run in children, and are attacked over raw sockets; after every attack a proper
request must be answered as before. In the end SIGTERM ends them, and nothing that was sent may be left on the disk.
"""

from __future__ import annotations

import json
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import torch

from segmentation import serve as pages_of_pictures
from segmentation.model import ModelConfig, SegmentationModel
from segmentation.networks import PoolFree
from segmentation.palette import numbered
from shared.exchange import Handler
from shared.serve import Limits, serve
from tests.reliability.attacks import BY_WIRE, Attack, Target, aborted
from tests.reliability.promise import Figure, Promise, Tier
from tests.reliability.uploads import packed_png, pictures, wishes
from tests.wavenet.networks import small_network
from wavenet import serve as pages_of_sound
from wavenet.serve_page import page

GROWTH = 64  # MB that a server's memory may grow by while it is attacked a second time
PAGE = b"<!doctype html>"
Ready = Callable[[str], None]


@dataclass(frozen=True)
class Place:
    """A server to attack: what starts it, the name that takes POST, a proper body for it, and attacks."""

    start: Callable[[Ready], int]
    name: str
    proper: bytes
    attacks: Mapping[str, Attack]
    lenient: bool = False
    """Whether any refusal will do, not only one line that tells nothing."""


def refused(answer: bytes, lenient: bool) -> str:
    """'' if the answer refuses in one line and tells nothing, or is none at all; else what it is."""
    if not answer:
        return ""
    head, _, body = answer.partition(b"\r\n\r\n")
    status = int(head.split()[1]) if head.startswith(b"HTTP/") else 0
    if not 400 <= status < 600 or status == 500 or b"Access-Control" in head or answer.count(b"HTTP/1.") > 1:
        return f"answered {head[:60]!r}"
    if lenient:
        return ""
    try:
        (text,) = json.loads(body).values()
    except ValueError:
        return f"refused with {body[:60]!r}"
    return "" if "\n" not in text and tempfile.gettempdir() not in text else f"refused with {text!r}"


def serves(target: Target, proper: bytes) -> str:
    """'' if proper requests are answered properly; what was attacked before may take a moment to end."""
    until = time.monotonic() + target.patience
    for parts in ({"method": "GET", "path": target.base}, {"body": proper}):
        while (answer := target.ask(**parts)).startswith(b"HTTP/1.0 503") and time.monotonic() < until:
            time.sleep(0.02)
        if not answer.startswith(b"HTTP/1.0 200") or (PAGE in answer.lower()) != ("path" in parts):
            return f"no proper answer any more: {answer[:60]!r}"
    return ""


@contextmanager
def running(start: Callable[[Ready], int], said: Path) -> Iterator[tuple[str, int]]:
    """A server in a child, its address and its number; SIGTERM ends it. Its stderr goes to a file."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.setpgid(0, 0)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            with said.open("wb") as file:
                os.dup2(file.fileno(), 2)
            torch.set_num_threads(1)
            start(lambda url: os.write(writing, url.encode() + b"\n") and None)
        finally:
            os._exit(0)
    os.close(writing)
    try:
        with open(reading, "rb") as pipe:  # noqa: PTH123 (a number)
            yield pipe.readline().decode().strip(), child
    finally:
        os.kill(child, signal.SIGTERM)
        os.waitpid(child, 0)


def memory(process: int) -> float:
    """Megabytes that a process holds."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def attacked(place: Place, tier: Tier, name: str, patience: float) -> tuple[dict[str, str], float]:
    """What was wrong with each attack, '' if nothing was; and how many MB the memory grew by in the second round."""
    found, grown = {}, 0.0
    with running(place.start, tier.scratch / f"{name}.stderr") as (url, process):
        address = urlsplit(url)
        target = Target(address.port, address.path, place.name, patience)
        for _ in range(tier.count(1, 2)):
            before = memory(process)
            for each, attack in place.attacks.items():
                try:
                    found[each] = (
                        found.get(each) or refused(attack(target), place.lenient) or serves(target, place.proper)
                    )
                except (OSError, TimeoutError) as error:
                    found[each] = f"{type(error).__name__}: {error}"
            grown = memory(process) - before
    return found, grown


def places(limits: Limits | None) -> dict[str, Place]:
    """The pages of both crafts, with small models of fresh weights."""
    torch.manual_seed(0)
    sound, proper = small_network(), b'{"seconds": 0.02}\n'
    b"".join(pages_of_sound.drawer(sound)(proper)[1])  # what is loaded for the first sound is there in the children
    looks = SegmentationModel(
        ModelConfig(network=PoolFree(width=4, rates=(2,), dilations=(1, 2)), classes=numbered(2, ("a", "b")))
    )

    def start(written: bytes, routes: Mapping[str, Handler], own: Limits) -> Callable[[Ready], int]:
        hurried = replace(own, receiving=limits.receiving, pace=limits.pace) if limits else own
        return lambda ready: serve(written, routes, limits=hurried, ready=ready)

    draw, predict = pages_of_sound.DRAW, pages_of_pictures.PREDICT
    sounds = start(page(sound.config, "a", draw, 60, 1), {draw: pages_of_sound.drawer(sound)}, pages_of_sound.limits())
    looked = {predict: pages_of_pictures.predictor(looks)}
    shown = start(pages_of_pictures.page(looks, "a"), looked, pages_of_pictures.limits())
    by_wire = {**BY_WIRE, "readers who leave": aborted}
    return {
        "sound": Place(sounds, draw, proper, {**by_wire, **posting(wishes())}),
        "pictures": Place(shown, predict, packed_png(16), posting(pictures())),
    }


def posting(bodies: Mapping[str, bytes]) -> dict[str, Attack]:
    """Proper requests with these in them."""
    return {name: (lambda target, body=body: target.ask(body=body)) for name, body in bodies.items()}


def proof(tier: Tier) -> Figure:
    """Both pages as our commands serve them; in the quick tier they are less patient."""
    found, grown, folder = {}, 0.0, tier.folder("uploads")
    quick, before = tier.name == "quick", tempfile.tempdir
    tempfile.tempdir = str(folder)
    try:
        for name, place in places(Limits(receiving=0.3) if quick else None).items():
            wrong, more = attacked(place, tier, name, 3.0 if quick else 15.0)
            found |= {f"{name}: {each}": text for each, text in wrong.items()}
            grown = max(grown, more)
            found[f"{name}: nothing is left on the disk"] = ", ".join(path.name for path in folder.iterdir())
            found[f"{name}: no fault of the program"] = (tier.scratch / f"{name}.stderr").read_text()[:200]
    finally:
        tempfile.tempdir = before
    if not quick:
        found["memory"] = "" if grown < GROWTH else f"{grown:.0f} MB more"
    held = list(found.values()).count("")
    said = f"{held} of {len(found)} refused, and a proper request answered after each"
    said += "" if quick else f"; memory {grown:+.0f} MB in a second round"
    return Figure(held, len(found), said, {"faults": {name: text for name, text in found.items() if text}})


class Unguarded(BaseHTTPRequestHandler):
    """What the standard library's documentation leads to."""

    def do_GET(self) -> None:
        """The page."""
        self._answer(PAGE if self.path == "/" else b"nothing here", 200 if self.path == "/" else 404)

    def do_POST(self) -> None:
        """Take what is sent, and answer."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(body[::-1], 200)

    def _answer(self, content: bytes, status: int) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(content)


def unguarded(ready: Ready) -> int:
    """The standard library's server, until it is killed."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Unguarded) as server:
        ready(f"http://127.0.0.1:{server.server_port}/")
        server.serve_forever()
    return 0


def control(tier: Tier) -> Figure:
    """The same attacks by wire; in the quick tier some of them, since it hangs in most."""
    attacks = dict(list(BY_WIRE.items())[:: tier.count(4, 1)])
    found, _ = attacked(
        Place(unguarded, "do", b"abc", attacks, lenient=True), replace(tier, name="quick"), "naive", 0.3
    )
    held = list(found.values()).count("")
    return Figure(held, len(found), f"{held} of {len(found)} refused, and a proper request answered after each")


PROMISE = Promise(
    number=15,
    guarantee=(
        "A served page is yours alone: it listens on this computer only, answers only who has the printed address "
        "with its random key, and only its own page. Hostile requests and files are refused within seconds, the "
        "server goes on, and what was sent leaves no trace."
    ),
    naive="`http.server` as its documentation shows it",
    proof=proof,
    control=control,
)
