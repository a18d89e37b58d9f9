"""The page shows what the model sees; what is no picture, or too large, is refused in one line, and it goes on."""

import base64
import io
import json
import re
import struct
import threading
import urllib.error
import urllib.request
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from segmentation.cli import main
from segmentation.model import ModelConfig, SegmentationModel
from segmentation.networks import PoolFree
from segmentation.palette import numbered
from segmentation.serve import PREDICT, limits, page, predictor
from shared.errors import InputError
from tests.browser import Browser
from tests.serving import serving

NAMES = ("sky", "</script><script>document.title='ran'</script>", "a & b")


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(1)
    classes = numbered(3, NAMES)
    return SegmentationModel(ModelConfig(network=PoolFree(width=4, rates=(2,), dilations=(1, 2)), classes=classes))


def running(model):
    return serving(page(model, "<my model>"), {PREDICT: predictor(model)}, limits())


def pixels(height=40, width=60):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def encoded(array, kind="PNG", **options):
    out = io.BytesIO()
    Image.fromarray(array).save(out, kind, **options)
    return out.getvalue()


def post(server, content):
    sent = urllib.request.Request(server.url + PREDICT, data=content, method="POST")
    try:
        with urllib.request.urlopen(sent, timeout=20) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def raw(text):
    return base64.b64decode(text)


def test_the_answer_is_what_the_model_predicts(model):
    kind, content = predictor(model)(encoded(pixels()))
    answer, wanted = json.loads(content), model.predict(pixels())
    assert kind == "application/json"
    assert (answer["height"], answer["width"]) == (40, 60)
    assert zlib.decompress(raw(answer["ids"])) == wanted.ids.tobytes()
    with Image.open(io.BytesIO(raw(answer["mask"]))) as mask:
        assert np.array_equal(np.asarray(mask), wanted.ids)
        assert mask.getpalette()[3:6] == list(model.classes.colours[1])
    assert np.allclose(answer["shares"], wanted.shares)
    with Image.open(io.BytesIO(raw(answer["picture"]))) as seen:
        assert seen.size == (60, 40)


def test_a_picture_that_lies_on_its_side_is_shown_upright(model):
    exif = Image.Exif()
    exif[0x0112] = 6
    answer = json.loads(predictor(model)(encoded(pixels(), "JPEG", exif=exif))[1])
    assert (answer["height"], answer["width"]) == (60, 40)


def claiming(width, height):
    """A PNG whose header promises more than its few bytes hold."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


REFUSED = {
    "nothing": (b"", "is empty"),
    "a text": (b"hello\n" * 50, "is not one of PNG"),
    "a page": (b"<!doctype html><p>", "is an HTML page"),
    "a bomb": (claiming(50_000, 50_000), "2,500,000,000 pixels"),
    "a smaller bomb": (claiming(9000, 9000), "25,000,000 are the most here"),
    "a picture cut off": (encoded(pixels())[:-2000], "damaged or cut off"),
    "more lines than there are": (claiming(4000, 4000), "damaged or cut off"),
    "a postscript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is not one of PNG"),
    "a strip": (encoded(np.zeros((17_000, 2), np.uint8)), "16,384 a side"),
}


@pytest.mark.parametrize(("content", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_shown_is_refused_in_one_line_without_a_path(model, content, reason):
    with pytest.raises(InputError, match=reason) as error:
        predictor(model)(content)
    assert re.fullmatch(r"picture: [^\n/]*", str(error.value))


def test_the_server_goes_on_after_all_of_them_and_answers_many_at_once(model):
    with running(model) as server:
        for content, _ in REFUSED.values():
            status, answer = post(server, content)
            assert (status, set(answer)) == (422, {"error"})
        found = []
        threads = [threading.Thread(target=lambda: found.append(post(server, encoded(pixels())))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {status for status, _ in found} <= {200, 503}
        answers = [answer["ids"] for status, answer in found if status == 200]
        assert len(answers) >= 1
        assert len(set(answers)) == 1


def test_names_are_shown_and_never_run(model):
    text = page(model, "<my model>").decode()
    assert "&lt;my model&gt;" in text
    assert text.count("<script") == text.count("</script>") == 2  # the data and the program
    assert not re.search(r"https?://", text)


def test_the_command_says_where_it_is_and_ends_like_all_commands(run, monkeypatch, capsys):
    served = {}

    def serve(written, routes, *, port, limits, ready):
        ready("http://127.0.0.1:8000/")
        served.update(page=written, routes=routes, port=port, limits=limits)
        return 130

    monkeypatch.setattr("segmentation.serve.serve", serve)
    monkeypatch.setattr("webbrowser.open", lambda _: False)
    assert main(["serve", str(run), "--port", "8000", "--open"]) == 130
    out, err = capsys.readouterr()
    assert out == "http://127.0.0.1:8000/\n"
    assert "no browser could be started" in err
    assert (served["port"], served["limits"].jobs) == (8000, 2)
    assert b"class 3" in served["page"]
    assert json.loads(served["routes"][PREDICT](encoded(pixels()))[1])["width"] == 60


def test_a_run_that_is_none_and_a_port_that_is_none_are_one_line(run, tmp_path, capsys):
    for argv in (["serve", str(tmp_path)], ["serve", str(run), "--port", "70000", "-q"]):
        assert main(argv) == 1
        out, err = capsys.readouterr()
        assert out == ""
        assert err.count("\n") == 1


DROP = """(async () => {
  const raw = Uint8Array.from(atob("CONTENT"), sign => sign.charCodeAt(0));
  const parcel = new DataTransfer();
  parcel.items.add(new File([raw], "my <picture>.png", {type: "image/png"}));
  document.getElementById("drop").dispatchEvent(new DragEvent("drop", {dataTransfer: parcel, bubbles: true}));
})()"""
POINT = """(() => {
  const box = at("overlay").getBoundingClientRect();
  const place = {clientX: box.left + box.width * COLUMN / 60, clientY: box.top + box.height * ROW / 40};
  at("stage").dispatchEvent(new PointerEvent("pointermove", place));
})()"""


def test_in_a_browser_a_picture_becomes_an_overlay_a_legend_and_a_mask(model, tmp_path):
    picture, wanted = pixels(), model.predict(pixels())
    (tmp_path / "mine.png").write_bytes(encoded(picture))
    (tmp_path / "notes.png").write_text("not a picture")
    with running(model) as server, Browser() as browser:
        browser.look(390, 800)
        browser.open(server.url)
        assert browser.value("at('result').hidden")

        browser.choose("#file", tmp_path / "mine.png")
        browser.wait("!at('result').hidden")
        assert browser.value("at('status').textContent").startswith("mine.png, 60 × 40 pixels")
        assert browser.value("document.documentElement.scrollWidth") == 390
        drawn = browser.value("[...at('overlay').getContext('2d').getImageData(0, 0, 60, 40).data]")
        drawn = np.array(drawn, np.uint8).reshape(40, 60, 4)
        assert np.array_equal(drawn[..., :3], wanted.coloured())
        assert (drawn[..., 3] == 255).all()

        seen = [NAMES[at] for at in np.argsort(-wanted.shares) if wanted.shares[at]]
        assert browser.value("[...document.querySelectorAll('.legend b')].map(each => each.textContent)") == seen
        assert browser.value("document.querySelector('.legend i').textContent") == f"{100 * wanted.shares.max():.1f} %"

        for row, column in ((0, 0), (20, 30), (39, 59)):
            browser.value(POINT.replace("ROW", str(row + 0.5)).replace("COLUMN", str(column + 0.5)))
            assert browser.value("at('pointed').textContent") == NAMES[wanted.ids[row, column]]

        browser.value("at('opacity').value = 20; at('opacity').dispatchEvent(new Event('input'))")
        assert browser.value("getComputedStyle(at('overlay')).opacity") == "0.2"
        browser.value("document.querySelector('.legend button').click()")
        alpha = "[...at('overlay').getContext('2d').getImageData(0, 0, 60, 40).data].filter((_, at) => at % 4 === 3)"
        only = np.array(browser.value(alpha)).reshape(40, 60) > 0
        assert np.array_equal(only, wanted.ids == wanted.shares.argmax())

        assert browser.value("at('download').download") == "mine-mask.png"
        mask = browser.value(
            "new Promise(done => { const image = new Image(); image.onload = () => done([image.width, image.height]);"
            " image.src = at('download').href; })"
        )
        assert mask == [60, 40]

        browser.choose("#file", tmp_path / "notes.png")
        browser.wait("at('status').className === 'wrong'")
        assert browser.value("at('status').textContent").startswith("notes.png: is not one of PNG")

        browser.value(DROP.replace("CONTENT", base64.b64encode(encoded(picture[:, :50])).decode()))
        browser.wait("at('status').textContent.startsWith('my <picture>.png, 50 × 40 pixels')")
        assert browser.value("document.title") == "Segmentation · <my model>"
        odd = [each for each in browser.complaints() if "422" not in str(each)]  # that one is the text as picture
        assert not [each for each in odd if "willReadFrequently" not in str(each)]  # and that one is about this test
        assert {url.partition(":")[0] for url in browser.requests()} <= {"http", "data", "blob"}
        assert all(url.startswith(server.url) for url in browser.requests() if url.startswith("http"))
