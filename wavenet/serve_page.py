"""The page of ``wavenet serve``: what is asked for, and below it every sound with its spectrogram and its player."""

from __future__ import annotations

import json

import matplotlib

from shared import drop_page
from shared.report import document, shown
from wavenet.audio import RATE
from wavenet.distributions import Drawing
from wavenet.mel import Mel
from wavenet.model import WaveNetConfig
from wavenet.serve_script import SCRIPT


def page(config: WaveNetConfig, name: str, path: str, most_seconds: float, most_bytes: int) -> bytes:
    """The page for a model of that name, whose requests go to ``path``."""
    reds, greens, blues, _ = (255 * matplotlib.colormaps["magma"](range(256))).round().astype(int).T
    data = {
        "rate": RATE,
        "path": path,
        "name": name,
        "most": most_bytes,
        "vocoder": config.frames is not None,
        "labels": bool(config.labels),
        "colours": [list(map(int, each)) for each in zip(reds, greens, blues, strict=True)],
    }
    script = json.dumps(data).replace("<", "\\u003c")
    voices = "".join(f"<option>{shown(each)}</option>" for each in config.labels.names) if config.labels else ""
    body = BODY
    for word, text in {
        "LEAD": _lead(config),
        "DROP": _drop(config),
        "SIZE": f"WAV, FLAC, OGG, MP3, AIFF or AU, up to {most_bytes // 2**20} MB",
        "VOICE": f'<label>Voice <select id="speaker">{voices}</select></label>' if voices else "",
        "LENGTH": "At most" if config.frames else "Length",
        "MOST": f"{most_seconds:g}",
        "CONTINUED": '<span id="continued" hidden></span>'
        if config.frames
        else CONTINUED.replace("LONGEST", f"{most_seconds:g}"),
        "RESTRICTED": RESTRICTED if _restricts(config) else "",
        "NAME": shown(name),
    }.items():
        body = body.replace(f"[{word}]", text)
    body += f'<script type="application/json" id="data">{script}</script>'  # data: no policy has to admit it
    style, program = drop_page.STYLE + STYLE, drop_page.SCRIPT + SCRIPT
    return document(f"WaveNet · {name}", body, style=style, script=program).encode()


def _lead(config: WaveNetConfig) -> str:
    if config.frames:
        of = "mel spectrogram" if isinstance(config.frames, Mel) else "frames of features"
        return f"A vocoder: it hears a recording only as its {of}, and makes the sound anew."
    if config.labels:
        return f"A WaveNet of {len(config.labels.names)} voices."
    return "A WaveNet: it makes sound of nothing but its own past."


def _drop(config: WaveNetConfig) -> str:
    if config.frames is None:
        return "Drop a recording to be continued, if you like"
    return "Drop a recording, or choose one" if isinstance(config.frames, Mel) else "Drop a .npy file of frames"


def _restricts(config: WaveNetConfig) -> bool:
    """Whether top-k and top-p mean something for what the model predicts."""
    try:
        config.output.check_drawing(Drawing(top_k=1))
    except ValueError:
        return False
    return True


STYLE = """
form { margin: 0; }
.drop { padding: 1.25rem; margin-top: 1.5rem; }
#ask { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 9.5rem), 1fr)); gap: 1rem 1.25rem;
  align-items: end; margin: 1.25rem 0; padding: 0; border: 0; }
[hidden] { display: none !important; }
#ask label { display: block; color: var(--soft); font-size: 0.875rem; min-width: 0; }
#ask :is(input, select) { display: block; width: 100%; height: 2.4rem; margin-top: 0.25rem; padding: 0 0.6rem;
  border: 1px solid var(--line); border-radius: 6px; background: var(--panel); color: var(--ink); font: inherit;
  font-size: 1rem; font-variant-numeric: tabular-nums; }
.row { display: flex; flex-wrap: wrap; align-items: center; gap: 0.75rem 1.25rem; margin: 0 0 0.75rem; }
.row label { color: var(--soft); font-size: 0.9rem; }
.button.main { background: var(--accent); color: var(--ground); font-weight: 600; padding: 0.5rem 1.5rem; }
.button:disabled { opacity: 0.45; cursor: default; }
#sounds article { margin: 2rem 0 0; padding-top: 1.25rem; border-top: 1px solid var(--line); }
#sounds h2 { margin: 0 0 0.75rem; font-size: 1rem; font-weight: 600; font-variant-numeric: tabular-nums; }
.pair figure { margin: 0; }
.pair { display: grid; gap: 1.25rem 1.5rem; }
@media (min-width: 42rem) { .pair.two { grid-template-columns: 1fr 1fr; } }
.plot { display: grid; grid-template-columns: 2.6rem 1fr; gap: 0.2rem 0.4rem; color: var(--soft);
  font-size: 0.75rem; line-height: 1; font-variant-numeric: tabular-nums; }
.plot canvas { display: block; width: 100%; height: 9.5rem; border-radius: 4px; background: #000004; }
.axis { display: flex; justify-content: space-between; }
.axis.up { flex-direction: column; text-align: right; }
.axis.along { grid-column: 2; }
#sounds audio { margin: 0.6rem 0 0; }
#sounds figcaption { margin: 0 0 0.4rem; }
#sounds .button { display: inline-block; margin-top: 0.75rem; font-size: 0.9rem; }
"""

CONTINUED = (
    '<label id="continued" hidden>Of the recording, s <input type="number" id="prompt_seconds" '
    'min="0.01" max="LONGEST" step="any" value="1"></label>'
)

RESTRICTED = """<label>Top-k <input type="number" id="top_k" min="1" step="1" placeholder="all"></label>
<label>Top-p <input type="number" id="top_p" min="0.01" max="1" step="any" placeholder="all"></label>"""

BODY = """<h1>[NAME]</h1>
<p class="lead">[LEAD] Everything stays on this computer.</p>
<form id="form">
<label class="drop" id="drop"><input type="file" id="file" accept="audio/*,.npy">
<strong id="chosen">[DROP]</strong><span id="kinds">[SIZE]</span></label>
<fieldset id="ask" aria-label="What is drawn">
[VOICE]
<label>[LENGTH], s <input type="number" id="seconds" min="0.01" max="[MOST]" step="any" value="3" required></label>
<label>Seed <input type="number" id="seed" min="0" step="1" value="0" required></label>
<label>Temperature <input type="number" id="temperature" min="0" max="10" step="any" value="1" required></label>
[RESTRICTED]
[CONTINUED]
</fieldset>
<div class="row"><button class="button main" id="draw">Draw</button>
<button class="button" id="stop" type="button" disabled>Stop</button>
<button class="button" id="forget" type="button" hidden>Forget the recording</button>
<label><input type="checkbox" id="play" checked> play it while it is drawn</label></div>
</form>
<p id="status" role="status"></p>
<section id="sounds" aria-label="Sounds"></section>
"""
