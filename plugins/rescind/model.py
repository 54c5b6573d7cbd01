"""The types of an access review: grants, principals, decisions and calls.

A *grant* is one principal holding one entitlement on one resource of one permission system. Grants are discovered
into a snapshot, decided on, planned into calls, revoked and verified. The types are plain values without a vendor, a
database or Airflow. Every id is text from end to end, because 19 digits do not fit a float.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from json.encoder import encode_basestring
from typing import Any, NamedTuple

from rescind.i18n import mark


class ItemState(StrEnum):
    """State of a planned item. Verdicts are separate; only verification writes them."""

    PLANNED = "planned"
    APPROVED = "approved"
    SENT = "sent"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    HELD = "held"
    STALE = "stale"
    EXPIRED = "expired"
    RESTORED = "restored"


IN_DOUBT = frozenset({ItemState.SENT, ItemState.UNKNOWN})
"""A request left and its outcome is not known: read the platform before anything is sent again."""
MAY_HAVE_ACTED = IN_DOUBT | {ItemState.ACCEPTED}
"""A request left, so the platform may have changed."""
NOT_EXECUTED = frozenset({ItemState.APPROVED, ItemState.REFUSED})
"""Nothing was changed by a request of ours: none left, or the vendor refused it."""
TO_VERIFY = MAY_HAVE_ACTED | NOT_EXECUTED
"""Verification reads these items again and gives each a verdict."""


class Verdict(StrEnum):
    """What a complete re-read of the platform showed for one item."""

    VERIFIED_GONE = "verified_gone"
    RECORD_GONE = "record_gone"
    ALREADY_ABSENT = "already_absent"
    STILL_PRESENT = "still_present"
    STILL_EFFECTIVE = "still_effective"
    UNVERIFIED = "unverified"


KNOWN_ACCESS = "known access only"
"""Part of a scope of which only the containers were read in which the last whole listing shows named people.

Each of them is read completely. It proves nothing about any other container, not even for the named people.
"""
NEW_RUN = mark(
    "Start a new run to revoke what is still present after an answered call: this run does not send it again"
)
"""What to do about the items for which :func:`needs_new_run` holds, for people."""


NOT_ALLOWED = "the key was not allowed to send this. Correct the key or its rights, then clear the task that sends it"
"""Reason of a call and its items that the vendor refused because of the key. A later task sends such a call again."""


def needs_new_run(state: str, verdict: str | None, reason: str = "") -> bool:
    """Whether an item is still present although its call was answered, so that no task of its run sends it again."""
    answered = state == ItemState.ACCEPTED or (state == ItemState.REFUSED and reason != NOT_ALLOWED)
    return verdict == Verdict.STILL_PRESENT and answered


ASKED_FOR = "asked_for"
"""Fact of a decision: the request names the grant, and it is kept all the same, so its access remains after the run."""


class Choice(StrEnum):
    """The decision on one grant."""

    KEEP = "keep"
    REVOKE = "revoke"


class PrincipalType(StrEnum):
    """Kinds of principal in standard terms. The vendors' spellings stay in ``systems``."""

    USER = "user"
    GROUP = "group"
    ROLE = "role"
    PLATFORM_ROLE = "platform_role"
    PROJECT = "project"
    ORGANIZATION = "organization"
    WORKSPACE = "workspace"
    EVERYONE = "everyone"
    UNKNOWN = "unknown"


class GrantKey(NamedTuple):
    """The identity of a grant: a structured tuple, never a joined string.

    Two grants are the same grant exactly when all eight fields are equal.

    :param account: the cloud account (and region) that holds the grant.
    :param native_id: the vendor's record id where there is one (DMS), else empty.
    """

    system: str
    account: str
    resource_type: str
    resource_id: str
    principal_type: str
    principal_id: str
    entitlement: str
    native_id: str = ""

    @property
    def grant_id(self) -> str:
        """SHA-256 (hex, 64 characters) of the key as a JSON array.

        Equal to :func:`digest` of the list, without the check for floats: every field is text.
        """
        return _grant_id(self)


@lru_cache(maxsize=64)  # who stores a grant asks right after who looked whether it is new
def _grant_id(key: GrantKey) -> str:
    return hashlib.sha256(f"[{','.join(map(encode_basestring, key))}]".encode()).hexdigest()


class Resource(NamedTuple):
    """The identity of a resource."""

    system: str
    account: str
    resource_type: str
    resource_id: str


class Cell(NamedTuple):
    """The position of a grant in its system's call: the smallest unit that one call can revoke.

    A call acts on rows x columns inside one container. Several grants may share a cell; a call revokes all of them.

    :param container: a portal, a resource type or a data source.
    :param kind: the size limit of the call that the column counts against. Quick BI limits users and groups
        separately.
    """

    container: str
    row: str
    kind: str
    column: tuple[str, ...]


PERHAPS_OWN = "its own or inherited: a listing tells which once the permission above it is gone"
"""``why_not`` of a revocable grant that may be inherited."""


@dataclass(frozen=True, slots=True)
class Grant:
    """One grant as a listing showed it.

    :param key: its identity.
    :param cell: its position in the system's revoke call.
    :param revocable: False for kinds that the system's revoke call cannot revoke (inherited grants, organization or
        workspace principals, column permissions, unknown kinds). They are retained and reported.
    :param why_not: why a grant is not revocable, in a few words; else empty, or :data:`PERHAPS_OWN`.
    :param inherited_from: the parent resource id when the vendor marks the grant as inherited, or when it may be.
    :param expires_at: end of validity, timezone-aware; None when there is no end or it cannot be parsed.
    :param expires_raw: the vendor's text of the end date, stored for a restore.
    :param created_raw: the vendor's text of the creation date; with ``native_id`` it identifies the generation.
    :param origin: where the grant came from, in the vendor's words (DMS ``OriginFrom``).
    :param last_used_days: full days since its holder last used it, or 0 where a later use is possible; without
        ``last_used_on``, the days in which no use was seen. None is *not known*, which is never a reason to revoke.
    :param last_used_on: day of the last use that was seen (ISO date of the platform's clock), or empty.
    :param last_use: what shows the use, or why nothing is known about it; fixed words, never text of a statement.
    :param attributes: further vendor fields that a faithful restore or a revoke call needs.
    """

    key: GrantKey
    cell: Cell
    revocable: bool = True
    why_not: str = ""
    inherited_from: str = ""
    expires_at: datetime | None = None
    expires_raw: str = ""
    created_raw: str = ""
    origin: str = ""
    principal_name: str = ""
    resource_name: str = ""
    last_used_days: int | None = None
    last_used_on: str = ""
    last_use: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)

    @property
    def use(self) -> tuple[int | None, str, str]:
        """Return days, day and source of the last use, for :func:`rescind.last_use.last_use_words`."""
        return self.last_used_days, self.last_used_on, self.last_use

    @property
    def grant_id(self) -> str:
        """See :attr:`GrantKey.grant_id`."""
        return self.key.grant_id


LAST_USE = ("last_used_days", "last_used_on", "last_use")
"""Fields of a grant about its use, see :mod:`rescind.last_use`."""


@dataclass(frozen=True, slots=True)
class Principal:
    """A principal as its platform describes it.

    :param kind: human, service, system or unknown. Unknown is protected by default.
    :param status: active, disabled, deleted or unknown.
    :param other_ids: ids of the same principal in other id spaces as (space, id) pairs, for matching
        with the roster: for example ``("alibaba_uid", "2046...")``.
    :param owner: id of the principal that is responsible for this one, in the platform's id space, or empty.
    """

    system: str
    account: str
    principal_type: str
    principal_id: str
    name: str = ""
    kind: str = "unknown"
    status: str = "unknown"
    last_used_at: datetime | None = None
    other_ids: tuple[tuple[str, str], ...] = ()
    owner: str = ""


@dataclass(frozen=True, slots=True)
class Membership:
    """One edge of effective access: ``member`` holds everything that ``container`` holds."""

    system: str
    account: str
    member_type: str
    member_id: str
    container_type: str
    container_id: str


@dataclass(frozen=True, slots=True)
class Decision:
    """The choice for one grant, with its rule and reason.

    :param facts: the facts that the rule used, as shown to a reviewer; small, no secrets.
    :param ask: the owner of the resource may be asked; the grant stays unless the owner chooses to revoke it.
    """

    grant_id: str
    choice: Choice
    rule: str
    reason: str
    severity: str = ""
    controls: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    ask: bool = False


class Mode(StrEnum):
    """Which cells without a grant a call may contain (see ``plan``)."""

    STRICT = "strict"
    EMPTYING = "emptying"
    SPARSE = "sparse"


@dataclass(frozen=True, slots=True)
class CallShape:
    """What one revoke call of a system can cover.

    :param max_rows: most rows in one call.
    :param max_columns: most columns in one call, by :attr:`Cell.kind`.
    :param max_cells: most cells (rows x columns) in one call, or None.
    :param modes: the modes that this call allows, safest first.
    """

    max_rows: int
    max_columns: Mapping[str, int]
    max_cells: int | None = None
    modes: tuple[Mode, ...] = (Mode.STRICT,)


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """A planned API request: ``rows x columns`` of one container.

    ``call_id`` is made from the content of the call. A retry, a cleared task or a second delivery therefore finds the
    same call, independent of its position.

    :param columns: (kind, column) pairs.
    """

    system: str
    account: str
    container: str
    rows: tuple[str, ...]
    columns: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def call_id(self) -> str:
        """SHA-256 (hex) of the content of the call."""
        return digest(
            [self.system, self.account, self.container, list(self.rows), [[k, list(c)] for k, c in self.columns]]
        )

    def cells(self) -> frozenset[Cell]:
        """Return every cell that the call acts on."""
        return frozenset(Cell(self.container, row, kind, column) for row in self.rows for kind, column in self.columns)


def canonical(value: Any) -> bytes:
    """Return the canonical bytes of a JSON value, over which digests are made.

    Keys are sorted, without blanks, in UTF-8. Floats are refused because their text depends on formatting.

    :raises TypeError: for values that are not JSON, and for floats.
    """
    _refuse_floats(value)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def digest(value: Any) -> str:
    """Return the SHA-256 (hex, 64 characters) over :func:`canonical`."""
    return hashlib.sha256(canonical(value)).hexdigest()


_HARMLESS = frozenset({str, int, bool, type(None)})


def _refuse_floats(value: Any) -> None:
    if isinstance(value, float):
        raise TypeError("a float has no single canonical form; use text or an integer")
    if isinstance(value, dict | Mapping):  # dict first: the check of an abstract class is slow
        for key, inner in value.items():
            if not isinstance(key, str):
                raise TypeError(f"canonical JSON needs text keys, not {type(key).__name__}")
            if type(inner) not in _HARMLESS:
                _refuse_floats(inner)
    elif isinstance(value, list | tuple | Sequence) and not isinstance(value, str | bytes):
        for inner in value:
            if type(inner) not in _HARMLESS:
                _refuse_floats(inner)
