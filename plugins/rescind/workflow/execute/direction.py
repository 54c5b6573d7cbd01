"""The two directions of a batch, revoke and restore: what they share, and what they answer for each call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from rescind.cloud.base import Prepared
from rescind.cloud.client import CloudClient
from rescind.ledger import Call, Lease, Ledger
from rescind.model import Cell, Grant, GrantKey, ItemState
from rescind.plan.approved import Approved
from rescind.systems.base import PermissionSystem
from rescind.systems.walker import account_of

Moves = Mapping[str, tuple[ItemState, str]]
"""New item states with their reasons, by grant id."""


@dataclass(frozen=True, slots=True)
class ClaimedBatch:
    """A batch of an approved plan, and the lease and clients to work on it.

    :param plan_digest: the plan that the approval is for; the ledger compares it at every intent.
    """

    ledger: Ledger
    system: PermissionSystem[Any]
    client: CloudClient
    lease: Lease
    plan_digest: str

    @property
    def run_id(self) -> str:
        """The run that the batch belongs to."""
        return self.lease.run_id

    @property
    def account(self) -> str:
        """The account that the client answers for, as grants name it."""
        return account_of(self.client)


@dataclass(frozen=True, slots=True)
class Screening:
    """Which grants of a call may still be sent, and what becomes of the others.

    :param send: grants that may be sent. When it is empty and there is a reason, the call is skipped.
    :param reason: why the call is skipped.
    :param outcome: name under which the report counts a skipped call.
    """

    send: list[Grant]
    moves: Moves = field(default_factory=dict)
    reason: str = ""
    outcome: str = ""


class Direction(Protocol):
    """What differs between revoking and restoring."""

    def read_approved(self, asked: frozenset[GrantKey]) -> Approved:
        """Return what the approved digest covers. It may block.

        :param asked: the grants of the batch.
        :raises PlanError: when the approved effects cannot be read.
        """

    async def screen(self, grants: list[Grant]) -> Screening:
        """Decide right before a send which grants of a call may still be sent."""

    async def absent_cells(self, call: Call, grants: list[Grant], own: set[Cell]) -> frozenset[Cell] | None:
        """Return the cells without a grant that the call may contain, or None when the call has to be split.

        :param grants: the grants that are sent.
        :param own: the cells of all items of the call.
        """

    def prepare(self, call: Call, grants: list[Grant], absent: frozenset[Cell]) -> Prepared[Any]:
        """Return the final request after comparing its effects with the approved ones.

        :raises BlastRadiusExceededError: when the request would touch anything else.
        """

    async def read_back(self, call: Call) -> bool:
        """Read the platform after an unknown outcome or a refusal; return True when the call is open again."""
