"""The report of a training run: all that its folder tells, and how it sounds, as one page. What is missing is said."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from shared.config import from_json, to_json
from shared.errors import InputError
from shared.report import Page, Picture
from shared.run_report import again, differing, flat, png_of, settings
from shared.training import checkpoint, machine
from shared.training.journal import Journal
from shared.training.progress import ProgressLine, clock
from shared.training.session import METRICS, PREVIEWS
from wavenet import audio, figures, listening
from wavenet.conditioning import Frames
from wavenet.evaluate import bits_by_group
from wavenet.listening import Heard, HeldBack
from wavenet.mel import Mel
from wavenet.model import WaveNet, WaveNetConfig
from wavenet.reproducing import command
from wavenet.run import CURVE, Run, TrainConfig
from wavenet.yardsticks import Yardsticks

MOST_MEASURED = 32  # excerpts a speaker


def report(
    folder: Path | str, *, clips: int | None = None, seconds: float | None = None, device: str = "auto",
    line: ProgressLine | None = None,
) -> Page:  # fmt: skip
    """The page of a run, finished or not, or of a saved model; InputError where there is none.

    ``clips`` sounds of ``seconds`` are drawn for it: by default, one a speaker up to six, or four, as long as the
    held-back recordings that stand beside them, up to 3 s. With ``clips=0`` the data are not read either.
    """
    folder, line = Path(folder), line or ProgressLine("report", quiet=True)
    values = checkpoint.load_config(folder)
    config = from_json(WaveNetConfig, values.get("model"), "model.")
    run = from_json(Run, values) if "train" in values else None
    state = checkpoint.training_state(folder) if run and (folder / checkpoint.RESUME).exists() else None
    records = Journal(folder / METRICS).records() if run and (folder / METRICS).exists() else []
    bits = [record["validation_bits"] for record in records if record.get("validation_bits") is not None]

    page = Page(folder.resolve().name, _lead(config, state))
    if marks := _marks(state, bits):
        page.marks(marks)
        page.text(f"Bits per sample are those of held-back sound, of {config.output.scale}. Lower is better.")
    if run:
        _progress(page, folder, records, state)
    _sounds(page, folder, config, run, state, clips, seconds, device, line)
    page.section("The network")
    page.facts(_network(config))
    alt = f"A bar for each of {len(config.dilations)} layers: {', '.join(map(str, config.dilations))}."
    page.pictures(Picture(figures.dilations_png(config), "The dilation of each layer.", alt))
    if run:
        page.section("What it was trained on")
        page.facts(_training(run, state))
        page.section("Settings")
        with page.fold("Settings of training that differ from the usual"):
            settings(page, "training", differing(run.train, TrainConfig()))
        page.folded("All settings", json.dumps(to_json(run), indent=2))
        again(page, command(run, state), state)
    return page


def _lead(config: WaveNetConfig, state: Mapping[str, Any] | None) -> str:
    voices = f" of {len(config.labels.names)} voices: {', '.join(config.labels.names)}" if config.labels else ""
    if config.frames:
        of = "mel spectrograms" if isinstance(config.frames, Mel) else "features of its own"
        text = f"A vocoder{voices}. It makes sound of {of}"
    else:
        text = f"A WaveNet{voices or ', told nothing but its own past'}"
    if state is None:
        return f"{text}."
    done = f"trained for {state['step']:,} steps"
    return f"{text}; {done}." if _finished(state) else f"{text}; {done} so far: the run goes on, or was stopped."


def _finished(state: Mapping[str, Any]) -> bool:
    steps, seconds = state["budget"]["steps"], state["budget"]["seconds"]
    return bool((steps and state["step"] >= steps) or (seconds and state["seconds"] >= 0.99 * seconds))


def _marks(state: Mapping[str, Any] | None, bits: list[float]) -> dict[str, str]:
    if not state:
        return {}
    marks = {"bits per sample": f"{bits[-1]:.3f}"} if bits else {}
    measured = Yardsticks(**state["yardsticks"])
    marks |= {"linear predictor": f"{measured.linear_32:.3f}", "order-0 entropy": f"{measured.order_0:.3f}"}
    return marks | {"steps": f"{state['step']:,}", "training time": clock(state["seconds"])}


def _progress(page: Page, folder: Path, records: list[dict[str, Any]], state: Mapping[str, Any] | None) -> None:
    png = png_of(folder / CURVE)
    if png is None and state and any(record.get("bits") is not None for record in records):
        with tempfile.TemporaryDirectory() as aside:  # it is drawn when a run ends; this one has not
            figures.curve(records, Yardsticks(**state["yardsticks"]), Path(aside) / CURVE)
            png = png_of(Path(aside) / CURVE)
    if png:
        page.section("How training went")
        alt = "A chart of bits per sample over training steps, with two lines for the yardsticks."
        page.pictures(Picture(png, "Bits per sample in training and on held-back sound; dashed, what to beat.", alt))


def _sounds(
    page: Page, folder: Path, config: WaveNetConfig, run: Run | None, state: Mapping[str, Any] | None,
    clips: int | None, seconds: float | None, device: str, line: ProgressLine,
) -> None:  # fmt: skip
    """Everything that can be heard, on one scale: first all of it is gathered, then the page goes on."""
    told = [f"It is a run in progress: there is no {checkpoint.MODEL} yet to draw from."]
    held, rows, closeness = None, [], []
    if clips is None:
        clips = min(listening.MOST_VOICES, len(config.labels.names)) if config.labels else listening.USUAL_CLIPS
    if clips == 0:
        told = []
    elif (folder / checkpoint.MODEL).exists():
        model = WaveNet.from_pretrained(folder, machine.device_named(device))
        held, told = _held(run, state, line)
        if held:
            tracks = listening.chosen(held, clips, seconds)
            if config.frames:
                rows, closeness = listening.copied(model, held, tracks, line)
            else:
                rows = listening.beside_recordings(model, held, tracks, line)
        elif not config.frames:
            rows = listening.alone(model, clips, seconds or listening.USUAL_SECONDS, line)
        else:
            told.append("Without its data there is nothing to make sound of.")
    found = listening.previews(folder / PREVIEWS) if run else []
    scale = listening.loudest([each for _, row in rows for each in row] or found)
    if rows or told:
        page.section("How it sounds")
        page.text(*told, *([_explained(config, held)] if rows else []))
    if rows:
        page.sounds(list(listening.players(rows, scale)))
    if closeness:
        page.section("How close the copies are")
        page.table(*listening.closeness(closeness), caption="Means over the recordings above; ↓ lower is better")
    if held and held.labels:
        _by_voice(page, model, held, line)
    if found:
        _previews(page, found, config, scale)


def _held(run: Run | None, state: Mapping[str, Any] | None, line: ProgressLine) -> tuple[HeldBack | None, list[str]]:
    if run is None:
        return None, []
    try:
        held = listening.held_back(run, state, line)
    except InputError as error:
        return None, [f"There are no recordings to compare with: the run's data cannot be read now ({error})."]
    return held, [held.remark] if held.remark else []


def _explained(config: WaveNetConfig, held: HeldBack | None) -> str:
    if held is None:
        drawn = "Drawn when this page was made"
    elif config.frames:
        drawn = "Recordings that were held back, and what was made of their frames when this page was made"
    else:
        voice = " in the same voice" if config.labels else ""
        drawn = f"Recordings that were held back, each beside what the model drew{voice} when this page was made"
    same = "All pictures have the same scale, 80 dB from black to white, so that they can be compared by eye."
    return f"{drawn}. {same}"


def _by_voice(page: Page, model: WaveNet, held: HeldBack, line: ProgressLine) -> None:
    tracks, voices = held.tracks.validation, held.by_voice()
    found = bits_by_group(
        model, tracks, [held.voice(track) for track in tracks], targets=2048, most=MOST_MEASURED * len(voices),
        conditions=held.conditions, progress=lambda done, total: line.update(done / total, "bits of each speaker"),
    )  # fmt: skip
    rows = [[name, len(voices[name]), f"{each.bits:.3f}"] for name, each in found.items()]
    page.section("Speaker by speaker")
    page.table(["speaker", "recordings", "bits per sample"], rows, caption="On held-back sound")


def _previews(page: Page, found: list[Heard], config: WaveNetConfig, scale: float) -> None:
    page.section("What it sounded like along the way")
    told = " for the same held-back recording" if config.frames else " in the same voice" if config.labels else ""
    page.text(f"Each was drawn{told} from the same random numbers, with the averaged weights of its step.")
    page.sounds(list(listening.players(listening.in_threes(found), scale)))


def _network(config: WaveNetConfig) -> dict[str, object]:
    milliseconds = 1000 * config.receptive_field / audio.RATE
    output = type(config.output).__name__
    facts: dict[str, object] = {
        "layers": len(config.dilations),
        "receptive field": f"{config.receptive_field:,} samples, {milliseconds:.0f} ms",
        "kernel size": config.kernel_size,
        "channels": f"{config.residual_channels} residual, {config.gate_channels} gate, {config.skip_channels} skip",
        "parameters": sum(_parameters(config)),
        "predicts": ", ".join([output, *(f"{name} {value}" for name, value in flat(config.output))]),
    }
    if config.labels:
        facts["speakers"] = config.labels.names
    if isinstance(config.frames, Frames):
        what = "mel bands" if isinstance(config.frames, Mel) else "features"
        every = f"{config.frames.hop} samples, {1000 * config.frames.hop / audio.RATE:g} ms"
        facts["told"] = f"{config.frames.channels} {what} every {every}"
    return facts


def _parameters(config: WaveNetConfig) -> list[int]:
    with torch.device("meta"):  # what it is can be told without its weights
        return [parameter.numel() for parameter in WaveNet(config).parameters()]


def _training(run: Run, state: Mapping[str, Any] | None) -> dict[str, object]:
    facts: dict[str, object] = {"source": type(run.data).__name__}
    facts |= {name: value for name, value in flat(run.data) if value not in ("", (), None) and name != "step"}
    facts |= {name: getattr(run, name) for name in ("speakers", "features") if getattr(run, name)}
    if state:
        facts |= {"threads": state.get("threads"), "products in": state.get("precision")}
    return facts
