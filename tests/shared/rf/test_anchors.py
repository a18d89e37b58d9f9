"""Published receptive fields, built layer by layer: the algebra gives the numbers that the literature gives."""

import pytest

from shared import rf
from shared.rf import Field, conv, global_pool, pool, stack
from shared.schedules import exponential

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


def resnet(depth: int, *, stride_last: bool = False, output_stride: int = 32) -> Field:
    """A ResNet's trunk: torchvision strides in the first block of a stage, TF-slim in the last."""
    field, convs = conv(7, stride=2) >> conv(3, stride=2), 2 if depth < 50 else 1
    stages, strides = BLOCKS[depth], (2, 2, 2, 1) if stride_last else (1, 2, 2, 2)
    dilation = 1
    for blocks, stride in zip(stages, strides, strict=True):
        strided = blocks - 1 if stride_last else 0
        before, after = dilation, dilation * stride if field.jump * stride > output_stride else dilation
        for block in range(blocks):
            step = stride if block == strided and after == before else 1
            layers = [conv(3, before if block == 0 else after, stride=step), *[conv(3, after)] * (convs - 1)]
            shortcut = conv(1, stride=step)
            field = field >> (rf.through(*layers) | shortcut)
        dilation = after
    return field


@pytest.mark.parametrize(("depth", "size"), [(18, 435), (34, 899), (50, 427), (101, 971), (152, 1451)])
def test_resnets(depth: int, size: int) -> None:
    field = resnet(depth)
    assert (field.size, field.jump, field.gap_free) == (size, 32, True)


@pytest.mark.parametrize("output_stride", [8, 16])
def test_a_dilated_resnet_reads_what_the_strided_one_reads_more_often(output_stride: int) -> None:
    dilated = resnet(50, output_stride=output_stride)
    assert (dilated.size, dilated.jump, dilated.gap_free) == (427, output_stride, True)
    assert dilated.offsets == resnet(50).offsets


def test_a_resnet_50_that_strides_in_the_last_block_of_a_stage_as_tf_slim_does_reads_483() -> None:
    assert resnet(50, stride_last=True).size == 483


def test_alexnet_reads_195() -> None:
    first = conv(11, stride=4, padding=2) >> pool(3, 2) >> conv(5) >> pool(3, 2)
    last = stack(3, [1, 1, 1]) >> pool(3, 2)
    assert ((first >> last).size, (first >> last).jump) == (195, 32)


@pytest.mark.parametrize(("convs", "size"), [((1, 1, 2, 2, 2), 150), ((2, 2, 3, 3, 3), 212)])
def test_vgg_a_reads_150_and_vgg_16_reads_212(convs: tuple[int, ...], size: int) -> None:
    field = Field()
    for number in convs:
        field = field >> stack(3, [1] * number) >> pool(2)
    assert (field.size, field.jump) == (size, 32)


@pytest.mark.parametrize(("output_stride", "rates"), [(8, (12, 24, 36)), (16, (6, 12, 18))])
def test_deeplab_v3s_branches_read_427_619_811_1003_pixels_and_its_head_1019(output_stride, rates) -> None:
    backbone = resnet(50, output_stride=output_stride)
    branches = [conv(1), *(conv(3, rate) for rate in rates)]
    assert [(backbone >> branch).size for branch in branches] == [427, 619, 811, 1003]
    pyramid = branches[0] | branches[1] | branches[2] | branches[3] | global_pool
    head = backbone >> pyramid >> conv(3)
    assert (head.size, head.is_global, head.gap_free) == (1003 + 2 * output_stride, True, True)
    assert pyramid.coverage_in(2) * pyramid.size**2 == pytest.approx(25)  # of the map it reads a star
    if output_stride == 8:
        trunk = Field(backbone.size, backbone.jump, backbone.offset)  # its widest path alone
        assert (head.size, (trunk >> pyramid >> conv(3)).smallest_path) == (1019, 443)


def test_wavenet_reads_1024_a_stack_and_3070_in_three() -> None:
    assert stack(2, exponential(10), causal=True) == Field(1024, 1, -1023)
    three = stack(2, exponential(10, stacks=3), causal=True)
    assert three == Field(3070, 1, -3069)
    assert (three.history, three.lookahead) == (3069, 0)
    assert stack(3, exponential(10), causal=True).size == 2047


def test_the_lessons_network_reads_3_5_9_17_33_then_33_45_57_69_and_everything() -> None:
    dilations = (1, 1, 2, 4, 8)
    assert [stack(3, dilations[:depth]).size for depth in (1, 2, 3, 4, 5)] == [3, 5, 9, 17, 33]
    branches = [conv(1), conv(3, 6), conv(3, 12), conv(3, 18)]
    backbone = stack(3, dilations)
    assert [(backbone >> branch).size for branch in branches] == [33, 45, 57, 69]
    pyramid = branches[0] | branches[1] | branches[2] | branches[3] | global_pool
    whole = backbone >> pyramid >> stack(3, [1, 1])
    assert str(whole) == "73 [-36..+36], jump 1, gap-free, smallest path 37, plus a global branch"


def test_dilations_1_2_4_8_of_a_3x3_kernel_span_3_5_9_17_and_together_31() -> None:
    assert [conv(3, dilation).size for dilation in (1, 2, 4, 8)] == [3, 5, 9, 17]
    assert [len(conv(3, dilation).offsets) for dilation in (1, 2, 4, 8)] == [3] * 4
    assert stack(3, [1, 2, 4, 8]) == Field(31, 1, -15)
