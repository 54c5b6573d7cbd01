"""Sets as integers: the arithmetic under the planner.

A set of columns is an integer with bit ``c`` set for each member. Union, intersection and difference are
then ``|``, ``&`` and ``x ^ (x & y)`` (``~y`` would make a negative number, which is slower), at about one
nanosecond for 30 members. A *tally* counts members over many sets at once: plane ``i`` of the tally holds
bit ``i`` of every member's count, so adding a set is a carry chain of two or three operations.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from operator import or_
from random import Random

_TRANSPOSE_BYTES = 1 << 25


def members(bits: int) -> list[int]:
    """The members of a set, ascending."""
    found = []
    text = bin(bits)[:1:-1]
    index = text.find("1")
    while index >= 0:
        found.append(index)
        index = text.find("1", index + 1)
    return found


def union(sets: Iterable[int]) -> int:
    """All members of any of the sets."""
    return reduce(or_, sets, 0)


def bit_set(indexes: Iterable[int]) -> int:
    """The set with these members."""
    bits = 0
    for index in indexes:
        bits |= 1 << index
    return bits


def pick(bits: int, rng: Random) -> int:
    """One member of a non-empty set: the first one at or after a random place."""
    place = int(rng.random() * bits.bit_length())
    rest = bits >> place
    return place + (rest & -rest).bit_length() - 1


def lowest(bits: int, count: int) -> int:
    """The ``count`` smallest members of a set that has at least as many."""
    low, high = 0, bits.bit_length()
    while low < high:
        middle = (low + high) // 2
        if (bits & ((1 << middle) - 1)).bit_count() < count:
            low = middle + 1
        else:
            high = middle
    return bits & ((1 << low) - 1)


def sample(bits: int, count: int, rng: Random) -> int:
    """Some ``count`` members of a set, or all of them when there are no more; random, not uniform."""
    while (size := bits.bit_count()) > count:
        half = bits & rng.getrandbits(bits.bit_length())
        kept = half.bit_count()
        if kept < count:
            return half | lowest(bits ^ half, count - kept)
        bits = half if kept < size else bits
    return bits


def tally(sets: Iterable[int]) -> list[int]:
    """Count every member over the sets."""
    planes: list[int] = []
    for bits in sets:
        if bits:
            tally_add(planes, bits)
    return planes


def tally_add(planes: list[int], bits: int) -> None:
    """Count each member of ``bits`` once more."""
    for index, plane in enumerate(planes):
        planes[index] = plane ^ bits
        bits &= plane
        if not bits:
            return
    planes.append(bits)


def tally_sub(planes: list[int], bits: int) -> None:
    """Count each member of ``bits`` once less; every one of them must have been counted."""
    for index, plane in enumerate(planes):
        plane ^= bits
        planes[index] = plane
        bits &= plane
        if not bits:
            break
    while planes and not planes[-1]:
        planes.pop()


def tally_sum(planes: Sequence[int], bits: int) -> int:
    """The sum of the counts of these members."""
    return sum((plane & bits).bit_count() << index for index, plane in enumerate(planes))


def largest(planes: Sequence[int], pool: int, count: int) -> int:
    """The (at most) ``count`` members of ``pool`` with the largest counts, none with count 0."""
    chosen = 0
    for plane in reversed(planes):
        high = pool & plane
        if not high:
            continue
        size = high.bit_count()
        if size <= count:
            chosen |= high
            count -= size
            pool ^= high
            if not count:
                return chosen
        else:
            pool = high
    pool &= union(planes)
    if pool.bit_count() > count:
        pool = lowest(pool, count)
    return chosen | pool


def most(planes: Sequence[int], pool: int) -> int:
    """The members of ``pool`` with the largest count."""
    for plane in reversed(planes):
        high = pool & plane
        if high:
            pool = high
    return pool


def least(planes: Sequence[int], pool: int) -> int:
    """The members of ``pool`` with the smallest count."""
    for plane in reversed(planes):
        low = pool ^ (pool & plane)
        if low:
            pool = low
    return pool


def transpose(sets: Sequence[int], width: int) -> list[int]:
    """The matrix the other way round: member ``i`` of result ``j`` is member ``j`` of set ``i``."""
    turned = [0] * width
    step = max(1, _TRANSPOSE_BYTES // max(1, width))
    for start in range(0, len(sets), step):
        some = sets[start : start + step]
        text = "".join([format(bits, f"0{width}b") for bits in reversed(some)])
        for column in range(width):
            part = int(text[width - 1 - column :: width], 2)
            turned[column] |= part << start if start else part
    return turned
