"""The fast products equal the float64 truth, in every shape and stride, and so do their gradients."""

from itertools import product

import pytest
import torch
from torch import Tensor

from shared.dense import Dense, affine, affine_gradients, working_dtype

# rows, channels in, channels out: whole vectors of a processor, one less, one more, single ones
SHAPES = [(1, 1, 1), (1, 5, 3), (3, 1, 7), (64, 32, 48), (65, 33, 47), (127, 256, 15), (2, 17, 129)]
# of sums of |x||w| in relation to which float32 and bfloat16 results may be off: accumulation, then rounding
ROUNDING = {torch.float32: 2e-6, torch.bfloat16: 2**-8}
DTYPES = list(ROUNDING)


def numbers(*shape: int, dtype: torch.dtype, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def assert_near(result: Tensor, truth: Tensor, scale: Tensor, dtype: torch.dtype) -> None:
    assert result.dtype == dtype
    assert result.shape == truth.shape
    worst = ((result.double() - truth).abs() / (scale + 1e-9)).max()
    assert worst <= ROUNDING[dtype]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("rows", "wide", "narrow"), SHAPES)
@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize("tanh", [False, True])
def test_affine_equals_the_truth(
    dtype: torch.dtype, rows: int, wide: int, narrow: int, with_bias: bool, tanh: bool
) -> None:
    x, weight = numbers(rows, wide, dtype=dtype), numbers(narrow, wide, dtype=dtype, seed=1)
    bias = numbers(narrow, dtype=dtype, seed=2) if with_bias else None
    added = bias.double() if with_bias else torch.zeros(narrow, dtype=torch.float64)
    truth = x.double() @ weight.double().t() + added
    scale = x.double().abs() @ weight.double().abs().t() + added.abs()
    truth = truth.tanh() if tanh else truth
    scale = scale.clamp(min=1) if tanh else scale  # oneDNN's tanh itself is off by as much as a rounding
    assert_near(affine(x, weight, bias, tanh=tanh), truth, scale, dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_strides_do_not_matter(dtype: torch.dtype) -> None:
    x, weight, dy = (numbers(24, 40, dtype=dtype, seed=seed) for seed in range(3))
    strided = {
        "whole": lambda t: t,
        "transposed": lambda t: t.t().contiguous().t(),
        "columns": lambda t: t.repeat_interleave(2, dim=1)[:, ::2],
        "rows": lambda t: t.repeat_interleave(3, dim=0)[::3],
    }
    plain = affine(x, weight)
    gradient, sums = affine_gradients(dy, x)
    tolerance = dict.fromkeys(("rtol", "atol"), 1e-2 if dtype == torch.bfloat16 else 1e-5)
    for one, other in product(strided.values(), strided.values()):
        torch.testing.assert_close(affine(one(x), other(weight)), plain, **tolerance)
        for ours, theirs in zip(affine_gradients(one(dy), other(x)), (gradient, sums), strict=True):
            torch.testing.assert_close(ours, theirs, **tolerance)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("rows", "wide", "narrow"), SHAPES)
def test_gradients_of_weight_and_bias_equal_the_truth(dtype: torch.dtype, rows: int, wide: int, narrow: int) -> None:
    dy, x = numbers(rows, narrow, dtype=dtype), numbers(rows, wide, dtype=dtype, seed=1)
    weight, bias = affine_gradients(dy, x)
    assert_near(weight, dy.double().t() @ x.double(), dy.double().abs().t() @ x.double().abs(), dtype)
    assert_near(bias, dy.double().sum(0), dy.double().abs().sum(0), dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("rows", "wide", "narrow"), SHAPES)
def test_dense_and_all_its_gradients_equal_the_truth(dtype: torch.dtype, rows: int, wide: int, narrow: int) -> None:
    shapes = ((rows, wide), (narrow, wide), (narrow,))
    inputs = [numbers(*shape, dtype=dtype, seed=at) for at, shape in enumerate(shapes)]
    dy = numbers(rows, narrow, dtype=dtype, seed=3)
    results = {}
    for kind, function in ((dtype, Dense.apply), (torch.float64, torch.nn.functional.linear)):
        leaves = [each.to(kind).requires_grad_() for each in inputs]
        y = function(*leaves)
        results[kind] = [y.detach(), *torch.autograd.grad(y, leaves, dy.to(kind))]
    x, weight, bias, dy = (each.double().abs() for each in (*inputs, dy))
    scales = [x @ weight.t() + bias, dy @ weight, dy.t() @ x, dy.sum(0)]
    for result, truth, scale in zip(results[dtype], results[torch.float64], scales, strict=True):
        assert_near(result, truth, scale, dtype)


def test_dense_passes_gradcheck_in_float64() -> None:
    shapes = ((5, 4), (3, 4), (3,))
    inputs = [numbers(*shape, dtype=torch.float64, seed=at) for at, shape in enumerate(shapes)]
    assert torch.autograd.gradcheck(Dense.apply, [each.requires_grad_() for each in inputs])


def test_dense_takes_the_strided_gradient_of_a_sum() -> None:
    x = torch.ones(6, 4, requires_grad=True)
    Dense.apply(x, torch.full((3, 4), 2.0), torch.zeros(3)).sum().backward()  # dy is an expanded scalar
    assert torch.equal(x.grad, torch.full((6, 4), 6.0))


def test_no_rows_give_no_rows() -> None:
    assert affine(torch.zeros(0, 4), torch.zeros(3, 4), torch.zeros(3)).shape == (0, 3)


def test_affine_records_no_gradient_where_none_is_asked_for() -> None:
    x, weight = torch.randn(4, 8), torch.randn(2, 8)
    assert not affine(x, weight).requires_grad


def test_inputs_are_left_as_they_were() -> None:
    for dtype in (*DTYPES, torch.float64):
        x, weight, bias = numbers(9, 8, dtype=dtype), numbers(7, 8, dtype=dtype), numbers(7, dtype=dtype)
        before = [each.clone() for each in (x, weight, bias)]
        affine(x, weight, bias, tanh=True)
        affine_gradients(numbers(9, 7, dtype=dtype), x)
        assert all(torch.equal(one, other) for one, other in zip((x, weight, bias), before, strict=True))


def test_the_working_dtype_is_autocasts_where_it_is_on_and_else_the_tensors_own() -> None:
    x = torch.zeros(1)
    assert working_dtype(x) == torch.float32
    assert working_dtype(x.double()) == torch.float64
    with torch.autocast("cpu", torch.bfloat16):
        assert working_dtype(x) == torch.bfloat16
    with torch.autocast("cpu", torch.bfloat16, enabled=False):
        assert working_dtype(x) == torch.float32
