"""The inner loops of the compiled sampler: one sample of a few streams, in machine code made by numba.

The one trick is ``_tile``: a matrix-vector product that keeps 64 output columns of up to 4 streams in vector
registers (128 of one) while it walks down the weight rows, so that each weight is read once. It is written as LLVM
vectors of 16 floats, which LLVM lowers to whatever the processor has (AVX-512, AVX2, NEON). All widths are multiples
of 16.

Weights are float32, or bfloat16 in pairs: two rows share each 32-bit word, the even row in its lower half. Widening
one is a shift, the other a mask, so half the bytes are read and the sums stay float32.
"""

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 16
I32, I64 = ir.IntType(32), ir.IntType(64)
VECTOR, WORDS = ir.VectorType(ir.FloatType(), LANES), ir.VectorType(I32, LANES)
FUSED = ("contract",)  # let a product and a sum become one instruction


def _tile(streams: int, vectors: int):
    """``y[s, :n] = bias[:n] + Σ_k x[s, k] · w[k, :n]`` for ``streams`` rows and ``n = 16·vectors``, as an intrinsic.

    Arrays are flat and come with offsets: ``(y, y0, ldy, x, x0, ldx, w, row0, ldw, column, bias, b0, rows)``, where
    ``ld`` is the distance from row to row. ``rows`` is even: they are taken two at a time.
    """

    def generate(context, builder, signature, arguments):
        y0, ldy, x0, ldx, row0, ldw, column, b0, rows = (arguments[at] for at in (1, 2, 4, 5, 7, 8, 9, 11, 12))
        y, x, w, bias = (
            context.make_array(signature.args[at])(context, builder, arguments[at]).data for at in (0, 3, 6, 10)
        )
        paired = signature.args[6].dtype == types.uint32

        def place(offset, row, distance, column):
            first = builder.add(offset, builder.mul(row, distance))
            return builder.add(first, ir.Constant(I64, column * LANES))

        def vector_at(array, index):
            return builder.bitcast(builder.gep(array, [index]), VECTOR.as_pointer())

        def number(value):
            return ir.Constant(I64, value)

        def spread(value):
            lane = builder.insert_element(ir.Constant(VECTOR, ir.Undefined), value, ir.Constant(I32, 0))
            zeros = ir.Constant(ir.VectorType(I32, LANES), [0] * LANES)
            return builder.shuffle_vector(lane, lane, zeros)

        sums = {(s, v): cgutils.alloca_once(builder, VECTOR) for s in range(streams) for v in range(vectors)}
        for (_, v), total in sums.items():
            start = vector_at(bias, place(b0, number(0), number(0), v))
            builder.store(builder.load(start, align=4), total)

        def weights_of(row, half):
            if not paired:
                row = builder.add(row, number(half))
                return [builder.load(vector_at(w, place(column, row, ldw, v)), align=4) for v in range(vectors)]
            pair = builder.lshr(row, number(1))
            spots = [builder.gep(w, [place(column, pair, ldw, v)]) for v in range(vectors)]
            words = [builder.load(builder.bitcast(spot, WORDS.as_pointer()), align=4) for spot in spots]
            if half:
                high = ir.Constant(WORDS, [0xFFFF0000] * LANES)
                return [builder.bitcast(builder.and_(word, high), VECTOR) for word in words]
            sixteen = ir.Constant(WORDS, [16] * LANES)
            return [builder.bitcast(builder.shl(word, sixteen), VECTOR) for word in words]

        with cgutils.for_range_slice(builder, number(0), rows, number(2), intp=I64) as (even, _):
            for half in range(2):
                k = builder.add(even, number(half))
                weights = weights_of(builder.add(row0, even), half)
                for s in range(streams):
                    input = builder.load(builder.gep(x, [builder.add(place(x0, number(s), ldx, 0), k)]))
                    for v in range(vectors):
                        total = sums[s, v]
                        product = builder.fmul(spread(input), weights[v], flags=FUSED)
                        builder.store(builder.fadd(product, builder.load(total), flags=FUSED), total)

        for (s, v), total in sums.items():
            builder.store(builder.load(total), vector_at(y, place(y0, number(s), ldy, v)), align=4)
        return context.get_dummy_value()

    @intrinsic
    def tile(_, y, y0, ldy, x, x0, ldx, w, row0, ldw, column, bias, b0, rows):
        return types.void(y, y0, ldy, x, x0, ldx, w, row0, ldw, column, bias, b0, rows), generate

    return tile


_one_widest, _one_wide, _one_narrow = _tile(1, 8), _tile(1, 4), _tile(1, 1)
_four_wide, _four_narrow = _tile(4, 4), _tile(4, 1)

compiled = numba.njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract", "nsz", "arcp", "reassoc"})


@compiled
def affine(y, y0, ldy, x, x0, ldx, w, row0, columns, bias, b0, rows, streams):
    """``y [streams, columns] = x [streams, rows] · w[row0:row0 + rows, columns] + bias``, on flat arrays.

    Each sum runs down the rows in order, whatever the tile, so a stream does not depend on its company.
    """
    s = 0
    while s < streams:
        ys, xs = y0 + s * ldy, x0 + s * ldx
        n = 0
        if streams - s >= 4:
            while columns - n >= 64:
                _four_wide(y, ys + n, ldy, x, xs, ldx, w, row0, columns, n, bias, b0 + n, rows)
                n += 64
            while n < columns:
                _four_narrow(y, ys + n, ldy, x, xs, ldx, w, row0, columns, n, bias, b0 + n, rows)
                n += 16
            s += 4
        else:
            while columns - n >= 128:
                _one_widest(y, ys + n, ldy, x, xs, ldx, w, row0, columns, n, bias, b0 + n, rows)
                n += 128
            while columns - n >= 64:
                _one_wide(y, ys + n, ldy, x, xs, ldx, w, row0, columns, n, bias, b0 + n, rows)
                n += 64
            while n < columns:
                _one_narrow(y, ys + n, ldy, x, xs, ldx, w, row0, columns, n, bias, b0 + n, rows)
                n += 16
            s += 1


@compiled
def gate(z, z0, half, out, out0):
    """``out = tanh(z[:half]) · σ(z[half:])``, with σ(v) = (1 + tanh(v/2)) / 2."""
    for i in range(half):
        a = min(max(z[z0 + i], np.float32(-9)), np.float32(9))
        b = min(max(np.float32(0.5) * z[z0 + half + i], np.float32(-9)), np.float32(9))
        out[out0 + i] = _tanh(a) * (np.float32(0.5) + np.float32(0.5) * _tanh(b))


@compiled
def _tanh(v):
    # A rational minimax fit on [-9, 9], odd over even; within 3 units in the last place of float32.
    q = v * v
    top = np.float32(-2.76076847742355e-16)
    top = top * q + np.float32(2.00018790482477e-13)
    top = top * q + np.float32(-8.60467152213735e-11)
    top = top * q + np.float32(5.12229709037114e-08)
    top = top * q + np.float32(1.48572235717979e-05)
    top = top * q + np.float32(6.37261928875436e-04)
    top = top * q + np.float32(4.89352455891786e-03)
    low = np.float32(1.19825839466702e-06)
    low = low * q + np.float32(1.18534705686654e-04)
    low = low * q + np.float32(2.26843463243900e-03)
    low = low * q + np.float32(4.89352518554385e-03)
    return v * top / low


@compiled
def draw(
    codes, newest, uniforms, temperature, rings, starts, places, dilations, taps, classes, widths,
    embedding, dilated, dilated_bias, residual, residual_bias, skip, skip_bias,
    hidden, hidden_bias, output, output_bias,
):  # fmt: skip
    """Draw ``codes [streams, n]`` from ``uniforms [streams, n]``; rings, places and newest move on in place."""
    streams, samples = codes.shape
    layers = len(dilations)
    r, h, s, c = widths[0], widths[1], widths[2], widths[3]
    x = np.zeros(streams * r, np.float32)
    seen = np.zeros(streams * taps * r, np.float32)
    z = np.zeros(streams * 2 * h, np.float32)
    gated = np.zeros(streams * layers * h, np.float32)
    a = np.zeros(streams * s, np.float32)
    b = np.zeros(streams * s, np.float32)
    logits = np.zeros(streams * c, np.float32)
    cumulative = np.zeros(classes, np.float64)
    for t in range(samples):
        for i in range(streams):
            for j in range(r):
                x[i * r + j] = embedding[newest[i] * r + j]
        for layer in range(layers):
            history = (taps - 1) * dilations[layer]
            place = places[layer]
            for i in range(streams):
                for tap in range(taps - 1):
                    begin = starts[layer] + (((place + tap * dilations[layer]) % history) * streams + i) * r
                    for j in range(r):
                        seen[(i * taps + tap) * r + j] = rings[begin + j]
                for j in range(r):
                    seen[(i * taps + taps - 1) * r + j] = x[i * r + j]
                if history > 0:
                    begin = starts[layer] + (place * streams + i) * r
                    for j in range(r):
                        rings[begin + j] = x[i * r + j]
            if history > 0:
                places[layer] = (place + 1) % history
            affine(
                z, 0, 2 * h, seen, 0, taps * r, dilated, layer * taps * r, 2 * h,
                dilated_bias, layer * 2 * h, taps * r, streams,
            )  # fmt: skip
            for i in range(streams):
                gate(z, i * 2 * h, h, gated, (i * layers + layer) * h)
            if layer < layers - 1:
                affine(
                    seen, 0, r, gated, layer * h, layers * h, residual, layer * h, r,
                    residual_bias, layer * r, h, streams,
                )  # fmt: skip
                for j in range(streams * r):
                    x[j] += seen[j]
        affine(a, 0, s, gated, 0, layers * h, skip, 0, s, skip_bias, 0, layers * h, streams)
        for j in range(streams * s):
            a[j] = max(a[j], np.float32(0))
        affine(b, 0, s, a, 0, s, hidden, 0, s, hidden_bias, 0, s, streams)
        for j in range(streams * s):
            b[j] = max(b[j], np.float32(0))
        affine(logits, 0, c, b, 0, s, output, 0, c, output_bias, 0, s, streams)
        for i in range(streams):
            newest[i] = _choose(logits[i * c : i * c + classes], uniforms[i, t], temperature, cumulative)
            codes[i, t] = newest[i]


@compiled
def _choose(logits, uniform, temperature, cumulative):
    """Where the cumulative probability passes ``uniform``; the likeliest at temperature 0."""
    best = 0
    for j in range(len(logits)):
        if logits[j] > logits[best]:
            best = j
    if temperature == 0:
        return best
    total = 0.0
    for j in range(len(logits)):
        total += np.exp((np.float64(logits[j]) - np.float64(logits[best])) / temperature)
        cumulative[j] = total
    passed = 0
    for j in range(len(logits)):
        passed += cumulative[j] <= uniform * total
    return min(passed, len(logits) - 1)
