"""What the gate for pictures lets through, what it says about it, and that it judges size before decoding."""

import io
import os
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segmentation import images, jpeg
from segmentation.images import read_image, read_mask, size_of
from shared.errors import InputError


def is_one_line(error: BaseException, path: Path) -> bool:
    text = str(error)
    return "\n" not in text and text.startswith(f"{path}: ") and "; " in text


def noise(height=40, width=60, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def saved(path, array, mode=None, **options):
    image = Image.fromarray(array)
    (image.convert(mode) if mode else image).save(path, **options)
    return path


def test_the_limit_can_be_raised_and_lowered(tmp_path):
    path = saved(tmp_path / "a.png", noise())
    with pytest.raises(InputError, match="has 2,400 pixels by its header, 2,399 are the most here"):
        read_image(path, most_pixels=2_399)
    assert read_image(path, most_pixels=2_400).pixels.shape == (40, 60, 3)
    before = Image.MAX_IMAGE_PIXELS
    wide = saved(tmp_path / "wide.png", np.zeros((9_500, 10_000), bool))  # 95 Mpixel: Pillow would warn
    assert size_of(wide) == (9_500, 10_000)
    with pytest.raises(InputError, match="95,000,000 pixels"):
        size_of(wide, most_pixels=20_000_000)
    assert before == Image.MAX_IMAGE_PIXELS


def oriented(path, tag, array):
    exif = Image.Exif()
    exif[0x0112] = tag
    Image.fromarray(array).save(path, exif=exif, **({} if path.suffix != ".webp" else {"lossless": True}))
    return path


@pytest.mark.parametrize("ending", ["png", "tiff", "webp"])
@pytest.mark.parametrize("tag", range(1, 9))
def test_all_eight_orientations_are_undone(tmp_path, tag, ending):
    upright = noise()
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.swapaxes(0, 1),
        6: np.rot90(upright, 1),
        7: np.rot90(upright, 2).swapaxes(0, 1),
        8: np.rot90(upright, -1),
    }[tag]
    path = oriented(tmp_path / f"a.{ending}", tag, np.ascontiguousarray(stored))
    assert np.array_equal(read_image(path).pixels, upright)
    assert size_of(path) == (40, 60)
    if ending != "webp":
        assert np.array_equal(read_mask(path).values, upright)


def test_an_orientation_out_of_range_is_passed_over(tmp_path):
    assert np.array_equal(read_image(oriented(tmp_path / "a.png", 77, noise())).pixels, noise())


def test_transparency_lies_over_white(tmp_path):
    array = np.zeros((2, 2, 4), np.uint8)
    array[0, 0] = (200, 0, 0, 255)
    array[0, 1] = (200, 0, 0, 51)
    pixels = read_image(saved(tmp_path / "a.png", array)).pixels
    assert pixels[0, 0].tolist() == [200, 0, 0]
    assert pixels[0, 1].tolist() == [244, 204, 204]
    assert pixels[1, 1].tolist() == [255, 255, 255]


def test_sixteen_bits_are_scaled_not_clipped(tmp_path):
    levels = np.array([[0, 257, 32_768, 65_535]], np.uint16).repeat(8, 0)
    picture = read_image(saved(tmp_path / "a.png", levels))
    assert picture.pixels[0, :, 0].tolist() == [0, 1, 128, 255]
    dark = read_image(saved(tmp_path / "b.png", levels // 32))
    assert any("nearly black" in remark for remark in dark.remarks)


def test_floats_without_a_white_are_refused(tmp_path):
    for at, levels in enumerate((np.full((9, 9), np.nan, np.float32), np.full((9, 9), -3, np.float32))):
        with pytest.raises(InputError, match="unknown white"):
            read_image(saved(tmp_path / f"{at}.tiff", levels))


@pytest.mark.parametrize("bits", [2, 4])
def test_a_mask_of_few_bits_keeps_its_numbers(tmp_path, bits):
    ids = (np.arange(64, dtype=np.uint8) % (2**bits)).reshape(8, 8)
    path = tmp_path / "a.png"
    path.write_bytes(grey_png(ids, bits))
    assert np.array_equal(read_mask(path).values, ids)


def grey_png(ids, bits):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b""
    for row in ids:
        number = int("".join(f"{value:0{bits}b}" for value in row), 2)
        rows += b"\0" + number.to_bytes(len(row) * bits // 8, "big")
    header = struct.pack(">IIBBBBB", ids.shape[1], ids.shape[0], bits, 0, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def test_masks_keep_their_numbers_in_every_storage(tmp_path):
    ids = np.arange(40, dtype=np.uint8).reshape(5, 8)
    deep = ids.astype(np.uint16) * 300
    assert np.array_equal(read_mask(saved(tmp_path / "l.png", ids)).values, ids)
    assert np.array_equal(read_mask(saved(tmp_path / "d.png", deep)).values, deep)
    assert np.array_equal(read_mask(saved(tmp_path / "d.tiff", deep)).values, deep)
    assert read_mask(saved(tmp_path / "b.png", ids > 7)).values.max() == 1
    image = Image.fromarray(ids)
    image.putpalette(np.random.default_rng(0).integers(0, 256, 768).astype(np.uint8).tobytes())
    image.save(tmp_path / "p.png")
    mask = read_mask(tmp_path / "p.png")
    assert mask.storage == "palette"
    assert np.array_equal(mask.values, ids)
    assert mask.palette.shape == (256, 3)


def test_lossy_masks_are_refused(tmp_path):
    for ending, options in (("jpg", {}), ("webp", {}), ("tiff", {"compression": "jpeg"})):
        path = saved(tmp_path / f"a.{ending}", noise(), **options)
        with pytest.raises(InputError, match="does not keep numbers exactly; save the mask as PNG"):
            read_mask(path)


def test_what_is_no_file_is_one_line(tmp_path):
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "loose.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    os.mkfifo(tmp_path / "pipe.png")
    names = ["folder.png", "loose.png", "loop.png", "pipe.png", "absent.png", "zero\0.png"]
    for open_it in (read_image, read_mask, size_of):
        for name in names:
            with pytest.raises(InputError) as caught:
                open_it(tmp_path / name)
            assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="a\\\\nb"):
        read_image(tmp_path / "a\nb.png")


def test_a_link_to_a_picture_is_a_picture(tmp_path):
    saved(tmp_path / "a.png", noise())
    (tmp_path / "b.png").symlink_to(tmp_path / "a.png")
    assert np.array_equal(read_image(tmp_path / "b.png").pixels, noise())


def test_threads_leave_the_warning_filters_as_they_were(tmp_path):
    path = saved(tmp_path / "a.jpg", noise())
    before = list(warnings.filters)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: read_image(path).pixels, range(60)))
    assert warnings.filters == before
    assert all(np.array_equal(answers[0], each) for each in answers)


def jpegs():
    for at, options in enumerate(({}, {"quality": 95, "subsampling": 0}, {"progressive": True}, {"optimize": True})):
        ramp = np.add.outer(np.arange(90), np.arange(120))[:, :, None] * np.array([1, 0.5, 0.7])
        for kind, array in enumerate(
            (noise(70, 90, at), np.full((50, 50, 3), 40 * at, np.uint8), ramp.astype(np.uint8))
        ):
            out = io.BytesIO()
            Image.fromarray(array).save(out, "JPEG", **options)
            yield kind, out.getvalue()


def test_no_whole_jpeg_is_called_damaged():
    assert all(jpeg.is_whole(data, images._decoded, images._decoded(data)) for _, data in jpegs())


def test_most_jpegs_that_were_damaged_in_the_middle_are_called_so():
    random, found = np.random.default_rng(0), []
    for kind, data in jpegs():
        if kind or images.Image.open(io.BytesIO(data)).info.get("progressive"):  # too small to be hit, or not told
            continue
        for _ in range(10):
            start = len(data) // 2 + int(random.integers(len(data) // 4))
            rubbish = random.integers(1, 127, 60, dtype=np.uint8).tobytes()
            damaged = data[:start] + rubbish + data[start + 60 :]
            shown = images._decoded(damaged)
            found.append(shown is None or not jpeg.is_whole(damaged, images._decoded, shown))
    assert np.mean(found) > 0.6


def test_bytes_behind_the_picture_are_no_damage(tmp_path):
    path = saved(tmp_path / "a.jpg", noise())
    path.write_bytes(path.read_bytes() + b"a note of the camera \xff\xd8" * 9)
    assert read_image(path).remarks == ()
