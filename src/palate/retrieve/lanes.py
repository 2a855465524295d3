"""Sixteen rows of one-byte codes against four queries at once: the one place that names vector instructions.

What a compiler makes of a plain loop over int8 takes four times as long. The operation is the same integer arithmetic
everywhere: x86-64 with AVX-512 VNNI has one instruction for it (``vpdpbusd``), AVX2 two (``vpmaddwd`` and an addition),
and any other machine gets it from LLVM's own vectors. Which one is decided when a kernel is compiled, for the machine
that numba compiles for.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import extending, types

ROWS = 16
QUERIES = 4
STEP = 4
"""Components of a row that lie side by side: one instruction multiplies and adds so many."""

LIMIT = 4
"""The place of the limit among the constants of a query, see ``passing``."""

_BYTES = ROWS * STEP
_ir: Any = ir
_types: Any = types
_extending: Any = extending
_I8, _I16, _I32, _I64, _F32 = (
    _ir.IntType(8),
    _ir.IntType(16),
    _ir.IntType(32),
    _ir.IntType(64),
    _ir.FloatType(),
)
_VNNI = "llvm.x86.avx512.vpdpbusd.512"
_PAIRS = "llvm.x86.avx2.pmadd.wd"


def _whole(value: int) -> Any:
    return _ir.Constant(_I64, value)


def _vector(element: Any, length: int) -> Any:
    return _ir.VectorType(element, length)


def _shuffled(builder: Any, one: Any, other: Any, places: list[int]) -> Any:
    return builder.shuffle_vector(one, other, _ir.Constant(_vector(_I32, len(places)), places))


def _taken(builder: Any, value: Any, places: list[int]) -> Any:
    return _shuffled(builder, value, _ir.Constant(value.type, _ir.Undefined), places)


def _splat(builder: Any, value: Any, length: int) -> Any:
    first = builder.insert_element(
        _ir.Constant(_vector(value.type, length), _ir.Undefined), value, _ir.Constant(_I32, 0)
    )
    return _taken(builder, first, [0] * length)


def _loaded(builder: Any, pointer: Any, kind: Any, align: int) -> Any:
    return builder.load(builder.bitcast(pointer, kind.as_pointer()), align=align)


def _instruction(builder: Any, name: str, result: Any, *arguments: Any) -> Any:
    known = builder.module.globals.get(name)
    function = known or _ir.Function(builder.module, _ir.FunctionType(result, [a.type for a in arguments]), name)
    return builder.call(function, arguments)


def _pairs(builder: Any, codes: Any, query: Any, has_pairs: bool) -> Any:
    """(32,) int32: products of (64,) int16 pairs, added two and two."""
    if not has_pairs:
        even, odd = list(range(0, _BYTES, 2)), list(range(1, _BYTES, 2))
        wide = _vector(_I32, _BYTES // 2)
        parts = [
            builder.mul(
                builder.sext(_taken(builder, codes, part), wide), builder.sext(_taken(builder, query, part), wide)
            )
            for part in (even, odd)
        ]
        return builder.add(*parts)
    quarter = [list(range(at, at + 16)) for at in range(0, _BYTES, 16)]
    done = [
        _instruction(builder, _PAIRS, _vector(_I32, 8), _taken(builder, codes, part), _taken(builder, query, part))
        for part in quarter
    ]
    halves = [_shuffled(builder, done[n], done[n + 1], list(range(16))) for n in (0, 2)]
    return _shuffled(builder, halves[0], halves[1], list(range(32)))


def best_way(context: Any) -> str:
    """The best way for the machine that a numba ``context`` compiles for: ``vnni``, ``pairs`` or ``plain``."""
    features = {name[1:] for name in context.codegen().magic_tuple()[2].split(",") if name.startswith("+")}
    if {"avx512f", "avx512vnni"} <= features:
        return "vnni"
    return "pairs" if "avx2" in features else "plain"


def _sums(builder: Any, way: str, codes: Any, queries: Any, steps: Any) -> list[Any]:
    """Four (16,) int32: Σ code · component over all steps, for each query. Ends in a new block of instructions."""
    width = ROWS if way == "vnni" else 2 * ROWS
    lanes = _vector(_I32, width)
    before, loop, after = builder.block, builder.append_basic_block("steps"), builder.append_basic_block("done")
    builder.branch(loop)
    builder.position_at_end(loop)
    step = builder.phi(_I64)
    held = [builder.phi(lanes) for _ in range(QUERIES)]
    row = _loaded(builder, builder.gep(codes, [builder.mul(step, _whole(_BYTES))]), _vector(_I8, _BYTES), 1)
    sums: list[Any] = []
    for q in range(QUERIES):
        at = builder.add(builder.mul(step, _whole(QUERIES)), _whole(q))
        four = _splat(builder, builder.load(builder.gep(queries, [at]), align=4), ROWS)
        if way == "vnni":
            sums.append(_instruction(builder, _VNNI, lanes, held[q], builder.bitcast(row, lanes), four))
            continue
        words = _vector(_I16, _BYTES)
        query = builder.sext(builder.bitcast(four, _vector(_I8, _BYTES)), words)
        sums.append(builder.add(held[q], _pairs(builder, builder.zext(row, words), query, way == "pairs")))
    following = builder.add(step, _whole(1))
    for phi, first, next_one in zip(
        [step, *held], [_whole(0)] + [_ir.Constant(lanes, [0] * width)] * QUERIES, [following, *sums], strict=True
    ):
        phi.add_incoming(first, before)
        phi.add_incoming(next_one, loop)
    builder.cbranch(builder.icmp_signed("<", following, steps), loop, after)
    builder.position_at_end(after)
    if way == "vnni":
        return sums
    even, odd = list(range(0, width, 2)), list(range(1, width, 2))
    return [builder.add(_taken(builder, total, even), _taken(builder, total, odd)) for total in sums]


def _judged(builder: Any, sums: list[Any], scale: Any, rest: Any, constants: Any, before: Any, out: Any) -> Any:
    """int64: the bits of ``passing``; the estimates go to ``out``. Pointers to float32."""
    floats = _vector(_F32, ROWS)
    scales, rests = _loaded(builder, scale, floats, 4), _loaded(builder, rest, floats, 4)
    result = _whole(0)
    for q, total in enumerate(sums):
        correction, factor, by_scale, by_rest, limit = (
            _splat(builder, builder.load(builder.gep(constants, [_whole(5 * q + which)]), align=4), ROWS)
            for which in range(5)
        )
        exact = builder.fsub(builder.sitofp(total, floats), correction)
        earlier = _loaded(builder, builder.gep(before, [_whole(ROWS * q)]), floats, 4)
        estimate = builder.fadd(earlier, builder.fmul(exact, builder.fmul(factor, scales)))
        margin = builder.fadd(builder.fmul(by_scale, scales), builder.fmul(by_rest, rests))
        mask = builder.fcmp_ordered(">=", builder.fadd(estimate, margin), limit)
        bits = builder.zext(builder.bitcast(mask, _I16), _I64)
        result = builder.or_(result, builder.shl(bits, _whole(ROWS * q)))
        place = builder.bitcast(builder.gep(out, [_whole(ROWS * q)]), floats.as_pointer())
        builder.store(estimate, place, align=4)
    return result


def make_passing(way: str | None = None) -> Any:
    """``passing``; ``way`` says how it is to be computed, instead of the best one for the machine (for tests)."""

    def passing(
        _: Any, codes: Any, block: Any, queries: Any, scale: Any, rest: Any, constants: Any, before: Any, out: Any
    ) -> Any:
        kinds = codes, queries, scale, rest, constants, before, out

        def generate(context: Any, builder: Any, __: Any, arguments: Any) -> Any:
            values = arguments[:1] + arguments[2:]
            arrays: list[Any] = [
                context.make_array(kind)(context, builder, value) for kind, value in zip(kinds, values, strict=True)
            ]
            block, steps = arguments[1], builder.extract_value(arrays[0].shape, 1)
            begin = builder.mul(builder.mul(block, steps), _whole(_BYTES))
            row = builder.mul(block, _whole(ROWS))
            bytes_at = builder.gep(builder.bitcast(arrays[0].data, _I8.as_pointer()), [begin])
            sums = _sums(builder, way or best_way(context), bytes_at, arrays[1].data, steps)
            scale_at, rest_at = builder.gep(arrays[2].data, [row]), builder.gep(arrays[3].data, [row])
            return _judged(builder, sums, scale_at, rest_at, *(array.data for array in arrays[4:]))

        return _types.int64(codes, _types.int64, *kinds[1:]), generate

    return _extending.intrinsic(passing)


passing = make_passing()
"""``passing(codes, block, queries, scale, rest, constants, before, out)``: which rows of a block may pass, as bits.

codes: (blocks, steps, 64) uint8, of each step four components of the first row, then of the second, …, each 128 more
than its code; queries: (steps, 4) int32, four int8 components of each query; scale, rest: (16 · blocks,) float32;
constants: (4, 5) float32, of each query correction, factor, by_scale, by_rest, limit; before: (4, 16) float32, what
other components gave. ``out``, of the same shape or the same array, gets the estimates before + (Σ code · component −
correction) · factor · scale; bit 16·q + r says that the estimate of row r for query
q, plus by_scale · scale + by_rest · rest, reaches limit. All arrays contiguous; nothing is checked.
"""


def _lowest(_: Any, bits: Any) -> Any:
    def generate(__: Any, builder: Any, ___: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], _ir.Constant(_ir.IntType(1), 0))

    return _types.int64(_types.int64), generate


lowest_bit: Any = _extending.intrinsic(_lowest)
"""``lowest_bit(bits)``: the place of the lowest bit that is set; 64 where none is."""
