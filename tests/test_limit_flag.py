"""``--limit`` holds where files are opened, whatever the command, in both crafts."""

import numpy as np
import pytest
import soundfile
from PIL import Image

from segmentation.cli import main as segmentation
from segmentation.images import size_of
from segmentation.limits import PIXELS
from shared.errors import InputError
from shared.limits import set_limit
from wavenet.cli import main as wavenet
from wavenet.limits import SECONDS


@pytest.fixture(autouse=True)
def _limits_as_before(monkeypatch):
    for limit in (PIXELS, SECONDS):
        monkeypatch.setattr(limit, "most", limit.most)


def test_a_lower_limit_refuses_a_picture_and_the_line_says_which_to_raise(tmp_path, capsys):
    for name, mode in (("images", "RGB"), ("masks", "L")):
        (tmp_path / name).mkdir()
        Image.new(mode, (40, 50)).save(tmp_path / name / "a.png")
    assert segmentation(["check", str(tmp_path), "--limit", "image-pixels=1999"]) == 1
    assert "has 2,000 pixels by its header, over the limit of 1,999" in (said := capsys.readouterr().err)
    assert segmentation(["check", str(tmp_path), "--limit", said.split("--limit ")[1].strip()]) == 0


def test_a_lower_limit_refuses_a_recording_and_the_line_says_which_to_raise(tmp_path, capsys):
    soundfile.write(tmp_path / "a.wav", np.zeros(32_000), 16_000)
    assert wavenet(["prepare", str(tmp_path), "--limit", "audio-seconds=1"]) == 1
    assert "claims to last 2 seconds, over the limit of 1" in (said := capsys.readouterr().err)
    assert wavenet(["prepare", str(tmp_path), "--limit", said.split("--limit ")[1].strip()]) == 0


def test_a_picture_that_pillow_itself_would_refuse_passes_once_the_limit_is_raised(tmp_path):
    Image.new("1", (20, 9_500_000)).save(tmp_path / "a.png")  # 190 megapixels, 30 kB
    with pytest.raises(InputError, match="--limit image-pixels=190000000"):
        size_of(tmp_path / "a.png")
    set_limit("image-pixels=2e8")
    assert size_of(tmp_path / "a.png") == (9_500_000, 20)
