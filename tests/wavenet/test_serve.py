"""What the page draws is what the command line draws; what cannot be drawn is refused in one line, and it goes on."""

import io
import json
import re
import time
import urllib.error
import urllib.request
from dataclasses import replace

import numpy as np
import pytest
import torch

from shared.errors import InputError
from shared.serve import Server
from tests.browser import Browser
from tests.serving import serving
from tests.wavenet.command_line import one_line_error
from tests.wavenet.networks import small_network
from wavenet import audio, figures, wav
from wavenet.cli import main
from wavenet.conditioning import Condition, Frames, Labels
from wavenet.distributions import Drawing, Gaussian
from wavenet.mel import Mel
from wavenet.model import PRESETS, WaveNet
from wavenet.sampler import generate
from wavenet.serve import DRAW, drawer, limits
from wavenet.serve_page import page

NAMES = ("ann", "</script><script>document.title='ran'</script>")
MEL = Mel(channels=8, hop=40, n_fft=128)


def built(**changes):
    torch.manual_seed(1)
    return small_network(**changes)


@pytest.fixture(scope="module")
def model():
    return built()


def running(model, name="<my model>"):
    return serving(page(model.config, name, DRAW, 60, 2**25), {DRAW: drawer(model)}, limits())


def sound(seconds=0.2, rate=16_000):
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, round(seconds * rate)).astype(np.float32)
    return wav.to_bytes(noise)


def asked(file=b"", **wish):
    return json.dumps(wish).encode() + b"\n" + file


def drawn(handler, content):
    """Head, what was given and what was drawn."""
    kind, parts = handler(content)
    line, _, samples = b"".join(parts).partition(b"\n")
    head = json.loads(line)
    assert kind == "application/octet-stream"
    assert len(samples) == 2 * (head["given"] + head["samples"])
    return head, *np.split(np.frombuffer(samples, "<i2"), [head["given"]])


def steps(wave):
    return np.frombuffer(wav.to_bytes(wave)[wav.HEADER :], "<i2")


def test_the_same_wish_is_the_same_sound_as_from_python(model):
    choices = {"temperature": 0.9, "top_k": 5, "top_p": 0.8}
    _, given, made = drawn(drawer(model), asked(seconds=0.1, seed=7, **choices))
    assert len(given) == 0
    assert np.array_equal(made, steps(generate(model, 1600, seeds=[7], drawing=Drawing(**choices))[0].numpy()))
    assert not np.array_equal(made, drawn(drawer(model), asked(seconds=0.1, seed=8, **choices))[2])


def test_a_voice_is_the_one_that_was_asked_for():
    model = built(labels=Labels(names=NAMES))
    for at, name in enumerate(NAMES):
        wanted = generate(model, 800, seeds=[0], condition=Condition(torch.tensor([at])))[0].numpy()
        assert np.array_equal(drawn(drawer(model), asked(seconds=0.05, speaker=name))[2], steps(wanted))
    with pytest.raises(InputError, match=r"^speaker: the model knows ann, "):
        drawer(model)(asked(speaker="bob"))


def test_a_recording_is_continued_from_as_much_of_its_beginning_as_was_asked_for(model):
    head, given, made = drawn(drawer(model), asked(sound(), seconds=0.05, prompt_seconds=0.1))
    assert head == {"given": 1600, "samples": 800}
    assert np.array_equal(given, np.frombuffer(sound()[wav.HEADER :], "<i2")[:1600])
    wanted = generate(model, 800, seeds=[0], prompt=given.astype(np.float32) / 32768)[0, 1600:].numpy()
    assert np.array_equal(made, steps(wanted))


@pytest.mark.parametrize("seconds", [1.0, 0.1])
def test_a_copy_is_what_vocode_makes_of_the_same_recording(tmp_path, seconds):
    model = built(frames=MEL)
    model.save_pretrained(tmp_path / "vocoder")
    (tmp_path / "mine.wav").write_bytes(sound())
    out = tmp_path / "copy.wav"
    assert (
        main(["vocode", str(tmp_path / "vocoder"), str(tmp_path / "mine.wav"), "-o", str(out), "--as-drawn", "-q"]) == 0
    )
    head, given, made = drawn(drawer(model), asked(sound(), seconds=seconds))
    length = min(3200, round(seconds * 16_000))
    assert head == {"given": length, "samples": length}
    assert np.array_equal(given, np.frombuffer(sound()[wav.HEADER :], "<i2")[:length])
    assert np.array_equal(made, steps(audio.read(out))[:length])


def test_frames_of_ones_own_are_taken_as_npy():
    model, file = built(frames=Frames(channels=3, hop=40)), io.BytesIO()
    frames = np.random.default_rng(0).normal(size=(3, 11))
    np.save(file, frames)
    head, _, made = drawn(drawer(model), asked(file.getvalue()))
    assert head == {"given": 0, "samples": 400}
    told = Condition(frames=torch.from_numpy(frames[None].astype(np.float32)))
    assert np.array_equal(made, steps(generate(model, 400, seeds=[0], condition=told)[0].numpy()))
    with pytest.raises(InputError, match="takes frames of its own kind"):
        drawer(model)(asked(sound()))


REFUSED = {
    "nothing": (b"", "request: "),
    "no JSON": (b"hello\n", "request: "),
    "a list": (b"[]\n", "request"),
    "nested without end": (b"[" * 100_000, "request"),
    "an unknown field": (asked(sseconds=1), "did you mean seconds"),
    "no seconds": (asked(seconds=0), "seconds lie between"),
    "an hour": (asked(seconds=3600), "seconds lie between"),
    "seconds that are none": (b'{"seconds": NaN}\n', "seconds lie between"),
    "endless": (b'{"seconds": Infinity}\n', "seconds lie between"),
    "a word for a number": (asked(seconds="1"), "takes float"),
    "a seed below zero": (asked(seed=-1), "seed is a whole number"),
    "a seed that is none": (asked(seed=1.5), "seed takes int"),
    "a temperature below zero": (asked(temperature=-1), "temperature is a number from 0 up"),
    "a temperature that is none": (b'{"temperature": NaN}\n', "temperature is a number"),
    "no value at all": (asked(top_k=0), "top_k"),
    "a share above one": (asked(top_p=1.5), "top_p"),
    "a text for a recording": (asked(b"hello\n" * 99), "recording: is not WAV"),
    "a page for a recording": (asked(b"<!doctype html>"), "recording: is an HTML page"),
    "half a recording": (asked(b"RIFF\0\0\0\0WAVE" + bytes(32)), "recording: does not say how its sound is stored"),
}


@pytest.mark.parametrize(("content", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_drawn_is_refused_in_one_line_without_a_path(model, content, reason):
    with pytest.raises(InputError, match=reason) as error:
        drawer(model)(content)
    assert re.fullmatch(r"[^\n/]*", str(error.value))


def test_a_vocoder_wants_a_recording_and_a_continuous_output_no_top_k():
    with pytest.raises(InputError, match="needs a recording to copy"):
        drawer(built(frames=MEL))(asked())
    continuous = built(output=Gaussian())
    with pytest.raises(InputError, match=r"^request: "):
        drawer(continuous)(asked(top_k=4))
    assert b'id="top_k"' not in page(continuous.config, "x", DRAW, 60, 2**25)


def post(server, content, **headers):
    sent = urllib.request.Request(server.url + DRAW, data=content, headers=headers, method="POST")
    try:
        with urllib.request.urlopen(sent, timeout=20) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def test_the_server_refuses_and_goes_on(model):
    with running(model) as server:
        for content, _ in REFUSED.values():
            status, body = post(server, content)
            assert (status, set(json.loads(body)), body.count(b"\n")) == (422, {"error"}, 1)
        assert post(server, asked(), Host="elsewhere.example")[0] == 403
        assert post(server, asked(), Origin="http://elsewhere.example")[0] == 403
        assert post(server, asked(bytes(limits().body)))[0] == 413
        assert post(server, asked(seconds=0.1))[0] == 200


def test_one_sound_at_a_time_and_none_for_who_has_left():
    slow = WaveNet(PRESETS["base"]).eval()  # a minute of sound takes it about a minute
    with running(slow) as server:
        first = urllib.request.urlopen(server.url + DRAW, data=asked(seconds=60), timeout=20)
        first.read(100)
        status, body = post(server, asked(seconds=0.1))
        assert status == 503
        assert "busy" in json.loads(body)["error"]
        first.close()
        until = time.monotonic() + 10
        while post(server, asked(seconds=0.1))[0] != 200:
            assert time.monotonic() < until


def test_names_are_shown_and_never_run():
    config = replace(WaveNet().config, labels=Labels(names=NAMES))
    text = page(config, "<my model>", DRAW, 60, 2**25).decode()
    assert "&lt;my model&gt;" in text
    assert text.count("<script") == text.count("</script>") == 2  # the data and the program
    assert not re.search(r"https?://", text)


def test_the_command_says_where_it_is_and_ends_like_all_commands(tmp_path, model, monkeypatch, capsys):
    served = {}

    def serve(written, routes, *, port, limits, ready):
        ready("http://127.0.0.1:8000/")
        served.update(page=written, routes=routes, port=port, limits=limits)
        return 130

    monkeypatch.setattr("wavenet.serve.serve", serve)
    monkeypatch.setattr("webbrowser.open", lambda _: False)
    model.save_pretrained(tmp_path / "mine")
    assert main(["serve", str(tmp_path / "mine"), "--port", "8000", "--open"]) == 130
    out, err = capsys.readouterr()
    assert out == "http://127.0.0.1:8000/\n"
    assert "no browser could be started" in err
    assert (served["port"], served["limits"].jobs) == (8000, 1)
    assert drawn(served["routes"][DRAW], asked(seconds=0.05))[0]["samples"] == 800


def test_what_cannot_be_served_is_refused_in_one_line(tmp_path, model, capsys):
    model.save_pretrained(tmp_path / "mine")
    assert "holds no model" in one_line_error(capsys, ["serve", str(tmp_path)])
    line = one_line_error(capsys, ["serve", str(tmp_path / "mine"), "--port", "70000"])
    assert "--port 70000: a port is a number from 0" in line
    with Server(b"", {}) as taken:
        assert "choose another" in one_line_error(
            capsys, ["serve", str(tmp_path / "mine"), "--port", str(taken.server_port)]
        )


KEEP = """(() => {  // what is made into files; the page's policy lets nobody fetch them
  const make = URL.createObjectURL.bind(URL);
  window.files = [];
  URL.createObjectURL = blob => { files.push(blob); return make(blob); };
})()"""


def test_in_a_browser_a_sound_is_drawn_seen_heard_stopped_and_saved(model, tmp_path):
    (tmp_path / "mine.wav").write_bytes(sound())
    (tmp_path / "notes.wav").write_text("no sound")
    with running(model) as server, Browser(seconds=60) as browser:
        browser.look(390, 800)
        browser.open(server.url)
        browser.value(KEEP)
        browser.value("at('seconds').value = 0.3; at('seed').value = 7; at('draw').click()")
        browser.wait("at('status').textContent.startsWith('drawn: 0.30 s')")
        assert browser.value("document.documentElement.scrollWidth") == 390
        assert browser.value("at('seed').value") == "8"
        assert browser.value("document.querySelector('article h2').textContent") == "seed 7"
        assert browser.value("document.querySelector('article a').download") == "my-model-seed-7.wav"
        content = browser.value("files[0].arrayBuffer().then(buffer => [...new Uint8Array(buffer)])")
        (tmp_path / "saved.wav").write_bytes(bytes(content))
        wanted = generate(model, 4800, seeds=[7])[0].numpy()
        assert np.array_equal(steps(audio.read(tmp_path / "saved.wav")), steps(wanted))
        browser.wait("document.querySelector('article audio').duration > 0.29")
        lit = browser.value(
            "(() => { const c = document.querySelector('article canvas'); "
            "return [c.width, ...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]; })()"
        )
        assert lit[0] == 38
        assert np.array(lit[1:]).reshape(256, 38, 4)[..., :3].max(axis=(0, 2)).min() > 20  # every column is drawn

        seen = browser.value("[...decibels(Int16Array.from(WAVE), 2048)]".replace("WAVE", str(steps(wanted).tolist())))
        level = 10 * np.log10(figures.power(wav.as_written(wanted))[2048 // figures.HOP, :512] / 256**2 + 1e-12)
        assert np.allclose(seen, level, atol=0.01)  # dB below a sine of full scale

        browser.choose("#file", tmp_path / "mine.wav")
        browser.wait("at('chosen').textContent === 'mine.wav'")
        browser.value("at('prompt_seconds').value = 0.1; at('draw').click()")
        browser.wait("at('status').textContent.startsWith('drawn: 0.40 s')")

        browser.value("at('seconds').value = 60; at('draw').click()")
        browser.wait("/^[0-9.]+ of 60/.test(at('status').textContent)")
        browser.value("at('stop').click()")
        browser.wait("at('status').textContent.startsWith('stopped after')")
        browser.wait("!at('draw').disabled")
        browser.wait("document.querySelector('article audio').duration < 60")

        browser.choose("#file", tmp_path / "notes.wav")
        browser.value("at('seconds').value = 0.1; at('draw').click()")
        browser.wait("at('status').className === 'wrong'")
        assert browser.value("at('status').textContent").startswith("recording: is not WAV")
        browser.value("at('forget').click(); at('draw').click()")
        browser.wait("at('status').textContent.startsWith('drawn: 0.10 s')")
        assert browser.value("document.title") == "WaveNet · <my model>"
        assert not [each for each in browser.complaints() if "422" not in str(each)]  # that one is the text
        assert all(url.startswith(server.url) for url in browser.requests() if url.startswith("http"))
