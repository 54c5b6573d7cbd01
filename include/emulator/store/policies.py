"""ABAC policies of DMS and whom they are attached to."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from emulator.journal import Journal
from emulator.visibility import Visibility

_SPAN, _AGAIN = 10_000_000, 1_000_000_000_000
_KINDS = {"USER": ("dms_policy_members", "user_id"), "ROLE": ("dms_policy_roles", "role_id")}


class Attached(NamedTuple):
    """A policy attached to a user or a custom role."""

    policy_id: int
    kind: str
    ident: int
    number: int
    """The authorization's id: unique for each kind only, and another one each time the policy is attached again."""

    @property
    def row(self) -> dict[str, str]:
        """The attachment as a row of the truth."""
        ids = {"authorization_id": str(self.number), "policy_id": str(self.policy_id)}
        return {**ids, _KINDS[self.kind][1]: str(self.ident)}


@dataclass(slots=True)
class Policy:
    """A policy on an instance (``db_id`` 0) or a database, for users and custom roles.

    ``effect`` Deny takes a privilege away instead of giving it; ``source`` is USER_DEFINE or SYSTEM.
    """

    policy_id: int
    name: str
    perm: str
    instance_id: int
    db_id: int
    user_ids: list[str]
    role_ids: list[int] = field(default_factory=list)
    effect: str = "Allow"
    source: str = "USER_DEFINE"
    times: Counter[tuple[str, int]] = field(default_factory=Counter)

    def attached(self) -> list[Attached]:
        """Users first, then roles."""
        held = [("USER", int(user)) for user in self.user_ids] + [("ROLE", role) for role in self.role_ids]
        return [self.entry(kind, ident) for kind, ident in held]

    def entry(self, kind: str, ident: int) -> Attached:
        """The authorization of one identity, with its present id."""
        number = self.policy_id * _SPAN + ident + _AGAIN * self.times[kind, ident]
        return Attached(self.policy_id, kind, ident, number)

    def on(self, instance_id: int, db_id: int, *, above: bool) -> bool:
        """Whether it is on an instance (``db_id`` 0) or database; ``above``: one on the instance reaches down."""
        return (self.instance_id, self.db_id) in [(instance_id, db_id), *([(instance_id, 0)] if above else [])]


class Policies(list[Policy]):
    """All policies; tells the journal when one is attached or detached."""

    def __init__(self, journal: Journal, visibility: Visibility) -> None:
        super().__init__()
        self._journal = journal
        self._visibility = visibility

    def by_id(self, policy_id: str) -> Policy:
        """A policy.

        :raises KeyError: for an unknown id.
        """
        return {str(policy.policy_id): policy for policy in self}[policy_id]

    def attach(self, policy: Policy, kind: str, ident: int, *, remove: bool = False) -> bool:
        """Attach a policy to a ``USER`` or ``ROLE``, or detach it; False when nothing changed."""
        held: list[Any] = policy.user_ids if kind == "USER" else policy.role_ids
        value: Any = str(ident) if kind == "USER" else ident
        if (value in held) != remove:
            return False
        entry = policy.entry(kind, ident)
        if remove:
            self._visibility.removed("dms_policy_authorizations", entry)
            held.remove(value)
            policy.times[kind, ident] += 1
        else:
            held.append(value)
            self._visibility.added("dms_policy_authorizations", entry)
        self._journal.effect("removed" if remove else "added", _KINDS[kind][0], entry.row)
        return True

    def rows(self) -> dict[str, list[dict[str, str]]]:
        """Whom policies are attached to, by kind of holder."""
        entries = [entry for policy in self for entry in policy.attached()]
        return {system: [entry.row for entry in entries if entry.kind == kind] for kind, (system, _) in _KINDS.items()}

    def listed(self, policy: Policy) -> list[Attached]:
        """Whom a policy is attached to, as a listing shows it."""
        late = (self._visibility.shown, self._visibility.hidden)
        shown, hidden = (one("dms_policy_authorizations", lambda item: item.policy_id == policy.policy_id)
                         for one in late)  # fmt: skip
        held = policy.attached()
        return [*(one for one in held if one not in hidden), *(one for one in shown if one not in held)]
