"""Only the usual ways to store sound reach the library that decodes it."""

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from shared.errors import InputError
from wavenet import audio
from wavenet.limits import SAMPLES, SECONDS

USUAL = [("WAV", each) for each in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW")]
USUAL += [("WAVEX", "PCM_16"), ("WAVEX", "FLOAT"), ("RF64", "PCM_16"), ("AIFF", "PCM_16"), ("AIFF", "FLOAT")]
USUAL += [("AIFF", "ULAW"), ("AU", "PCM_24"), ("AU", "DOUBLE"), ("AU", "ALAW"), ("FLAC", "PCM_24"), ("OGG", "OPUS")]
RARE = [("WAV", "IMA_ADPCM"), ("WAV", "MS_ADPCM"), ("WAV", "GSM610"), ("WAV", "G721_32"), ("AU", "G723_24")]
RARE += [("AIFF", "IMA_ADPCM"), ("AIFF", "GSM610"), ("AIFF", "DWVW_16"), ("W64", "PCM_16"), ("SVX", "PCM_16")]
RARE += [("CAF", "PCM_16"), ("VOC", "PCM_16"), ("IRCAM", "PCM_16"), ("PAF", "PCM_16"), ("XI", "DPCM_16")]


def tone(path: Path, form: str, subtype: str) -> Path:
    soundfile.write(path, np.sin(np.arange(8_000) / 9), 16_000, format=form, subtype=subtype)
    return path


@pytest.mark.parametrize(("form", "subtype"), USUAL)
def test_the_usual_ways_are_read(tmp_path: Path, form: str, subtype: str) -> None:
    assert len(audio.read(tone(tmp_path / "a", form, subtype))) == 8_000


@pytest.mark.parametrize(("form", "subtype"), RARE)
@pytest.mark.parametrize("tags", [b"", b"ID3\4\0\0\0\0\1\2" + bytes(130)])
def test_the_rare_ones_are_refused_before_the_library_sees_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, subtype: str, tags: bytes
) -> None:
    path = tone(tmp_path / "a", form, subtype)
    path.write_bytes(tags + path.read_bytes())
    monkeypatch.setattr(soundfile, "SoundFile", None)  # calling it would raise another error
    with pytest.raises(InputError, match="convert it to WAV or FLAC"):
        audio.check(path)


def test_a_tag_before_an_mp3_is_passed_over(tmp_path: Path) -> None:
    path = tone(tmp_path / "a", "MP3", "MPEG_LAYER_III")
    plain = audio.read(path)
    path.write_bytes(b"ID3\4\0\0\0\0\1\2" + bytes(130) + path.read_bytes())
    assert np.array_equal(audio.read(path), plain)


def test_a_chunk_that_is_never_found_ends_the_search(tmp_path: Path) -> None:
    junk = struct.pack("<4sI", b"JUNK", 0) * 5_000
    (tmp_path / "a.wav").write_bytes(b"RIFF\xff\xff\xff\x00WAVE" + junk)
    with pytest.raises(InputError, match="does not say how its sound is stored"):
        audio.check(tmp_path / "a.wav")


@pytest.mark.parametrize("limit", [SAMPLES, SECONDS])
def test_length_is_held_to_its_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit) -> None:
    path = tone(tmp_path / "a.wav", "WAV", "PCM_16")
    monkeypatch.setattr(limit, "most", 0.25)
    with pytest.raises(InputError, match=f"--limit {limit.name}="):
        audio.check(path)


def test_a_caller_may_ask_for_shorter_sound(tmp_path: Path) -> None:
    path = tone(tmp_path / "a.wav", "WAV", "PCM_16")
    assert len(audio.read(path, 0, 10, longest=0.5)) == 10
    with pytest.raises(InputError, match=r"0\.4 are the most here; cut it"):
        audio.read(path, 0, 10, longest=0.4)
