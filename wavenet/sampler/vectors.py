"""Vector code for the compiled sampler: matrix products and elementwise functions, as numba intrinsics.

They are written as LLVM vectors of 16 floats, which LLVM lowers to whatever the processor has (AVX-512, AVX2,
NEON). Arrays are flat and come with offsets; all widths are multiples of 16.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 16
PANELS = (128, 64, 32, 16)  # columns that lie together, widest first
UNROLLED = 4  # rows a turn: a multiple of the rows in a word, a divisor of those in a run
PREFETCH = 2048  # bytes ahead of their use that the weights of one or two streams are asked for

I8, I32, I64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)
VECTOR, WORDS = ir.VectorType(ir.FloatType(), LANES), ir.VectorType(I32, LANES)
FUSED = ("contract",)  # let a product and a sum become one instruction

ROWS_A_WORD = {types.float32: 1, types.uint32: 2, types.int32: 4}
"""How many rows share a 32-bit word, by the array's type: float32, two of bfloat16, four of int8; lowest bits first."""


class Emitter:
    """Writes machine code that reads and writes the arrays among an intrinsic's arguments."""

    def __init__(self, context: Any, builder: Any, signature: Any, arguments: Any):
        self.context, self.builder, self.signature, self.arguments = context, builder, signature, arguments

    def array(self, at: int) -> Any:
        """Pointer to the first element of argument ``at``."""
        return self.context.make_array(self.signature.args[at])(self.context, self.builder, self.arguments[at]).data

    def index(self, first: Any, *steps: tuple[Any, Any]) -> Any:
        """``first`` and products of two numbers, summed."""
        for many, size in steps:
            first = self.builder.add(first, self.builder.mul(self.number(many), self.number(size)))
        return first

    def load(self, array: Any, index: Any, kind: Any = VECTOR) -> Any:
        """16 elements."""
        return self.builder.load(self._spot(array, index, kind), align=4)

    def store(self, value: Any, array: Any, index: Any) -> None:
        """16 elements."""
        self.builder.store(value, self._spot(array, index, VECTOR), align=4)

    def spread(self, array: Any, index: Any) -> Any:
        """One element, in every lane."""
        scalar = self.builder.load(self.builder.gep(array, [index]))
        lane = self.builder.insert_element(ir.Constant(VECTOR, ir.Undefined), scalar, ir.Constant(I32, 0))
        return self.builder.shuffle_vector(lane, lane, ir.Constant(WORDS, [0] * LANES))

    def prefetch(self, array: Any, index: Any) -> None:
        """Ask for a cache line, which need not exist."""
        pointer = I8.as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [pointer, I32, I32, I32])
        function = cgutils.get_or_insert_function(self.builder.module, kind, "llvm.prefetch.p0")
        spot = self.builder.bitcast(self.builder.gep(array, [index]), pointer)
        self.builder.call(function, [spot, I32(0), I32(3), I32(1)])  # to read, to keep near, data

    def nothing(self) -> Any:
        """What a function without a result returns."""
        return self.context.get_dummy_value()

    @staticmethod
    def number(value: Any) -> Any:
        """A whole number; what is one already stays."""
        return ir.Constant(I64, value) if isinstance(value, int) else value

    def _spot(self, array: Any, index: Any, kind: Any) -> Any:
        return self.builder.bitcast(self.builder.gep(array, [index]), kind.as_pointer())


def product(streams: int) -> Callable:
    """``y[s] = start[s] + scale · (x[s] · w)`` for so many streams, as an intrinsic.

    ``(y, y0, ldy, x, x0, ldx, w, w0, start, start0, ldstart, scale, scale0, rows, columns)``, where ``ld`` is the
    distance from stream to stream. From ``w0`` on lie the panels, each ``[rows / rows a word, its width]``; ``scale``
    is read for int8 only.

    Sums stay in registers (AVX-512's; narrower vectors spill some) while a tile of columns walks down the rows. One
    stream needs eight sums at once to keep the multipliers busy, so the rows of narrow panels are summed in several
    runs. More streams sum in the same order, one run after the other where registers are short: a stream never depends
    on its company.
    """

    def generate(context, builder, signature, arguments):
        emit = Emitter(context, builder, signature, arguments)
        columns = arguments[-1]

        def panel(width, column):
            tile = min(width, 16 * LANES // streams)
            for at in range(0, width, tile):
                _tile(emit, streams, width, emit.index(column, (at, 1)), at, tile // LANES)

        widest = PANELS[0]
        whole = builder.and_(columns, emit.number(-widest))
        with cgutils.for_range_slice(builder, emit.number(0), whole, emit.number(widest), intp=I64) as (column, _):
            panel(widest, column)
        for width in PANELS[1:]:
            left = builder.and_(columns, emit.number(width))
            with builder.if_then(builder.icmp_signed("!=", left, emit.number(0))):
                panel(width, builder.and_(columns, emit.number(-2 * width)))
        return emit.nothing()

    @intrinsic
    def function(_, y, y0, ldy, x, x0, ldx, w, w0, start, start0, ldstart, scale, scale0, rows, columns):
        return types.void(y, y0, ldy, x, x0, ldx, w, w0, start, start0, ldstart, scale, scale0, rows, columns), generate

    return function


def _tile(emit: Emitter, streams: int, width: int, column: Any, within: int, vectors: int) -> None:
    """The columns from ``column`` on, ``within`` a panel of ``width``, for all rows."""
    builder = emit.builder
    _, y0, ldy, _, x0, ldx, _, w0, _, start0, ldstart, _, scale0, rows, _ = emit.arguments
    y, x, w, start, scale = (emit.array(at) for at in (0, 3, 6, 8, 11))
    rows_a_word = ROWS_A_WORD[emit.signature.args[6].dtype]
    panel = emit.index(w0, (builder.udiv(rows, emit.number(rows_a_word)), builder.sub(column, emit.number(within))))
    runs = min(4, PANELS[0] // width)
    share = builder.udiv(rows, emit.number(runs))
    spots = list(itertools.product(range(streams), range(vectors)))

    def weights(row, v):
        """Vector ``v`` of the rows in one word."""
        at = emit.index(panel, (builder.udiv(row, emit.number(rows_a_word)), width), (within, 1), (v, LANES))
        if streams <= 2:
            emit.prefetch(w, emit.index(at, (1, PREFETCH // 4)))
        words = emit.load(w, at, VECTOR if rows_a_word == 1 else WORDS)
        return [_widened(builder, words, rows_a_word, part) for part in range(rows_a_word)]

    def walk(chosen, before, ldbefore, before0):
        """Sum some runs at once and add them, in order, to what was there before."""
        sums = {(run, *spot): cgutils.alloca_once(builder, VECTOR) for run in chosen for spot in spots}
        for total in sums.values():
            builder.store(ir.Constant(VECTOR, [0.0] * LANES), total)
        with cgutils.for_range_slice(builder, emit.number(0), share, emit.number(UNROLLED), intp=I64) as (row, _):
            for word, run in itertools.product(range(0, UNROLLED, rows_a_word), chosen):
                begin = emit.index(row, (word, 1), (run, share))
                parts = [weights(begin, v) for v in range(vectors)]
                for part, s in itertools.product(range(rows_a_word), range(streams)):
                    input = emit.spread(x, emit.index(x0, (s, ldx), (1, begin), (part, 1)))
                    for v in range(vectors):
                        term = builder.fmul(input, parts[v][part], flags=FUSED)
                        total = builder.fadd(term, builder.load(sums[run, s, v]), flags=FUSED)
                        builder.store(total, sums[run, s, v])
        for s, v in spots:
            value = emit.load(before, emit.index(before0, (s, ldbefore), (1, column), (v, LANES)))
            for run in chosen:
                total = builder.load(sums[run, s, v])
                if rows_a_word == 4:
                    by = emit.load(scale, emit.index(scale0, (1, column), (v, LANES)))
                    total = builder.fmul(total, by, flags=FUSED)
                value = builder.fadd(value, total, flags=FUSED)
            emit.store(value, y, emit.index(y0, (s, ldy), (1, column), (v, LANES)))

    if len(spots) * runs <= LANES:  # as many sums as leave registers for the rest
        walk(range(runs), start, ldstart, start0)
    else:
        walk([0], start, ldstart, start0)
        for run in range(1, runs):
            walk([run], y, ldy, y0)


def _widened(builder: Any, words: Any, rows_a_word: int, part: int) -> Any:
    """Row ``part`` of those in the words, as floats; int8 comes out times 2²⁴, which its scale takes back."""
    if rows_a_word == 1:
        return words

    def every(value: int) -> Any:
        return ir.Constant(WORDS, [value] * LANES)

    bits = 32 // rows_a_word
    above = 32 - bits * (part + 1)
    words = builder.shl(words, every(above)) if above else words
    words = builder.and_(words, every((1 << 32) - (1 << (32 - bits)))) if part else words
    return builder.bitcast(words, VECTOR) if rows_a_word == 2 else builder.sitofp(words, VECTOR)


class Lanes:
    """16 floats in a register, with arithmetic: formulas on it read like formulas."""

    def __init__(self, builder: Any, value: Any):
        self.builder, self.value = builder, value

    def __add__(self, other: Lanes | float) -> Lanes:
        return self._with(self.builder.fadd, other)

    def __sub__(self, other: Lanes | float) -> Lanes:
        return self._with(self.builder.fsub, other)

    def __mul__(self, other: Lanes | float) -> Lanes:
        return self._with(self.builder.fmul, other)

    def __truediv__(self, other: Lanes | float) -> Lanes:
        return self._with(self.builder.fdiv, other)

    __radd__, __rmul__ = __add__, __mul__

    def clamp(self, low: float, high: float) -> Lanes:
        """Within two bounds; NaN becomes one of them."""
        return self._bounded(">", low)._bounded("<", high)

    def relu(self) -> Lanes:
        """No less than zero."""
        return self._bounded(">", 0.0)

    def power_of_two(self) -> Lanes:
        """2 to the power of whole numbers from -126 to 127, put together from bits."""
        bits = self.builder.fptosi(self.value, WORDS)
        bits = self.builder.add(bits, ir.Constant(WORDS, [127] * LANES))
        bits = self.builder.shl(bits, ir.Constant(WORDS, [23] * LANES))
        return Lanes(self.builder, self.builder.bitcast(bits, VECTOR))

    def whole(self) -> Lanes:
        """Rounded towards zero."""
        return Lanes(self.builder, self.builder.sitofp(self.builder.fptosi(self.value, WORDS), VECTOR))

    def _bounded(self, sign: str, bound: float) -> Lanes:
        keep = self.builder.fcmp_ordered(sign, self.value, self._constant(bound))
        return Lanes(self.builder, self.builder.select(keep, self.value, self._constant(bound)))

    def _with(self, operation: Callable, other: Lanes | float) -> Lanes:
        value = other.value if isinstance(other, Lanes) else self._constant(other)
        return Lanes(self.builder, operation(self.value, value, flags=FUSED))

    @staticmethod
    def _constant(value: float) -> Any:
        return ir.Constant(VECTOR, [value] * LANES)


def tanh(v: Lanes) -> Lanes:
    """A rational minimax fit on [-9, 9], odd over even; within 5 units in the last place of float32."""
    v = v.clamp(-9.0, 9.0)
    q = v * v
    top = polynomial(
        q, -2.76076847742355e-16, 2.00018790482477e-13, -8.60467152213735e-11, 5.12229709037114e-08,
        1.48572235717979e-05, 6.37261928875436e-04, 4.89352455891786e-03,
    )  # fmt: skip
    low = polynomial(q, 1.19825839466702e-06, 1.18534705686654e-04, 2.26843463243900e-03, 4.89352518554385e-03)
    return v * top / low


def sigmoid(v: Lanes) -> Lanes:
    """``(1 + tanh(v / 2)) / 2``."""
    return tanh(v * 0.5) * 0.5 + 0.5


def exp(v: Lanes) -> Lanes:
    """e to the power of ``v <= 0``, as 2ⁿ · e^f with |f| <= ln 2 / 2; within 2 units in the last place of float32."""
    v = v.clamp(-87.0, 0.0)
    n = (v * 1.4426950408889634 - 0.5).whole()
    f = v - n * 0.693359375 + n * 2.12194440e-4  # ln 2 in two parts, the first exact in few bits
    rest = polynomial(f, 1 / 5040, 1 / 720, 1 / 120, 1 / 24, 1 / 6, 0.5)
    return (f * f * rest + f + 1.0) * n.power_of_two()


def polynomial(v: Lanes, highest: float, *coefficients: float) -> Lanes:
    """Horner's scheme."""
    total = v * highest + coefficients[0]
    for coefficient in coefficients[1:]:
        total = total * v + coefficient
    return total


def elementwise(formula: Callable[[Lanes, Lanes], Lanes]) -> Callable:
    """``(y, y0, a, a0, b, b0, n)``: ``y = formula(a, b)`` for ``n`` elements of flat arrays, as an intrinsic."""

    def generate(context, builder, signature, arguments):
        emit = Emitter(context, builder, signature, arguments)
        _, y0, _, a0, _, b0, n = arguments
        y, a, b = (emit.array(at) for at in (0, 2, 4))
        with cgutils.for_range_slice(builder, ir.Constant(I64, 0), n, ir.Constant(I64, LANES), intp=I64) as (i, _):
            first, second = (emit.load(x, builder.add(x0, i)) for x, x0 in ((a, a0), (b, b0)))
            result = formula(Lanes(builder, first), Lanes(builder, second))
            emit.store(result.value, y, builder.add(y0, i))
        return emit.nothing()

    @intrinsic
    def function(_, y, y0, a, a0, b, b0, n):
        return types.void(y, y0, a, a0, b, b0, n), generate

    return function


gate = elementwise(lambda a, b: tanh(a) * sigmoid(b))
add = elementwise(lambda a, b: a + b)
copy = elementwise(lambda a, _: a)
relu = elementwise(lambda a, _: a.relu())
