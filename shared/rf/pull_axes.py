"""Rules of what mixes whole axes: sums and norms, softmax, matrix products, attention.

Each says what it reads besides, so that a network can be asked what is left of its field without them.
"""

from __future__ import annotations

from shared.rf.boxes import ZERO, Indices, replaced, whole
from shared.rf.rules import Need, Pulled, along, besides, broadcast, first, nothing, own_position, rule
from shared.rf.trace import Call


@rule(
    "mean", "sum", "amax", "amin", "max", "min", "argmax", "argmin", "var", "std", "var_mean", "std_mean", "prod",
    "any", "all", "norm", "linalg_vector_norm", "logsumexp", "median", "mode", "aminmax", "count_nonzero",
    local=nothing,
)  # fmt: skip
def _reduction(call: Call, need: Need) -> Pulled:
    value = first(call)
    rank = len(value.shape)
    dims = call.arguments.get("dim")
    dims = range(rank) if dims is None or dims == [] else [dims] if isinstance(dims, int) else dims
    dims = {dim % rank for dim in dims} if rank else set()
    kept = len(call.outputs[need.number].shape) == rank
    others = iter(need.box)
    box = []
    for dim in range(rank):
        indices = next(others) if kept or dim not in dims else ZERO
        box.append(along(value.shape, dim) if dim in dims else indices)
    yield value, tuple(box)


@rule("_softmax", "_log_softmax", "softmax", "log_softmax", "sort", "topk", "kthvalue", local=own_position)
def _along_one(call: Call, need: Need) -> Pulled:
    value = first(call)
    dim = call["dim"] % len(value.shape)
    yield value, replaced(need.box, dim, along(value.shape, dim))


@rule("cumsum", "cumprod", "cummax", "cummin", "logcumsumexp", local=own_position)
def _up_to(call: Call, need: Need) -> Pulled:
    value = first(call)
    dim = call["dim"] % len(value.shape)
    inside = need.box[dim].within(value.shape[dim])
    yield value, replaced(need.box, dim, Indices.span(0, inside.last + 1))


@rule("glu")
def _glu(call: Call, need: Need) -> Pulled:
    value = call["self"]
    dim = call["dim"] % len(value.shape)
    for half in (0, value.shape[dim] // 2):
        yield value, replaced(need.box, dim, need.box[dim].moved(half))


@rule(
    "native_batch_norm", "_native_batch_norm_legit", "_batch_norm_with_update", "cudnn_batch_norm",
    "_native_batch_norm_legit_no_training", "_batch_norm_no_update", "_native_batch_norm_legit_functional",
    local=own_position,
)  # fmt: skip
def _batch_norm(call: Call, need: Need) -> Pulled:
    value = call["input"]
    training = call.arguments.get(
        "training", call.arguments.get("train", "update" in call.name and "no" not in call.name)
    )
    if training or need.number:
        channels = need.box[0] if need.number else need.box[1]
        yield value, replaced(whole(value.shape), 1, channels)
    else:
        yield value, need.box
    yield from besides(call, "input")


@rule("native_layer_norm", "_fused_rms_norm", local=own_position)
def _layer_norm(call: Call, need: Need) -> Pulled:
    value = call["input"]
    lead = len(value.shape) - len(call["normalized_shape"])
    yield value, (*need.box[:lead], *whole(value.shape[lead:]))
    yield from besides(call, "input")


@rule("native_group_norm", local=own_position)
def _group_norm(call: Call, need: Need) -> Pulled:
    value = call["input"]
    wide = value.shape[1] // call["group"]
    groups = need.box[1] if need.number else Indices.of({channel // wide for channel in need.box[1]})
    channels = groups.scaled(wide).plus(Indices.span(0, wide))
    yield value, (need.box[0], channels, *whole(value.shape[2:]))
    yield from besides(call, "input")


@rule("linear", local=nothing)
def _linear(call: Call, need: Need) -> Pulled:
    """``[…, c] · [c', c]ᵀ + [c']``."""
    weight, bias = call["weight"], call.arguments.get("bias")
    yield call["input"], (*need.box[:-1], along(weight.shape, 1))
    yield weight, (need.box[-1], along(weight.shape, 1))
    if bias is not None:
        yield bias, need.box[-1:]


def _two_matrices(call: Call) -> bool:
    return min(len(call["input"].shape), len(call["other"].shape)) > 1


@rule("matmul", local=nothing, exact_if=_two_matrices)
def _matmul(call: Call, need: Need) -> Pulled:
    """``[…, i, k] · […, k, j]``, either spread over the other's leading dimensions."""
    left, right, shape = call["input"], call["other"], call.outputs[0].shape
    *_, rows, columns = need.box
    lead = len(shape) - 2
    for value, last in ((left, (rows, along(left.shape, -1))), (right, (along(right.shape, -2), columns))):
        yield value, (*broadcast(need.box[:lead], shape[:lead], value.shape[:-2]), *last)


@rule("mm", "bmm", "addmm", "baddbmm", "addbmm", "_addmm_activation", local=nothing)
def _product(call: Call, need: Need) -> Pulled:
    """``[…, i, k] · […, k, j]``."""
    *added, left, right = [value for value in call.arguments.values() if value in call.tensors]
    *batch, rows, columns = need.box
    if left.tracked:
        yield left, (*batch, rows, along(left.shape, -1))
    if right.tracked:
        yield right, (*batch, along(right.shape, -2), columns)
    for value in added:
        yield value, broadcast(need.box, call.outputs[0].shape, value.shape)


@rule("mv", "addmv", local=nothing)
def _product_with_vector(call: Call, need: Need) -> Pulled:
    *added, left, right = [value for value in call.arguments.values() if value in call.tensors]
    yield left, (need.box[0], along(left.shape, 1))
    yield right, whole(right.shape)
    for value in added:
        yield value, need.box


@rule("dot", "vdot", local=nothing)
def _dot(call: Call, need: Need) -> Pulled:  # noqa: ARG001
    for value in call.tensors:
        yield value, whole(value.shape)


@rule(
    "_scaled_dot_product_flash_attention_for_cpu", "_scaled_dot_product_flash_attention",
    "_scaled_dot_product_efficient_attention", "_scaled_dot_product_cudnn_attention", local=own_position,
)  # fmt: skip
def _attention(call: Call, need: Need) -> Pulled:
    """``[b, heads, i, c]``: its query, every key, and its channels of every value; when causal none that is later."""
    query, key, value = call["query"], call["key"], call["value"]
    batch, heads, places, *channels = need.box
    times = along(key.shape, 2)
    if call["is_causal"]:
        times = Indices.span(0, places.within(query.shape[2]).last + 1)
    if len(channels) and not need.number:
        yield query, (batch, heads, places, along(query.shape, 3))
        yield value, (batch, heads, times, channels[0])
    yield key, (batch, heads, times, along(key.shape, 3))
    yield from besides(call, "query", "key", "value")
