"""``segmentation serve``: a page on this computer; drop a picture on it, and see what the model sees.

The answer to a picture holds the picture as it was read, upright and in RGB, the mask to download, and the ids, from
which the page draws its overlay and names what is under the pointer.
"""

from __future__ import annotations

import base64
import io
import json
import zlib
from argparse import Namespace
from pathlib import Path
from threading import Lock

from PIL import Image

from segmentation.frames import read_bytes
from segmentation.limits import SERVED_PIXELS
from segmentation.model import SegmentationModel
from segmentation.palette import palette_png
from shared import drop_page
from shared.cli import announcing
from shared.errors import InputError
from shared.exchange import Handler
from shared.limits import SERVED_BYTES
from shared.report import document, shown
from shared.serve import Limits, serve
from shared.training import machine

MOST_SIDE = 16_384  # pixels; no browser draws longer sides
PREDICT = "predict"


def predictor(model: SegmentationModel, *, fast: bool = False) -> Handler:
    """What answers ``/predict``: the content of a picture file in, JSON out; InputError for what is no picture."""
    alone = Lock()

    def predict(content: bytes) -> tuple[str, bytes]:
        with alone:  # two at a time would take twice the memory, and each twice as long
            picture = read_bytes(content, "picture", int(SERVED_PIXELS.most))
            height, width = picture.pixels.shape[:2]
            if max(height, width) > MOST_SIDE:
                raise InputError(f"picture: {width} × {height} pixels, up to {MOST_SIDE:,} a side are shown; cut it")
            made = model.predict(picture, fast=fast)
        jpeg = io.BytesIO()
        Image.fromarray(made.pixels).save(jpeg, "JPEG", quality=90)
        answer = {
            "width": width,
            "height": height,
            "picture": _text(jpeg.getvalue()),
            "mask": _text(palette_png(made.ids, made.classes)),
            "ids": _text(zlib.compress(made.ids.tobytes(), 1)),
            "shares": made.shares.tolist(),
            "remarks": made.remarks,
        }
        return "application/json", json.dumps(answer).encode()

    return predict


def page(model: SegmentationModel, name: str) -> bytes:
    """The page for a model of that name."""
    pairs = zip(model.classes.names, model.classes.colours, strict=True)
    classes = [{"name": each, "colour": colour} for each, colour in pairs]
    data = json.dumps({"classes": classes, "most": int(SERVED_BYTES.most), "path": PREDICT}).replace("<", "\\u003c")
    size = f"up to {SERVED_PIXELS.most // 10**6:g} megapixels and {SERVED_BYTES.most // 2**20:g} MB"
    body = BODY.replace("SIZE", size).replace("COUNT", str(len(classes))).replace("NAME", shown(name))
    body += f'<script type="application/json" id="data">{data}</script>'  # data: no policy has to admit it
    return document(
        f"Segmentation · {name}", body, style=drop_page.STYLE + STYLE, script=drop_page.SCRIPT + SCRIPT
    ).encode()


def run(arguments: Namespace) -> int:
    """``segmentation serve``: until Ctrl-C."""
    machine.use_threads(arguments.threads)
    model = SegmentationModel.from_pretrained(arguments.model, machine.device_named(arguments.device))

    written = page(model, Path(arguments.model).resolve().name)
    routes = {PREDICT: predictor(model, fast=arguments.fast)}
    return serve(written, routes, port=arguments.port, limits=limits(), ready=announcing(arguments))


def limits() -> Limits:
    """One picture is predicted while the next waits."""
    return Limits(body=int(SERVED_BYTES.most), jobs=2)


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()


STYLE = """
.shown .drop { padding: 0.9rem 1.25rem; }
.shown .drop span { display: none; }
#stage { position: relative; margin: 0 auto; touch-action: pan-y; line-height: 0; }
#picture { display: block; width: 100%; height: auto; border-radius: 6px; image-rendering: pixelated; }
#overlay { position: absolute; inset: 0; width: 100%; height: 100%; border-radius: 6px;
  image-rendering: pixelated; }
#stage.fine :is(img, canvas) { image-rendering: auto; }
#absent { margin: 1rem 0 0; color: var(--soft); font-size: 0.9rem; }
#pointed { display: flex; align-items: center; min-height: 1.6rem; flex: 1 1 12rem; }
.legend { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 15rem), 1fr)); gap: 0 2rem;
  margin: 1.5rem 0 0; padding: 0; list-style: none; }
.legend button { display: flex; align-items: center; width: 100%; padding: 0.5rem 0.25rem; border: 0;
  border-bottom: 1px solid var(--line); background: none; color: inherit; font: inherit; text-align: left;
  cursor: pointer; }
.legend button:hover { background: var(--panel); }
.legend [aria-pressed=true] { font-weight: 600; box-shadow: inset 0 -2px var(--accent); }
.legend b { flex: 1; min-width: 0; font-weight: inherit; overflow-wrap: anywhere; }
.legend i { font-style: normal; color: var(--soft); font-variant-numeric: tabular-nums; padding-left: 1rem; }
"""

BODY = """<h1>NAME</h1>
<p class="lead">A segmentation model of COUNT classes. Pictures never leave this computer.</p>
<label class="drop" id="drop"><input type="file" id="file" accept="image/*">
<strong>Drop a picture, or choose one</strong><span>SIZE; pasting works too</span></label>
<p id="status" role="status"></p>
<section id="result" aria-label="Result" hidden>
<div id="stage"><img id="picture" alt="The picture">
<canvas id="overlay" role="img" aria-label="Its mask"></canvas></div>
<div class="controls">
<label>Overlay <input type="range" id="opacity" min="0" max="100" value="55"></label>
<span id="pointed"></span>
<a class="button" id="download">Download mask</a>
</div>
<ul class="legend" id="legend" aria-label="Classes and the share of the picture that they cover"></ul>
<p id="absent"></p>
</section>
"""

SCRIPT = """
const {classes, most, path} = JSON.parse(at("data").textContent);
let ids = null, width = 0, height = 0, only = null, asked = 0;

function swatch(index) {
  const square = document.createElement("span");
  square.className = "swatch";
  square.style.background = `rgb(${classes[index].colour})`;
  return square;
}

async function bytes(text, zipped) {
  const raw = Uint8Array.from(atob(text), sign => sign.charCodeAt(0));
  const stream = new Blob([raw]).stream();
  const plain = zipped ? stream.pipeThrough(new DecompressionStream("deflate")) : stream;
  return new Uint8Array(await new Response(plain).arrayBuffer());
}

async function see(file) {
  if (!file) return;
  if (file.size > most) return say(`${file.name}: larger than ${most / 2 ** 20} MB; make it smaller`, true);
  const turn = ++asked;
  say(`looking at ${file.name} …`);
  try {
    const answer = await fetch(path, {method: "POST", body: file});
    const found = await answer.json();
    if (turn !== asked) return;  // another picture was dropped meanwhile
    if (!answer.ok) throw new Error(found.error);
    await show(found, file.name, turn);
    if (turn !== asked) return;
    say([file.name + ", " + width + " × " + height + " pixels", ...found.remarks].join(" · "));
  } catch (error) {
    if (turn !== asked) return;
    const gone = error instanceof TypeError;
    const why = error.message.replace(/^picture: /, "");
    say(gone ? "no answer; is the command still running?" : `${file.name}: ${why}`, true);
  }
}

async function show(found, name, turn) {
  const [decoded, png] = [await bytes(found.ids, true), await bytes(found.mask, false)];
  if (turn !== asked) return;
  ids = decoded;
  [width, height, only] = [found.width, found.height, null];
  at("picture").src = "data:image/jpeg;base64," + found.picture;
  at("picture").width = width;
  at("picture").height = height;
  at("picture").alt = "The picture " + name;
  const times = Math.max(1, Math.floor(480 / Math.max(width, height)));  // a thumbnail is shown pixel by pixel
  at("stage").style.width = `min(100%, ${times * width}px, ${75 * width / height}vh)`;
  at("stage").className = times > 1 ? "" : "fine";
  await at("picture").decode();
  if (turn !== asked) return;
  draw();
  const mask = new Blob([png], {type: "image/png"});
  URL.revokeObjectURL(at("download").href);
  at("download").href = URL.createObjectURL(mask);
  at("download").download = name.replace(/\\.[^.]*$/, "") + "-mask.png";
  list(found.shares);
  document.body.classList.add("shown");
  at("result").hidden = false;
}

function draw() {
  const canvas = at("overlay");
  [canvas.width, canvas.height] = [width, height];
  const image = new ImageData(width, height);
  const table = new Uint32Array(256), part = new Uint8Array(table.buffer);
  classes.forEach(({colour}, index) => part.set([...colour, only === null || only === index ? 255 : 0], 4 * index));
  const pixels = new Uint32Array(image.data.buffer);
  for (let index = 0; index < ids.length; index++) pixels[index] = table[ids[index]];
  canvas.getContext("2d").putImageData(image, 0, 0);
}

function list(shares) {
  const present = [...shares.keys()].filter(index => shares[index] > 0).sort((a, b) => shares[b] - shares[a]);
  at("legend").replaceChildren(...present.map(index => {
    const [item, button, name, share] = ["li", "button", "b", "i"].map(kind => document.createElement(kind));
    name.textContent = classes[index].name;
    share.textContent = shares[index] < 0.001 ? "< 0.1 %" : (100 * shares[index]).toFixed(1) + " %";
    button.title = "show this class only";
    button.setAttribute("aria-pressed", "false");
    button.append(swatch(index), name, share);
    button.onclick = () => {
      only = only === index ? null : index;
      for (const each of at("legend").querySelectorAll("button")) each.setAttribute("aria-pressed", "false");
      button.setAttribute("aria-pressed", String(only === index));
      draw();
    };
    item.append(button);
    return item;
  }));
  const absent = classes.filter((_, index) => !shares[index]).map(each => each.name);
  at("absent").textContent = absent.length ? "Not seen: " + absent.join(", ") : "";
}

function point(event) {
  const box = at("overlay").getBoundingClientRect();
  const x = Math.floor((event.clientX - box.left) / box.width * width);
  const y = Math.floor((event.clientY - box.top) / box.height * height);
  const index = x >= 0 && y >= 0 && x < width && y < height ? ids[y * width + x] : null;
  if (index === null || !classes[index]) return at("pointed").replaceChildren();
  at("pointed").replaceChildren(swatch(index), classes[index].name);
}

function fade() { at("overlay").style.opacity = at("opacity").value / 100; }

at("opacity").oninput = fade;
fade();
at("stage").onpointermove = at("stage").onpointerdown = point;
at("stage").onpointerleave = () => at("pointed").replaceChildren();
receive(see);
"""
