"""Pictures say what the fields say: every mark and every number in them is computed, and nothing is cut."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from torch import nn

from shared import rf
from shared.layers import CausalConv1d, DilatedConvNet
from shared.rf import DilatedConvVisualizer, visualize_receptive_field
from shared.rf.figure import draw

ASPPLIKE = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.GroupNorm(2, 4), nn.Conv2d(4, 1, 3, padding=1))
ASPP = "1 | 3@6 | 3@12 | 3@18"
LONG = "3 > 3@1,2,4,8 > (1 | 3@6 | 3@12 | 3@18 | global) > 3*2 > 1*1 > 1*1 > 1*1 > 1*1 > 1*1 > 1*1 > 1*1 > 1*1 > 1*1"
PICTURES = {
    "stack": lambda: visualize_receptive_field("3@2,4,8"),
    "causal": lambda: visualize_receptive_field("2@1,2,4,8,16,32,64,128,256,512 causal"),
    "branches": lambda: visualize_receptive_field(LONG),
    "field": lambda: visualize_receptive_field(rf.parse(ASPP).field),
    "one": lambda: visualize_receptive_field("1"),
    "global": lambda: visualize_receptive_field("global"),
    "several": lambda: draw([rf.parse("3@1,2"), rf.parse("global"), rf.conv(3, 4)]),
    "taps": lambda: DilatedConvVisualizer().taps(),
    "taps of 5": lambda: DilatedConvVisualizer(5).taps([1, 3]),
    "growth": lambda: DilatedConvVisualizer().growth(),
    "growth of 2": lambda: DilatedConvVisualizer(2).growth(6),
    "tree": lambda: DilatedConvVisualizer(2).tree(),
    "too many paths to shade": lambda: visualize_receptive_field("3*1000"),
    "too wide to count": lambda: visualize_receptive_field("1000*200"),
    "module": lambda: visualize_receptive_field(DilatedConvNet(3, 2, (2, 4, 8)), shape=(3, 48, 64)),
    "module of sound": lambda: visualize_receptive_field(CausalConv1d(1, 2, 3, dilation=9), shape=(1, 60)),
    "module that reads everything": lambda: visualize_receptive_field(ASPPLIKE, shape=(3, 20, 30)),
    "tree with holes": lambda: DilatedConvVisualizer(3).tree([2, 4]),
}


@pytest.mark.parametrize("name", PICTURES)
def test_nothing_in_a_picture_is_cut_off_and_no_titles_overlap(name: str) -> None:
    figure = PICTURES[name]()
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    inked = figure.get_tightbbox(canvas.get_renderer())  # in inches
    assert min(inked.x0, inked.y0) > -0.01
    assert inked.x1 <= figure.get_figwidth() + 0.01
    assert inked.y1 <= figure.get_figheight() + 0.01
    titles = [text for text in figure.findobj(Text) if text.get_fontweight() == "bold" and text.get_text()]
    boxes = [title.get_window_extent() for title in titles]
    assert not any(one.overlaps(other) for at, one in enumerate(boxes) for other in boxes[:at])


def image(figure: Figure) -> np.ndarray:
    (shown,) = figure.axes[1].images
    return np.ma.filled(shown.get_array(), 0)


def test_a_map_holds_the_number_of_paths_and_white_is_what_is_not_read() -> None:
    counts = rf.paths(3, [2, 4, 8]).counts
    assert np.array_equal(image(visualize_receptive_field("3@2,4,8")), np.outer(counts, counts))


def test_of_branches_a_map_unites_squares_and_does_not_square_the_union() -> None:
    expected = np.zeros((37, 37))
    for rate in (0, 6, 12, 18):
        for row in {18 - rate, 18, 18 + rate}:
            for column in {18 - rate, 18, 18 + rate}:
                expected[row, column] += 1
    assert np.count_nonzero(expected) == 25
    assert np.array_equal(image(visualize_receptive_field(ASPP)), expected)
    assert np.array_equal(image(visualize_receptive_field(rf.parse(ASPP).field)), expected > 0)


@pytest.mark.parametrize(
    ("subject", "finding"),
    [
        ("3@1,2,4,8", "3@1,2,4,8 spans 31×31 inputs and reads every one of them"),
        ("3@2,4,8", "3@2,4,8 spans 29×29 inputs and reads 27% of them"),
        ("2@1,2 causal", "2@1,2 causal spans 4 inputs and reads every one of them"),
        (ASPP, f"{ASPP} spans 37×37 inputs and reads 2% of them"),
        (
            rf.conv(3) | rf.global_pool,
            "This field spans 3×3 inputs and reads every one of them, beside a global branch",
        ),
        ("1", "1 reads one input"),
        ("global", "global reads the whole input, through a global branch"),
    ],
)
def test_the_title_is_the_finding(subject, finding: str) -> None:
    assert visualize_receptive_field(subject).get_suptitle() == finding


def test_taps_fill_nine_cells_and_say_their_share() -> None:
    figure = DilatedConvVisualizer().taps([1, 2, 4, 8])
    for axes, span, share in zip(figure.axes, (3, 5, 9, 17), ("all of them", "36.0 %", "11.1 %", "3.1 %"), strict=True):
        assert axes.get_xlabel() == f"spans {span}×{span}, reads 9 of {span**2} ({share})"
        assert len([patch for patch in axes.patches if isinstance(patch, Rectangle) and patch.get_fill()]) == 9


def test_growth_ends_at_21_111_2047_and_59049_none_of_which_leaves_a_gap() -> None:
    labels = {text.get_text() for text in DilatedConvVisualizer().growth(10).axes[1].texts}
    assert labels == {"all 1: 21", "1, 2, 3 …: 111", "doubled: 2,047", "tripled: 59,049"}
    for kernel_size in (2, 3, 5):
        for rates in ([1] * 6, [1, 2, 3, 4, 5, 6], [2**at for at in range(6)], [kernel_size**at for at in range(6)]):
            assert rf.gap_free(kernel_size, rates)


def test_the_tree_of_wavenets_first_four_layers_has_16_leaves_and_30_edges() -> None:
    axes = DilatedConvVisualizer(2).tree([1, 2, 4, 8]).axes[0]
    bright = [lines for lines in axes.collections if hasattr(lines, "get_segments") and lines.get_zorder() == 2]
    assert sum(len(lines.get_segments()) for lines in bright) == 30
    dark = [dots for dots in axes.collections if dots.get_zorder() == 4]
    assert [len(dots.get_offsets()) for dots in dark] == [16, 8, 4, 2, 1]
    assert all((dots.get_offsets()[:, 0] <= 0).all() for dots in dark)


def test_a_path_gets_the_picture(tmp_path) -> None:
    for at, make in enumerate(
        (
            lambda path: visualize_receptive_field("3", path),
            lambda path: DilatedConvVisualizer().taps([1, 2], path),
            lambda path: DilatedConvVisualizer().growth(3, str(path)),
            lambda path: DilatedConvVisualizer(2).tree([1, 2], path),
        )
    ):
        path = tmp_path / f"{at}.png"
        assert isinstance(make(path), Figure)
        assert path.read_bytes().startswith(b"\x89PNG")


def test_a_modules_picture_is_its_mask() -> None:
    net = DilatedConvNet(3, 2, (2, 4, 8))
    (drawn,) = visualize_receptive_field(net, shape=(3, 48, 64)).axes[0].images
    assert np.array_equal(np.ma.filled(drawn.get_array(), 0) > 0, rf.of(net, (3, 48, 64)).mask.numpy())
    with pytest.raises(ValueError, match="shape=\\(channels"):
        visualize_receptive_field(net)
    with pytest.raises(ValueError, match="3 axes is not drawn"):
        visualize_receptive_field(nn.Conv3d(1, 1, 3), shape=(1, 5, 5, 5))
