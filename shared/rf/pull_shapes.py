"""Rules of what only moves numbers about: views, cuts and joins, flips and shuffles, look-ups, writes into views."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise, product

from shared.rf.boxes import ZERO, Box, Indices, merged, replaced, split, whole
from shared.rf.rules import RULES, Need, Pulled, along, broadcast, first, nothing, own_position, rule
from shared.rf.trace import Call, Value, contents


def regrouped(box: Box, shape: tuple[int, ...], other: tuple[int, ...]) -> Iterator[Box]:
    """A box of a tensor as boxes of the same numbers in another shape.

    Only dimensions that are really joined or taken apart are looked into.

    >>> [box] = regrouped((Indices.of([7]),), (12,), (1, 3, 4))
    >>> box
    (Indices.of([0]), Indices.of([1]), Indices.of([3]))
    """
    if shape == other:
        yield box
        return
    parts: list[list[tuple[tuple[int, ...], Box]]] = []
    for mine, theirs in _groups(shape, other):
        mine, theirs = [at for at in mine if shape[at] != 1], tuple(at for at in theirs if other[at] != 1)
        lengths = tuple(other[at] for at in theirs)
        if len(mine) == 1 and len(theirs) == 1:
            parts.append([(theirs, (box[mine[0]],))])
        elif mine:
            own = tuple(shape[at] for at in mine)
            inside = (box[mine[0]], *(box[at].within(shape[at]) for at in mine[1:]))
            if inside == whole(own):
                parts.append([(theirs, whole(lengths))])
            elif all(inside):
                parts.append([(theirs, each) for each in split(merged(inside, own), lengths)])
            else:
                return
    for choice in product(*parts):
        result = [ZERO] * len(other)
        for dims, indices in choice:
            for dim, each in zip(dims, indices, strict=True):
                result[dim] = each
        yield tuple(result)


def _groups(shape: Sequence[int], other: Sequence[int]) -> Iterator[tuple[range, range]]:
    """The shortest runs of dimensions of either shape that hold equally many numbers."""
    i = j = 0
    while i < len(shape) and j < len(other):
        end, stop, mine, theirs = i + 1, j + 1, shape[i], other[j]
        while mine != theirs:
            if mine < theirs:
                mine, end = mine * shape[end], end + 1
            else:
                theirs, stop = theirs * other[stop], stop + 1
        yield range(i, end), range(j, stop)
        i, j = end, stop


@rule("view", "_unsafe_view", "reshape", "_reshape_alias", "unsqueeze", "squeeze")
def _view(call: Call, need: Need) -> Pulled:
    for box in regrouped(need.box, call.outputs[0].shape, call["self"].shape):
        yield call["self"], box


def _same_layout(call: Call) -> bool:
    value, result = call["self"], call.outputs[0]
    ours, theirs = (
        [pair for pair in zip(each.shape, each.strides, strict=True) if pair[0] != 1] for each in (value, result)
    )
    return ours == theirs and not call["storage_offset"]


@rule("as_strided", exact_if=_same_layout)
def _restride(call: Call, need: Need) -> Pulled:
    """Only lengths of 1 have come, gone, or got another stride."""
    return _view(call, need)


@rule("permute", "transpose", "t")
def _permute(call: Call, need: Need) -> Pulled:
    order = _order(call)
    yield call["self"], tuple(need.box[order.index(dim)] for dim in range(len(order)))


@rule("expand")
def _expand(call: Call, need: Need) -> Pulled:
    yield call["self"], broadcast(need.box, call.outputs[0].shape, call["self"].shape)


@rule("repeat")
def _repeat(call: Call, need: Need) -> Pulled:
    shape = call["self"].shape
    tail = need.box[len(need.box) - len(shape) :]
    yield (
        call["self"],
        tuple(Indices.of({at % length for at in each}) for each, length in zip(tail, shape, strict=True)),
    )


@rule("slice")
def _slice(call: Call, need: Need) -> Pulled:
    dim, start, step = _cut(call, 0)
    yield call["self"], replaced(need.box, dim, need.box[dim].scaled(step).moved(start))


@rule("split", "split_with_sizes", "unsafe_split", "unsafe_split_with_sizes")
def _split(call: Call, need: Need) -> Pulled:
    dim, start, _ = _cut(call, need.number)
    yield call["self"], replaced(need.box, dim, need.box[dim].moved(start))


@rule("select", "unbind")
def _select(call: Call, need: Need) -> Pulled:
    dim, start, _ = _cut(call, need.number)
    yield call["self"], (*need.box[:dim], Indices.span(start, start + 1), *need.box[dim:])


@rule("cat")
def _cat(call: Call, need: Need) -> Pulled:
    values = [value for value in call["tensors"] if value.shape != (0,)]
    dim = _positive(call["dim"], len(need.box))
    starts = [0, *accumulate(value.shape[dim] for value in values)]
    for value, (start, stop) in zip(values, pairwise(starts), strict=True):
        share = need.box[dim] & Indices.span(start, stop)
        if share and value.tracked:
            yield value, replaced(need.box, dim, share.moved(-start))


@rule("stack")
def _stack(call: Call, need: Need) -> Pulled:
    dim = _positive(call["dim"], len(need.box))
    for at in need.box[dim].within(len(call["tensors"])):
        yield call["tensors"][at], (*need.box[:dim], *need.box[dim + 1 :])


@rule("flip")
def _flip(call: Call, need: Need) -> Pulled:
    shape, box = call["self"].shape, need.box
    for dim in call["dims"]:
        box = replaced(box, dim % len(shape), box[dim].mirrored().moved(shape[dim] - 1))
    yield call["self"], box


@rule("roll")
def _roll(call: Call, need: Need) -> Pulled:
    shape = call["self"].shape
    if not call["dims"]:
        numbers = Indices.of((at - call["shifts"][0]) % _numel(shape) for at in merged(need.box, shape))
        for box in split(numbers, shape):
            yield call["self"], box
        return
    box = need.box
    for shift, dim in zip(call["shifts"], call["dims"], strict=True):
        turned = Indices.of({(at - shift) % shape[dim] for at in box[dim]})
        box = replaced(box, dim % len(shape), turned)
    yield call["self"], box


@rule("unfold")
def _sliding(call: Call, need: Need) -> Pulled:
    *rest, taps = need.box
    dim = _positive(call["dimension"], len(rest))
    yield call["self"], replaced(tuple(rest), dim, rest[dim].scaled(call["step"]).plus(taps))


@rule("pixel_shuffle", "pixel_unshuffle", "channel_shuffle", "native_channel_shuffle")
def _shuffle(call: Call, need: Need) -> Pulled:
    """Each is a view in more dimensions, an exchange of those, and a view back."""
    value, result = call["self"], call.outputs[0].shape
    if call.name.endswith("channel_shuffle"):
        batch, channels, *axes = value.shape
        inner, order = (batch, call["groups"], channels // call["groups"], *axes), [0, 2, 1, *range(3, 3 + len(axes))]
    elif call.name == "pixel_shuffle":
        factor, (*lead, channels, h, w) = call["upscale_factor"], value.shape
        inner, n = (*lead, channels // factor**2, factor, factor, h, w), len(lead)
        order = [*range(n), n, n + 3, n + 1, n + 4, n + 2]
    else:
        factor, (*lead, channels, h, w) = call["downscale_factor"], value.shape
        inner, n = (*lead, channels, h // factor, factor, w // factor, factor), len(lead)
        order = [*range(n), n, n + 2, n + 4, n + 1, n + 3]
    exchanged = tuple(inner[dim] for dim in order)
    for box in regrouped(need.box, result, exchanged):
        turned = tuple(box[order.index(dim)] for dim in range(len(order)))
        for each in regrouped(turned, inner, value.shape):
            yield value, each


@rule("index_select")
def _index_select(call: Call, need: Need) -> Pulled:
    dim, table = _positive(call["dim"], len(need.box)), contents(call["index"])
    length = call["self"].shape[dim]
    chosen = along(call["self"].shape, dim)
    if table is not None:
        places = table.tolist()
        chosen = Indices.of({places[at] % length for at in need.box[dim].within(len(places))})
    yield call["self"], replaced(need.box, dim, chosen)
    if call["index"].tracked:
        yield call["index"], (need.box[dim],)


@rule("index", local=nothing, exact_if=lambda call: sum(table is not None for table in call["indices"]) == 1)
def _index(call: Call, need: Need) -> Pulled:
    """By one table, of any rank."""
    value = call["self"]
    ((dim, table),) = ((dim, table) for dim, table in enumerate(call["indices"]) if table is not None)
    rank = len(table.shape)
    inner, places = need.box[dim : dim + rank], contents(table)
    chosen = along(value.shape, dim)
    if places is not None:
        inside = tuple(each.within(length) for each, length in zip(inner, table.shape, strict=True))
        flat = places.flatten().tolist()
        chosen = Indices.of({flat[at] % value.shape[dim] for at in merged(inside, table.shape)})
    yield value, (*need.box[:dim], chosen, *need.box[dim + rank :])
    yield table, inner


@rule("gather", local=nothing)
def _gather(call: Call, need: Need) -> Pulled:
    dim = _positive(call["dim"], len(need.box))
    yield call["self"], replaced(need.box, dim, along(call["self"].shape, dim))
    yield call["index"], need.box


@rule("embedding")
def _embedding(call: Call, need: Need) -> Pulled:
    yield call["indices"], need.box[:-1]
    yield call["weight"], (along(call["weight"].shape, 0), need.box[-1])


def _followed(call: Call) -> bool:
    return RULES.get(call["view"].call.name) in (_view, own_position, _permute, _slice, _split, _select)


@rule("write through a view", exact_if=_followed)
def _write(call: Call, need: Need) -> Pulled:
    """What was written where the view lies, what was there before elsewhere."""
    base, source, view = call["base"], call["source"], call["view"].call
    if RULES.get(view.name) in (_view, own_position):
        for box in regrouped(need.box, base.shape, source.shape):
            yield source, box
    elif RULES.get(view.name) is _permute:
        yield source, tuple(need.box[dim] for dim in _order(view))
    else:
        dim, start, step = _cut(view, call["view"].number)
        removed = RULES[view.name] is _select
        length = 1 if removed else source.shape[dim]
        own = need.box[dim].moved(-start).divided(step).within(length)
        if own:
            yield source, (*need.box[:dim], *(() if removed else (own,)), *need.box[dim + 1 :])
        rest = need.box[dim] - Indices.span(0, length).scaled(step).moved(start)
        if rest:
            yield base, replaced(need.box, dim, rest)


def _order(call: Call) -> list[int]:
    """Which dimension of the argument each one of the result is."""
    rank = len(call["self"].shape)
    if call.name == "permute":
        return [dim % rank for dim in call["dims"]]
    order = list(range(rank))
    a, b = (call["dim0"], call["dim1"]) if call.name == "transpose" else (0, -1)
    if rank:
        order[a], order[b] = order[b], order[a]
    return order


def _cut(call: Call, number: int) -> tuple[int, int, int]:
    """Along which dimension a cut runs, where it begins, and its step."""
    value: Value = first(call)
    dim = _positive(call["dim"], len(value.shape))
    length = value.shape[dim]
    if call.name == "slice":
        start = call["start"] or 0
        return dim, min(max(start + length if start < 0 else start, 0), length), call["step"]
    if call.name == "select":
        return dim, call["index"] % length, 1
    if call.name == "unbind":
        return dim, number, 1
    sizes = call.arguments.get("split_sizes") or call.arguments.get("split_size")
    return dim, number * sizes if isinstance(sizes, int) else sum(sizes[:number]), 1


def _positive(dim: int, rank: int) -> int:
    return dim % rank if rank else 0


def _numel(shape: tuple[int, ...]) -> int:
    total = 1
    for length in shape:
        total *= length
    return total
