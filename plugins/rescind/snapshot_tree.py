"""The digest of a snapshot, form 2: for each scope the root of a Merkle sum tree over its principals with grants.

- A leaf is one principal: type, id, number of its grants, SHA-256 over their ids in order. Leaves are ordered by type
  and id (code points). A principal without a grant has none.
- A node covers both children: hash, number of leaves and of grants, first and last principal of each.
- The shape is that of RFC 6962: of n leaves the left child has the largest power of two below n.
- The digest covers the form, and of each scope its name, state, root and the people whom the run named when it was
  sealed.

So complete subtrees (:class:`Part`) can stand for their leaves. If :func:`join` of parts gives the sealed root, each
part is the sealed subtree in its place. Proof by induction from the root: a node that is not a part is hashed from its
children, so hash, numbers, first and last principal of the children are the sealed ones; and which leaves a child has
follows from the number of leaves alone. Thus:

- the parts cover every sealed leaf once,
- a leaf that was computed from grants shows that they are all grants of its principal,
- a part holds no principal before its first, and none after its last one.

Nothing of this says that the sealed tree was made from what the platform has.
"""

from __future__ import annotations

import hashlib
import json
import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

PrincipalId = tuple[str, str]
"""(type, id) of a principal."""
FORM_2 = "2:"
"""A digest of form 2 begins with it. One of form 1 is 64 hex characters."""
SEALED_PEOPLE = "sealed_people"
"""Name of the note of a scope: ``{"asked": [as the form names them], "principals": [[type, id]]}``; covered by the
digest. Only runs about named people have it."""
_EVERYONE = "everyone"
_HEX = re.compile(r"[0-9a-f]{64}")
_text = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False, sort_keys=True).encode


@dataclass(frozen=True, slots=True)
class Part:
    """A complete subtree, possibly one leaf.

    :param hash: hex.
    :param leaves: number of principals.
    :param grants: number of their grants.
    :raises ValueError: when these cannot be of one subtree.
    """

    hash: str
    leaves: int
    grants: int
    first: PrincipalId
    last: PrincipalId

    def __post_init__(self) -> None:
        texts = (self.hash, *self.first, *self.last)
        counts = type(self.leaves) is int and type(self.grants) is int and 1 <= self.leaves <= self.grants
        if not (counts and all(type(one) is str for one in texts) and _HEX.fullmatch(self.hash)):
            raise ValueError("a part of the snapshot has no hash, or impossible numbers")
        if (self.leaves == 1) != (self.first == self.last):
            raise ValueError("a part of the snapshot has another number of principals than its ends allow")
        if self.first > self.last:
            raise ValueError("a part of the snapshot ends before it begins")

    def facts(self) -> list[Any]:
        """Return what the node above covers."""
        return [self.hash, self.leaves, self.grants, self.first, self.last]


class Known:
    """Principals about whom a bundle has to say everything, in one scope. Everyone is always one of them."""

    def __init__(self, principals: Iterable[PrincipalId]) -> None:
        self._ordered = sorted(set(principals))

    def may_be_in(self, part: Part) -> bool:
        """Return whether one of them could be among the principals of this part."""
        place = bisect_left(self._ordered, part.first)
        if place < len(self._ordered) and self._ordered[place] <= part.last:
            return True
        return part.first[0] <= _EVERYONE <= part.last[0]


def leaf(principal: PrincipalId, grants: int, ids: str) -> Part:
    """Return the leaf of one principal.

    :param ids: SHA-256 (hex) over the ids of its grants (32 bytes each) in order.
    """
    content = _text([*principal, grants, ids]).encode()
    return Part(hashlib.sha256(b"\x00" + content).hexdigest(), 1, grants, principal, principal)


def node(left: Part, right: Part) -> Part:
    """Return the node above two subtrees.

    :raises ValueError: when they are not in order.
    """
    if left.last >= right.first:
        raise ValueError("parts of the snapshot overlap, or are not in order")
    content = _text([left.facts(), right.facts()]).encode()
    made = hashlib.sha256(b"\x01" + content).hexdigest()
    return Part(made, left.leaves + right.leaves, left.grants + right.grants, left.first, right.last)


def join(parts: Sequence[Part]) -> Part | None:
    """Return the root above parts; None without any. Leaves alone give the tree that is sealed.

    :raises ValueError: when a part is no subtree in its place, or the parts are not in order.
    """
    place = 0

    def build(size: int) -> Part:
        nonlocal place
        part = parts[place]
        if part.leaves == size:
            place += 1
            return part
        if part.leaves > size:
            raise ValueError("a part of the snapshot is no subtree in its place")
        return node(build(_left(size)), build(size - _left(size)))

    return build(sum(part.leaves for part in parts)) if parts else None


def omittable(leaves: Sequence[Part], known: Known) -> list[Part]:
    """Return the largest subtrees in which none of the known principals could be, in order."""

    def walk(start: int, size: int) -> tuple[Part, list[Part]]:
        if size == 1:
            part = leaves[start]
            return part, [] if known.may_be_in(part) else [part]
        left, before = walk(start, _left(size))
        right, after = walk(start + _left(size), size - _left(size))
        part = node(left, right)
        whole = before == [left] and after == [right] and not known.may_be_in(part)
        return part, [part] if whole else before + after

    return walk(0, len(leaves))[1] if leaves else []


def snapshot_digest(scopes: Iterable[tuple[str, str, Part | None, Any]]) -> str:
    """Return the digest that is sealed.

    :param scopes: name, state, root and the note :data:`SEALED_PEOPLE` (None without one) of each scope.
    """
    ordered = sorted(scopes, key=lambda one: one[0])
    rows = [[name, state, root.facts() if root else None, people] for name, state, root, people in ordered]
    return FORM_2 + hashlib.sha256(_text(["rescind-snapshot/2", *rows]).encode()).hexdigest()


def _left(size: int) -> int:
    """Return the number of leaves of the left child: the largest power of two below ``size``."""
    return 1 << ((size - 1).bit_length() - 1)
