"""Vector instructions for compiled kernels: one operation on many rows, where LLVM's vectoriser finds none.

Every function here is one step of ``palate.score.quick``, called from compiled code only. They are written in LLVM's
own vectors, so that the machine's instructions follow from its processor: AVX-512, AVX2, SSE2 and NEON give the same
bits. Rows are bits: a *word* is 64 rows, and ``lanes``, a tuple whose length is known when the kernel is compiled,
says how many words stand side by side: a *group*. The first row is the lowest bit, on the little-endian machines that
numba compiles for.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter, Signature
from typing import Any

import numba.core.cgutils as _cgutils
import numba.core.types as _types
import numba.extending as _extending

_c: Any = _cgutils
_t: Any = _types
_ir: Any = _c.ir
_PLACE = _t.uint64  # places are unsigned: compiled code then needs no test for counting from the end
_I8, _I16, _I64 = _ir.IntType(8), _ir.IntType(16), _ir.IntType(64)
_FLOAT = _ir.FloatType()
UNROLL = 4
"""How many members of a union are read in one turn: lists of them have a multiple of it."""


class _Code:
    """LLVM instructions of one function, over arrays that are its arguments."""

    def __init__(self, context: Any, builder: Any, types: Any, values: Any) -> None:
        self.b = builder
        self.zero = context.get_dummy_value()
        self.v = [
            context.make_array(kind)(context, builder, value).data if isinstance(kind, _t.Array) else value
            for kind, value in zip(types, values, strict=True)
        ]

    def at(self, place: Any, scale: int = 1, plus: int = 0) -> Any:
        """place · scale + plus"""
        place = self.b.mul(place, _ir.Constant(_I64, scale)) if scale > 1 else place
        return self.b.add(place, _ir.Constant(_I64, plus)) if plus else place

    def element(self, array: Any, place: Any) -> Any:
        """The element at ``place``; whole numbers as 64 bits."""
        found = self.b.load(self.b.gep(array, [place]))
        return self.b.zext(found, _I64) if isinstance(found.type, _ir.IntType) and found.type.width < 64 else found

    def load(self, array: Any, place: Any, element: Any, count: int) -> Any:
        """``count`` elements from ``place`` on."""
        vector = _ir.VectorType(element, count)
        where = self.b.bitcast(self.b.gep(array, [place]), vector.as_pointer())
        return self.b.load(where, align=1)

    def store(self, vector: Any, array: Any, place: Any) -> None:
        where = self.b.bitcast(self.b.gep(array, [place]), vector.type.as_pointer())
        self.b.store(vector, where, align=1)

    def same(self, value: Any, count: int) -> Any:
        """A vector of ``count`` times ``value``."""
        vector = _ir.VectorType(value.type, count)
        one = self.b.insert_element(_ir.Constant(vector, _ir.Undefined), value, _ir.Constant(_ir.IntType(32), 0))
        places = _ir.Constant(_ir.VectorType(_ir.IntType(32), count), [0] * count)
        return self.b.shuffle_vector(one, _ir.Constant(vector, _ir.Undefined), places)

    def each(self, first: Any, last: Any, step: int = 1) -> Any:
        """``for … in range(first, last, step)``, as a context manager that gives the place and a count."""
        return _c.for_range_slice(self.b, first, last, _ir.Constant(_I64, step))

    def whole(self, number: int) -> Any:
        return _ir.Constant(_I64, number)

    def fold(self, vector: Any, pick: str) -> Any:
        """The least (``<``) or the greatest (``>``) of a vector of numbers, none of them NaN."""
        width = int(vector.type.count)
        while width > 1:
            width //= 2
            halves = [
                self.b.shuffle_vector(
                    vector, vector, _ir.Constant(_ir.VectorType(_ir.IntType(32), width), list(range(low, low + width)))
                )
                for low in (0, width)
            ]
            vector = self.b.select(self.b.fcmp_ordered(pick, *halves), *halves)
        return self.b.extract_element(vector, _ir.Constant(_ir.IntType(32), 0))


def _step(*kinds: Any) -> Callable[[Callable[[_Code, int], None]], Any]:
    """A function of compiled code: arguments of ``kinds`` (None: an array), the last argument being the lanes."""

    def make(emit: Callable[[_Code, int], None]) -> Any:
        def typed(_: Any, *given: Any) -> Any:
            def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
                code = _Code(context, builder, signature.args, values)
                emit(code, len(given[-1]))
                return code.zero

            return _t.void(*(due or found for due, found in zip((*kinds, None), given, strict=True))), generate

        names = ["typing", *(f"argument_{place}" for place in range(len(kinds))), "lanes"]
        stated: Any = typed  # numba reads how many arguments there are
        stated.__signature__ = Signature([Parameter(name, Parameter.POSITIONAL_ONLY) for name in names])
        stated.__name__, stated.__doc__ = emit.__name__, emit.__doc__
        return _extending.intrinsic(stated)

    return make


@_step(None, _PLACE, _PLACE, _t.uint64)
def fill(c: _Code, lanes: int) -> None:
    """fill(bits, first, last, word, lanes): every word of the groups from ``first`` to ``last`` is ``word``."""
    bits, first, last, word = c.v[:4]
    with c.each(first, last) as (group, _):
        c.store(c.same(word, lanes), bits, c.at(group, lanes))


@_step(None, _PLACE, _t.float32, _t.float32, None, None)
def settle(c: _Code, lanes: int) -> None:
    """settle(raw, sixteens, zero, missing, column, ends, lanes): ``column`` is ``raw`` with ``missing`` in the place
    of NaN and of what is at most ``zero`` from 0; ``ends`` becomes its least and its greatest value, NaN aside, and
    whether any was missing (1 or 0)."""
    raw, sixteens, zero, missing, column, ends = c.v[:6]
    least = _c.alloca_once_value(c.b, c.same(_ir.Constant(_FLOAT, float("inf")), 16))
    most = _c.alloca_once_value(c.b, c.same(_ir.Constant(_FLOAT, float("-inf")), 16))
    every = _c.alloca_once_value(c.b, _ir.Constant(_I16, -1))
    with c.each(c.whole(0), sixteens) as (place, _):
        seen = c.load(raw, c.at(place, 16), _FLOAT, 16)
        above = c.b.fcmp_ordered(">", seen, c.same(zero, 16))
        known = c.b.or_(above, c.b.fcmp_ordered("<", seen, c.same(c.b.fneg(zero), 16)))
        seen = c.b.select(known, seen, c.same(missing, 16))
        c.store(seen, column, c.at(place, 16))
        c.b.store(c.b.and_(c.b.load(every), c.b.bitcast(known, _I16)), every)
        for end, pick in ((least, "<"), (most, ">")):
            before = c.b.load(end)
            c.b.store(c.b.select(c.b.fcmp_ordered(pick, seen, before), seen, before), end)
    some = c.b.icmp_unsigned("!=", c.b.load(every), _ir.Constant(_I16, -1))
    found = (c.fold(c.b.load(least), "<"), c.fold(c.b.load(most), ">"), c.b.uitofp(some, _FLOAT))
    for place, value in enumerate(found):
        c.b.store(value, c.b.gep(ends, [c.whole(place)]))


@_step(None, _PLACE, None, _PLACE, _PLACE, None)
def compare(c: _Code, lanes: int) -> None:
    """compare(column, words, limit, first, last, answers, lanes): group t of ``answers`` says which rows have
    ``column <= limit[t]``, for t from ``first`` to ``last`` and the first ``words`` words."""
    column, words, limit, first, last, answers = c.v[:6]
    sixteens = c.b.bitcast(answers, _I16.as_pointer())
    with c.each(c.whole(0), words) as (word, _):
        seen = [c.load(column, c.at(word, 64, 16 * part), _FLOAT, 16) for part in range(4)]
        with c.each(first, last) as (test, _):
            most = c.same(c.element(limit, test), 16)
            place = c.at(c.b.add(c.at(test, lanes), word), 4)
            for part in range(4):
                holds = c.b.fcmp_ordered("<=", seen[part], most)
                c.b.store(c.b.bitcast(holds, _I16), c.b.gep(sixteens, [c.at(place, 1, part)]), align=2)


@_step(None, None, _PLACE, _PLACE, None, _PLACE)
def include(c: _Code, lanes: int) -> None:
    """include(answers, tests, first, last, bits, group, lanes): what ``group`` of ``bits`` says joins the answers of
    ``tests[first:last]``."""
    answers, tests, first, last, bits, group = c.v[:6]
    more = c.load(bits, c.at(group, lanes), _I64, lanes)
    with c.each(first, last) as (place, _):
        at = c.at(c.element(tests, place), lanes)
        c.store(c.b.or_(c.load(answers, at, _I64, lanes), more), answers, at)


@_step(None, None, None, _PLACE, _PLACE, _PLACE, None)
def descend(c: _Code, lanes: int) -> None:
    """descend(reach, slot, test, first, last, trees, answers, lanes): from nodes ``first`` to ``last``, an even number,
    on to their children. Group ``slot`` of ``reach`` says which rows come to a node; those of the n-th node's children
    are groups ``trees + 2n`` and ``trees + 2n + 1``."""
    reach, slot, test, first, last, trees, answers = c.v[:7]
    with c.each(first, last, 2) as (node, _):
        child = c.at(c.b.add(c.at(c.b.sub(node, first), 2), trees), lanes)
        for half in range(2):
            here = c.load(reach, c.at(c.element(slot, c.at(node, 1, half)), lanes), _I64, lanes)
            answer = c.load(answers, c.at(c.element(test, c.at(node, 1, half)), lanes), _I64, lanes)
            left = c.b.and_(here, answer)
            c.store(left, reach, c.at(child, 1, 2 * half * lanes))
            c.store(c.b.xor(here, left), reach, c.at(child, 1, (2 * half + 1) * lanes))


@_step(None, None, _PLACE, _PLACE, None, _PLACE)
def union(c: _Code, lanes: int) -> None:
    """union(bits, members, first, last, out, group, lanes): ``group`` of ``out`` is what any of the groups
    ``members[first:last]`` says, a multiple of ``UNROLL``."""
    bits, members, first, last, out, group = c.v[:6]
    found = _c.alloca_once_value(c.b, c.same(_ir.Constant(_I64, 0), lanes))
    with c.each(first, last, UNROLL) as (place, _):
        together = c.b.load(found)
        for turn in range(UNROLL):
            at = c.at(c.element(members, c.at(place, 1, turn)), lanes)
            together = c.b.or_(together, c.load(bits, at, _I64, lanes))
        c.b.store(together, found)
    c.store(c.b.load(found), out, c.at(group, lanes))


@_step(None, _PLACE, _PLACE, None, _PLACE)
def number(c: _Code, lanes: int) -> None:
    """number(planes, count, words, out, row, lanes): the byte of ``out`` of each row, from ``row`` on, has as its bit k
    what group k of ``planes`` says of the row, k < ``count`` <= 8, for the first ``words`` words."""
    planes, count, words, out, row = c.v[:5]
    none = c.same(_ir.Constant(_I8, 0), 64)
    with c.each(c.whole(0), words) as (word, _):
        found = _c.alloca_once(c.b, none.type)
        c.b.store(none, found)
        with c.each(c.whole(0), count) as (plane, _):
            bits = c.element(planes, c.b.add(c.at(plane, lanes), word))
            rows = c.b.bitcast(bits, _ir.VectorType(_ir.IntType(1), 64))
            value = c.same(c.b.shl(_ir.Constant(_I8, 1), c.b.trunc(plane, _I8)), 64)
            c.b.store(c.b.or_(c.b.load(found), c.b.select(rows, value, none)), found)
        c.store(c.b.load(found), out, c.b.add(row, c.at(word, 64)))
