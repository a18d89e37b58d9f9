"""``segmentation demo``: from nothing to masks in a few minutes. Drawn shapes teach a small network their forms."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace
from pathlib import Path

from segmentation import trainer
from segmentation.commands.train import finished
from segmentation.evaluate import evaluate, worst_sheet
from segmentation.model import SegmentationModel
from segmentation.palette import write_palette_png, write_png
from segmentation.report import report
from segmentation.run import CURVE, DEMO
from shared.files import numbered
from shared.training import machine
from shared.training.progress import ProgressLine, clock
from shared.training.settings import Plan

FRESH, WRITTEN = 200, 6  # shapes that no training saw: scored, and written with their masks


def run(arguments: Namespace, seed: int) -> int:
    """Train, score fresh shapes, write masks, and say what was made and what to try next."""
    folder = Path(arguments.out) if arguments.out else numbered(Path("segmentation-demo"))
    minutes = None if arguments.steps else arguments.minutes
    plan = Plan(arguments.steps, minutes, arguments.device, arguments.threads, arguments.quiet)
    data = replace(DEMO.data, seed=seed)
    run = replace(DEMO, data=data, train=replace(DEMO.train, seed=seed))
    outcome = trainer.start(run, folder, plan, overwrite=arguments.overwrite)
    if outcome.interrupted:
        return finished(outcome)

    model = SegmentationModel.from_pretrained(folder, machine.device_named(arguments.device))
    fresh = replace(data, seed=seed + 2**20, count=2 * FRESH).load(0.5).validation[:FRESH]
    with ProgressLine("scoring fresh shapes", arguments.quiet) as line:
        found = evaluate(model, fresh, progress=lambda done, total: line.update(done / total))
    for at, sample in enumerate(fresh[:WRITTEN]):
        pixels, _ = sample.read()
        made = model.predict(pixels)
        write_png(folder / f"shapes-{at}.png", pixels)
        write_palette_png(folder / f"shapes-{at}-mask.png", made.ids, model.classes)
        write_png(folder / f"shapes-{at}-overlay.png", made.overlay())
    write_png(folder / "worst.png", worst_sheet(model, fresh, found))
    report(folder).write(folder / "report.html")
    print("\n".join(found.lines()))
    print(
        f"made {folder}: {WRITTEN} pictures of shapes that no training saw, shapes-0.png …, with their masks and "
        f"overlays\n"
        f"learnt in {outcome.step} steps, {clock(outcome.seconds)}: mean IoU {100 * found.confusion.mean_iou:.1f} over "
        f"{FRESH} fresh pictures\n"
        f"look at {folder / 'report.html'}, {folder / CURVE}, and its worst ones in {folder / 'worst.png'}\n"
        f"next: segmentation check PICTURES/, then segmentation train PICTURES/ --minutes 20"
    )
    return 0
