"""Promise: an interrupted sound is a whole WAV file, and is gone on with byte for byte.

Clips are made by the commands themselves, in children that are killed: before and within every operation on the disk,
and at random times. What a power cut leaves is tried on a model of a disk (``tests.reliability.sound_files``).
"""

from __future__ import annotations

import contextlib
import io
import os
import random
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import soundfile

from tests.reliability.promise import Figure, Promise, Tier
from tests.reliability.sound_files import Doom, fault, power_cuts
from tests.reliability.trial import Outcome, trial
from tests.wavenet.networks import small_network
from wavenet import writing
from wavenet.cli import main
from wavenet.mel import Mel
from wavenet.wav import HEADER, WavWriter

SECONDS = 0.0626875  # 1003 samples: no multiple of anything
BLOCK = 997  # samples that the control writes at a time


@dataclass(frozen=True)
class Making:
    """A command that makes sounds, without where to.

    ``older`` makes the sounds that it is to write over, if any; ``drawn`` are words that leave out what is done to
    sounds once they are drawn.
    """

    name: str
    words: tuple[str, ...]
    older: tuple[str, ...] = ()
    drawn: tuple[str, ...] = ()

    def into(self, out: Path) -> list[str]:
        """Its words, with a folder to write to."""
        return [*self.words, "-o", f"{out}/"]


def command(*words: str) -> int:
    """A command of ours, in silence."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return main([*words, "-q", "--threads", "1"])


def makings(folder: Path) -> list[Making]:
    """Several clips at once, one behind a prompt, clips over older ones, and a vocoder's, of two lengths."""
    small_network().save_pretrained(folder / "model")
    small_network(frames=Mel(channels=8, width=4, n_fft=256)).save_pretrained(folder / "vocoder")
    noise = np.random.default_rng(0)
    sounds = [folder / "long.wav", folder / "short.wav"]
    for path, count in zip(sounds, (1003, 701), strict=True):
        with WavWriter(path) as file:
            file.write(noise.uniform(-0.5, 0.5, count))
    plain = ("generate", str(folder / "model"), "--seconds", str(SECONDS))
    several = (*plain, "-n", "3", "--top-k", "9", "--top-p", "0.9")
    return [
        Making("several", several),
        Making("prompted", (*plain, "--prompt", str(sounds[1]), "--prompt-seconds", "0.02")),
        Making("over", (*several, "--force"), older=(*plain, "-n", "3", "--temperature", "0.5")),
        Making("vocoder", ("vocode", str(folder / "vocoder"), *map(str, sounds)), drawn=("--as-drawn",)),
    ]


def killed(words: Sequence[str], log: Path, *, at: int | None = None, after: float | None = None) -> Outcome:
    """Run a command in a child that dies before its ``at``-th operation on the disk, or ``after`` so many seconds."""

    def child() -> int:
        writing.COMMIT, writing.SHARE = 0.0, 0
        doom = Doom(at, log)
        doom.watch()
        if code := command(*words):
            raise RuntimeError(f"exit code {code}")
        return doom.count

    outcome = trial(child, kill_after=after)
    if outcome.fault:
        raise RuntimeError(outcome.fault)
    return outcome


def acknowledged(log: Path) -> dict[str, int]:
    """Samples of each file that its writer said were safe."""
    lines = log.read_text().splitlines() if log.exists() else []
    log.unlink(missing_ok=True)
    return {name: int(count) for name, count in map(str.split, lines)}


def sounds(folder: Path) -> dict[str, bytes]:
    """The content of all sounds of a folder."""
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.wav"))}


def left_broken(out: Path, ways: Sequence[dict[str, bytes]], said: dict[str, int]) -> str:
    """What is wrong with the sounds that were left; '' if each is the beginning of what it is in one of the ways.

    One may have been made, and not have its header.
    """
    for path in out.glob("*.wav"):
        wrong = [fault(path, way[path.name][HEADER:], said.get(path.name, 0)) for way in ways if path.name in way]
        if path.stat().st_size and all(wrong):
            return f"{path.name}: {wrong[0]}"
    return ""


def gone_on(name: str, out: Path, whole: dict[str, bytes], older: dict[str, bytes]) -> str:
    """What is wrong after ``--resume``, of all that have a note; '' if they are what one call would have made."""
    notes = sorted(str(path) for path in out.glob("*.wav.json"))
    if notes and command(name, "--resume", *notes):
        return "--resume failed"
    found = sounds(out)
    if set(found) != {Path(note).stem for note in notes}:
        return "sounds and notes do not belong together"
    wrong = [each for each, content in found.items() if content not in (whole[each], older.get(each))]
    return f"{wrong[0]}: other bytes after --resume" if wrong else ""


def at_operations(tier: Tier) -> Iterator[str]:
    """Kill before each operation; what is wrong each time, '' where nothing is."""
    for making in makings(tier.folder("models")):
        name = making.name
        kinds = ("older", "whole", "drawn", "counted")
        older_at, whole_at, drawn_at, counted_at = (tier.folder(f"{name} {kind}") for kind in kinds)
        for out in (older_at, counted_at) if making.older else ():
            command(*making.older, "-o", f"{out}/")
        command(*making.into(whole_at))
        command(*making.into(drawn_at), *making.drawn)
        older, whole, drawn, log = sounds(older_at), sounds(whole_at), sounds(drawn_at), tier.scratch / "log"
        count = killed(making.into(counted_at), log).answer
        log.unlink()
        points = range(1, count + 1)
        if tier.name == "quick":
            points = random.Random(tier.seed).sample(points, 3)
        for at in points:
            out = tier.folder(f"{name} {at}")
            if making.older:
                command(*making.older, "-o", f"{out}/")
            killed(making.into(out), log, at=at)
            wrong = left_broken(out, (whole, drawn, older), acknowledged(log))
            wrong = wrong or gone_on(making.words[0], out, whole, older)
            yield f"{name}, operation {at}: {wrong}" if wrong else ""


def at_random_times(tier: Tier) -> Iterator[str]:
    """Kill one command, and what goes on with its work, again and again."""
    folder, dice, left, seconds = tier.folder("random"), random.Random(tier.seed), tier.count(4, 50), tier.count(1, 2)
    small_network().save_pretrained(folder / "model")
    words = ["generate", str(folder / "model"), "--seconds", str(seconds), "-n", "2", "--top-k", "9"]
    command(*words, "-o", f"{folder / 'whole'}/")
    whole, log, campaign = sounds(folder / "whole"), folder / "log", 0
    span = killed([*words, "-o", f"{folder / 'timed'}/"], log).seconds
    log.unlink()
    while left:
        out, next_words = folder / str(campaign), [*words, "-o", f"{folder / str(campaign)}/"]
        campaign += 1
        while left and killed(next_words, log, after=dice.uniform(0, span)).killed:
            left -= 1
            yield left_broken(out, [whole], acknowledged(log)) if out.exists() else ""
            notes = sorted(map(str, out.glob("*.wav.json")))
            if len(notes) == len(whole):
                next_words = ["generate", "--resume", *notes]
            else:
                next_words = [*words, "--force", "-o", f"{out}/"]
        command(*next_words)
        if sounds(out) != whole:
            yield "other bytes than those of a run that was never killed"


def counted(found: Iterator[str]) -> tuple[int, int, list[str]]:
    """How many there were, how many without a fault, and the faults."""
    each = list(found)
    return len(each), each.count(""), [wrong for wrong in each if wrong]


def proof(tier: Tier) -> Figure:
    """Our commands, and our writer on the model of a disk."""
    operations, times, cuts = (counted(part(tier)) for part in (at_operations, at_random_times, power_cuts))
    said = (
        f"{operations[1]} of {operations[0]} kills at operations, {times[1]} of {times[0]} at random times: "
        f"whole for three readers, and gone on with byte for byte; {cuts[1]} of {cuts[0]} power cuts left a whole file"
    )
    faults = list(chain(operations[2], times[2], cuts[2]))
    return Figure(operations[1] + times[1] + cuts[1], operations[0] + times[0] + cuts[0], said, {"faults": faults[:9]})


def by_soundfile(path: Path, wave: np.ndarray, blocks: int, log: Callable[[int], None]) -> None:
    """Write with libsndfile, and die after so many blocks."""
    with soundfile.SoundFile(path, "w", 16_000, 1, "PCM_16") as file:
        for at in range(blocks):
            file.write(wave[at * BLOCK : (at + 1) * BLOCK])
            file.flush()
            log((at + 1) * BLOCK)
        os.kill(os.getpid(), signal.SIGKILL)


def control(tier: Tier) -> Figure:
    """The same readers, the usual writer."""
    folder, wave = tier.folder("naive"), np.random.default_rng(0).uniform(-0.5, 0.5, 30 * BLOCK)
    soundfile.write(folder / "whole.wav", wave, 16_000, "PCM_16")
    whole, trials = (folder / "whole.wav").read_bytes()[HEADER:], tier.count(5, 20)
    held = 0
    for blocks in range(1, trials + 1):
        path, said = folder / f"{blocks}.wav", folder / f"{blocks}.log"
        trial(lambda path=path, said=said, blocks=blocks: by_soundfile(
            path, wave, blocks, lambda count: said.write_text(str(count)) and None
        ))  # fmt: skip
        held += not fault(path, whole, int(said.read_text()))
    return Figure(held, trials, f"{held} of {trials} kills left a file that is whole for all three readers")


PROMISE = Promise(
    number=7,
    guarantee=(
        "A sound that is being made is a whole WAV at every instant, for any reader, after a kill and after a power "
        "cut; it lacks at most what was drawn since it was last made safe, every 2 seconds. `--resume` ends with the "
        "bytes of a run that was never stopped (engine `compiled`, the default on CPUs)."
    ),
    naive="soundfile, flushed after every block",
    proof=proof,
    control=control,
)
