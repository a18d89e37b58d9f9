"""A small listener: which speaker is this? Three convolutions over a log-mel spectrogram, and their mean over time.

It is to go by the voice, not by what else tells recordings apart. So it hears every clip at one level and in white
noise, which drowns the noise of the recording: at random distances as it learns, at ``HEARD_AT`` when it names. While
it learns, spectra are also tilted at random, and each spectrogram is taken relative to its own mean.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchaudio.transforms import MelSpectrogram

from wavenet.audio import RATE

HOP, BANDS = 160, 40  # samples (10 ms), mel bands
DISTANCE, HEARD_AT = (10.0, 30.0), 20.0  # decibels from a clip's level down to the noise that is added
EPOCHS = 12
TILT = 6.0  # decibels at most between the lowest band and the highest

Wave = np.ndarray
"""float32 ``[t]`` at 16 kHz."""


class SpeakerClassifier(nn.Module):
    """``classifier(waves [b, t], samples [b]) -> logits [b, speakers]``; what lies behind a clip's end is not heard.

    >>> SpeakerClassifier(speakers=6, width=8)(torch.randn(2, 8000), torch.tensor([8000, 3000])).shape
    torch.Size([2, 6])
    """

    def __init__(self, speakers: int, width: int = 64):
        super().__init__()
        self.mel = MelSpectrogram(RATE, 512, hop_length=HOP, n_mels=BANDS, power=1.0, center=False, norm="slaney")
        widths = (BANDS, width, width, width)
        self.layers = nn.ModuleList(nn.Conv1d(before, after, 5, padding=2) for before, after in pairwise(widths))
        self.drop, self.output = nn.Dropout(0.2), nn.Linear(2 * width, speakers)

    def forward(self, waves: Tensor, samples: Tensor) -> Tensor:
        """Noise is drawn anew for each call, by torch's own generator."""
        heard = (torch.arange(waves.shape[1]) < samples[:, None]).float()
        level = (waves.square() * heard).sum(1).div(samples).sqrt().clamp_min(1e-6)
        low, high = DISTANCE if self.training else (HEARD_AT, HEARD_AT)
        distance = low + (high - low) * torch.rand(len(waves), 1)
        unit = waves / level[:, None] + torch.randn_like(waves) * 10 ** (-distance / 20)
        frames = self.mel(F.pad(unit * heard, (256, 256))).clamp_min(1e-5).log()
        if self.training:
            slope = torch.linspace(-0.5, 0.5, BANDS)[:, None] * np.log(10) / 20
            frames = frames + TILT * (2 * torch.rand(len(frames), 1, 1) - 1) * slope
        real = (torch.arange(frames.shape[2]) <= (samples[:, None] - 1) // HOP).float()[:, None]
        count = real.sum(2)
        mean = (frames * real).sum((1, 2)) / (BANDS * count[:, 0])
        hidden = (frames - mean[:, None, None]) * real
        for layer in self.layers:
            hidden = F.relu(layer(hidden)) * real
        means = hidden.sum(2) / count
        peaks = hidden.amax(2)
        return self.output(self.drop(torch.cat([means, peaks], 1)))


def trained(
    clips: Sequence[tuple[Wave, int]],
    speakers: int,
    *,
    epochs: int = EPOCHS,
    batch: int = 64,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> SpeakerClassifier:
    """A classifier that has heard every clip, each with its speaker's number, so many times, never twice alike."""
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        model = SpeakerClassifier(speakers)
        optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01)
        steps = epochs * -(-len(clips) // batch)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
        for at in range(epochs):
            for chosen in torch.randperm(len(clips)).split(batch):
                waves, samples = together([clips[int(each)][0] for each in chosen])
                answers = torch.tensor([clips[int(each)][1] for each in chosen])
                loss = F.cross_entropy(model(waves, samples), answers, label_smoothing=0.05)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
            if progress:
                progress((at + 1) / epochs)
    return model.eval()


@torch.inference_mode()
def named(model: SpeakerClassifier, waves: Sequence[Wave], batch: int = 64) -> list[int]:
    """The number of the likeliest speaker of each clip; the same for the same clips."""
    found: list[int] = []
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        for at in range(0, len(waves), batch):
            found += model(*together(waves[at : at + batch])).argmax(1).tolist()
    return found


def together(waves: Sequence[Wave]) -> tuple[Tensor, Tensor]:
    """Clips of different lengths as one ``[b, t]``, and their lengths."""
    samples = torch.tensor([len(wave) for wave in waves])
    return nn.utils.rnn.pad_sequence([torch.from_numpy(wave) for wave in waves], batch_first=True), samples


@dataclass(frozen=True)
class Share:
    """So many of so many, and what is known of the true share: Wilson's interval at 95 %.

    >>> print(Share(70, 100))
    70.0 % (60.4 to 78.1)
    """

    right: int
    of: int

    @property
    def interval(self) -> tuple[float, float]:
        """Both ends, as shares."""
        z, share = 1.959964, self.right / self.of
        centre = (share + z**2 / (2 * self.of)) / (1 + z**2 / self.of)
        half = z / (1 + z**2 / self.of) * np.sqrt(share * (1 - share) / self.of + z**2 / (4 * self.of**2))
        return float(max(0.0, centre - half)), float(min(1.0, centre + half))

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.right / self.of:.1%} ({100 * low:.1f} to {100 * high:.1f})".replace("%", " %")
