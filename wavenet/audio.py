"""The gate: every sound file from outside is opened here, and leaves as mono float32 at 16 kHz.

``check`` decodes a file once, in blocks, and says what is in it; ``read`` gives any window of it. One law
ties them: ``read(p, a, n)`` is ``read(p)[a : a + n]``, whatever the rate and the format of the file. Files
are told apart by their first bytes, never by their ending, and no length in a header is believed.
"""

from __future__ import annotations

import math
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from shared.errors import refusal
from wavenet.kinds import AGAIN, CONVERT, hold_to_known
from wavenet.limits import CHANNELS, SAMPLES, SECONDS

RATE = 16_000  # Hz, of everything that leaves this file

# what is refused, beside what is over the limits of wavenet.limits
LOWEST_RATE, HIGHEST_RATE = 1_000, 768_000  # Hz
# what is mentioned
NARROW_RATE = 8_000  # Hz; below it, speech lacks most of its consonants
SHORTEST = 0.01  # seconds; less is nothing to learn from
QUIETEST = 1e-4  # peak (-80 dB)
FULL_SCALE = 0.99  # an 8-bit file ends at 0.992
CLIPPED = 0.001  # share of samples in flat tops at full scale
OVERSHOOT = 1.12  # lossy decoders rightly exceed full scale, by up to 1 dB
LENGTH_SLACK = 4_096  # frames by which a lossy header may be wrong: two blocks and the decoder's delay
SLOW_SEEK = 600  # seconds; in longer files a format that cannot seek exactly is a nuisance
# how it is read
BLOCK = 65_536  # frames decoded at a time
STRIDE = 2**18  # samples resampled at a time
TERMS = 1_000  # largest term of a resampling ratio, see ratio()
# how a header says that it does not know the length: in bytes (streaming writers), in frames (FLAC)
OPEN_BYTES = (range(0x7FFFFF00, 0x80000000), range(0xFFFFFF00, 0x100000000))
OPEN_FRAMES = 2**63 - 1
# bytes of sound as declared and as found: libsndfile corrects them in silence, but keeps a log
SIZES = r"(?im)^ *(?:data|data size|ssnd) *: (\d+)(?: \(should be (\d+)\))?$"
REPAIR = "its writer was stopped: repair its header, for example with ffmpeg -ignore_length 1"


@dataclass(frozen=True)
class Recording:
    """A sound file that ``check`` has decoded to its end. Picklable; holds no open file.

    >>> Recording(Path("a.flac"), rate=44_100, channels=2, frames=44_100).samples
    16000
    """

    path: Path
    rate: int  # Hz, of the file
    channels: int  # of the file
    frames: int  # at the file's rate: as many as can be decoded, not as many as the header says
    warnings: tuple[str, ...] = ()  # plain texts, without the path

    @property
    def samples(self) -> int:
        """Length at 16 kHz: as many samples as ``read`` gives."""
        up, down = ratio(self.rate)
        return -(-self.frames * up // down)

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return self.frames / self.rate


def check(path: Path | str, longest: float | None = None) -> Recording:
    """Decode the whole file once, in blocks of 65,536 frames, and describe it.

    Memory stays flat, whatever length the header declares. A file that can be used, but not without a word,
    has that word in ``warnings``. Raises InputError, one line, for what is no sound, is damaged, holds
    samples that are not finite, or lies outside the limits here and in ``wavenet.limits``. ``longest``, in seconds,
    takes the place of the limit on length.
    """
    with _opened(Path(path), longest) as sound:
        frames, texts = _listen(sound)
        return Recording(sound.path, sound.rate, sound.channels, frames, tuple(texts))


def read(
    source: Recording | Path | str, start: int = 0, samples: int | None = None, longest: float | None = None
) -> np.ndarray:
    """Samples ``start`` to ``start + samples`` of a file: float32, shape (t,), mono, 16 kHz, in [-1, 1].

    Channels are averaged. Only the window and the margin of the resampling filter are decoded, except that
    formats without exact seeking (MP3, Vorbis, Opus) are decoded from their start. Past the end there is
    nothing, so the answer may be shorter. A path is checked first, as ``check`` does: to read many windows, pass the
    Recording.
    Raises InputError when the file has vanished, changed or gone bad since, ValueError below zero.
    """
    recording = source if isinstance(source, Recording) else check(source, longest)
    if start < 0 or (samples is not None and samples < 0):
        raise ValueError(f"start and samples count from 0 up, got {start} and {samples}")
    start, stop, _ = slice(start, None if samples is None else start + samples).indices(recording.samples)
    # The filter repeats every `up` samples, which are `down` frames: a period. Windows of whole periods meet
    # the filter in the phase in which the whole file meets it. Beyond both ends of the file lie zeros.
    up, down = ratio(recording.rate)
    resample = _resampler(up, down) if up != down else None
    margin = -(-resample.width // down) if resample else 0
    first, last = start // up, -(-stop // up)
    frames = _mono(recording, (first - margin) * down, (last + margin) * down)
    if not resample:
        return frames
    import torch

    wave = np.empty((last - first) * up, np.float32)
    step = -(-STRIDE // up)
    with torch.inference_mode():
        for at in range(0, last - first, step):
            count = min(step, last - first - at)
            piece = resample(torch.from_numpy(frames[at * down : (at + count + 2 * margin) * down]))
            wave[at * up : (at + count) * up] = piece[margin * up : (margin + count) * up].numpy()
    wave = wave[start - first * up : stop - first * up]
    return np.clip(wave, -1, 1, out=wave)  # the filter overshoots at steep edges


def ratio(rate: int) -> tuple[int, int]:
    """``(up, down)`` from a rate in Hz to 16 kHz, in terms up to 1,000: the filter holds up x down numbers.

    The usual rates are exact. An odd one (11,127 Hz would need gigabytes of filter) is off by at most 0.91
    cent of pitch, about a fifth of what an ear can tell, and by as much of its length: 0.05 %.

    >>> ratio(44_100), ratio(8_000), ratio(11_127)
    ((160, 441), (2, 1), (811, 564))
    """
    exact = Fraction(RATE, rate)
    near = exact.limit_denominator(TERMS) if exact <= 1 else 1 / (1 / exact).limit_denominator(TERMS)
    return near.numerator, near.denominator


@lru_cache(maxsize=16)
def _resampler(up: int, down: int) -> Any:
    """The filter, kept since it takes 20 ms to make: flat to 7.2 kHz, 100 dB down from 8.1 kHz on."""
    from torchaudio.transforms import Resample

    return Resample(down, up, "sinc_interp_kaiser", lowpass_filter_width=64, rolloff=0.9476, beta=14.77)


def _mono(recording: Recording, begin: int, end: int) -> np.ndarray:
    """Frames begin to end, channels averaged, within [-1, 1]; zeros where the file has no frames."""
    frames = np.zeros(end - begin, np.float32)
    at, stop = max(begin, 0), min(end, recording.frames)
    with _opened(recording.path) as sound:
        same = (sound.rate, sound.channels) == (recording.rate, recording.channels)
        for mix, _ in sound.blocks(at, stop) if same else ():
            frames[at - begin : at - begin + len(mix)] = mix
            at += len(mix)
        if not same or at < stop:
            raise refusal(sound.path, "has changed since it was checked", "run the command again")
    return np.clip(frames, -1, 1, out=frames)


class _Sound:
    """An open file that keeps to the limits, and what its header says."""

    def __init__(self, path: Path, file: Any, longest: float | None) -> None:  # a soundfile.SoundFile
        self.path, self.file, self.longest = path, file, longest
        self.rate, self.channels, self.frames = file.samplerate, file.channels, file.frames
        self.lossy = file.subtype.startswith(("OPUS", "MPEG", "VORBIS"))
        # libsndfile misses the mark in the last page of a Vorbis file, hears Opus differently after a seek
        # (by 2e-3), and for MP3 libmpg123 complains on stderr. Others seek exactly, or say they cannot.
        self.seeks = file.seekable() and not self.lossy
        file.seekable = lambda: False  # or else soundfile seeks after every block that it has read
        sizes = re.findall(SIZES, file.extra_info)
        self.declared, self.found = max(((int(a), int(b or a)) for a, b in sizes), default=(None, None))
        self.open_ended = self.frames == OPEN_FRAMES or any(self.declared in sizes for sizes in OPEN_BYTES)
        if not LOWEST_RATE <= self.rate <= HIGHEST_RATE:
            reason = f"has a sample rate of {self.rate} Hz, {LOWEST_RATE} to {HIGHEST_RATE} are read"
            raise refusal(self.path, reason, "correct its header")
        CHANNELS.hold(self.path, self.channels, "has {} channels", "mix it down")
        if not self.open_ended:  # a sample has at most 8 bytes
            self.hold_to_length(max(self.frames, (self.declared or 0) // (8 * self.channels)))

    def hold_to_length(self, frames: int) -> None:
        """A small hostile file can unpack to years of silence: what is declared must fit, and what is decoded."""
        seconds, reason = frames / self.rate, "claims to last {} seconds"
        if self.longest is None:
            SECONDS.hold(self.path, math.ceil(seconds), reason, "split it, or correct its header")
        elif seconds > self.longest:
            text = f"{reason.format(math.ceil(seconds))}, {self.longest:g} are the most here"
            raise refusal(self.path, text, "cut it")
        SAMPLES.hold(self.path, frames * self.channels, "claims to hold {} samples", "split it, or correct its header")

    def blocks(self, begin: int, end: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The mix (t,) and the channels (t, c) of frames begin to end, block by block, all finite."""
        at = begin if self.seeks else 0
        try:
            if at:
                self.file.seek(at)
            while at < end:
                size = min(BLOCK, (begin if at < begin else end) - at)
                block = self.file.read(size, dtype="float32", always_2d=True)
                if not len(block):
                    return
                with np.errstate(all="ignore"):
                    mix = block[:, 0] if self.channels == 1 else block.mean(axis=1)
                if not np.isfinite(mix).all():
                    where = f"{(at + int(np.argmin(np.isfinite(mix)))) / self.rate:.3f} s"
                    raise refusal(self.path, f"has samples that are NaN or infinite, first at {where}", AGAIN)
                at += len(block)
                if at > begin:
                    yield mix, block
        except RuntimeError as error:  # soundfile's errors are of this kind
            if self.frames == OPEN_FRAMES:
                raise refusal(self.path, "does not give its length", CONVERT) from None
            span = f"{at / self.rate:.1f} to {min(at + BLOCK, self.frames) / self.rate:.1f} s"
            raise refusal(self.path, f"is damaged or cut off at {span} ({_plain(error)})", AGAIN) from None


@contextmanager
def _opened(path: Path, longest: float | None = None) -> Iterator[_Sound]:
    """Ask what kind of thing it is, then look at its first bytes; only then let libsndfile have it."""
    import soundfile

    try:
        if not stat.S_ISREG(path.stat().st_mode):  # before opening: a named pipe would wait for ever
            raise refusal(path, "is a folder" if path.is_dir() else "is no regular file", "give a sound file")
        with path.open("rb") as stream:
            hold_to_known(path, stream)
    except (OSError, ValueError) as error:
        raise refusal(path, f"cannot be opened ({_plain(error)})", "check its name and permissions") from None
    try:  # as bytes: soundfile fails to encode names that are not UTF-8
        file = soundfile.SoundFile(str(path) if os.name == "nt" else os.fsencode(path))
    except (RuntimeError, TypeError) as error:
        raise refusal(path, f"cannot be decoded ({_plain(error)})", f"{AGAIN}, or {CONVERT}") from None
    with file:
        yield _Sound(path, file, longest)


def _plain(error: Exception) -> str:
    text = getattr(error, "error_string", None) or getattr(error, "strerror", None) or str(error)
    return " ".join(text.split()).removeprefix("Error : ").rstrip(".")  # the library's own, in one line


def _listen(sound: _Sound) -> tuple[int, list[str]]:
    """Decode to the end: the number of frames, and what is odd about the header and about the sound."""
    frames = over = flat = 0
    low, high, texts = np.inf, -np.inf, []
    for mix, channels in sound.blocks(0, OPEN_FRAMES):
        frames += len(mix)
        sound.hold_to_length(frames)
        low, high = min(low, float(mix.min())), max(high, float(mix.max()))
        over += int(np.count_nonzero(np.abs(mix) > 1))
        flat += int(np.count_nonzero((channels[1:] == channels[:-1]) & (np.abs(channels[1:]) >= FULL_SCALE)))
    if not frames:
        killed = sound.declared == 0 and sound.path.stat().st_size > LENGTH_SLACK
        raise refusal(sound.path, "has no samples that can be decoded", REPAIR if killed else AGAIN)

    if sound.open_ended:
        texts.append("the header leaves the length open, so it is read to the end of the file")
    elif sound.declared and sound.found < sound.declared:
        texts.append(f"cut off, {sound.found} of {sound.declared} bytes of sound are there")
    elif frames + (LENGTH_SLACK if sound.lossy else 0) < sound.frames:
        texts.append(f"cut off, {frames / sound.rate:.2f} of {sound.frames / sound.rate:.2f} s are there")
    if sound.rate < NARROW_RATE:
        texts.append(f"sample rate of {sound.rate} Hz, so nothing above {sound.rate // 2} Hz")
    if not sound.seeks and frames > SLOW_SEEK * sound.rate:
        texts.append("slow to train from, since each excerpt decodes it from its start: convert it to FLAC")

    peak, share = max(high, -low), flat / (frames * sound.channels)
    if frames < SHORTEST * sound.rate:
        texts.append(f"only {frames} sample{'s' * (frames > 1)}, too short to learn from")
    elif peak <= QUIETEST:
        texts.append("silence" if sound.channels == 1 else "silence once its channels are averaged")
    elif high - low <= QUIETEST:
        texts.append(f"constant, all samples are {high:.3g}")
    elif share > CLIPPED:
        texts.append(f"clipped, {share:.1%} of the samples lie in flat tops at full scale")
    if peak > (OVERSHOOT if sound.lossy else 1):
        texts.append(f"peak of {peak:.3g}, so {over / frames:.1%} of the samples are clipped to [-1, 1]")
    return frames, texts
