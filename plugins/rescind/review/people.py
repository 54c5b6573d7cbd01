"""Who a principal is: its person, its protection and the fields that conditions may read of both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rescind.model import Principal
from rescind.review.knowledge import Holdings, Memberships, PrincipalKey
from rescind.review.protections import BoundProtections
from rescind.review.request import ResolvedRequest
from rescind.review.roster.admit import PERSON_SPACE, AdmittedRoster, Person
from rescind.review.roster.matching import Match, match_person, principal_ids
from rescind.review.text import to_utc

NAMED = 10
"""Principals named in one sentence."""
REMEMBERED = 50_000
"""Principals kept in memory; then forgotten all at once."""

UNCERTAIN: Mapping[str, str] = {
    "unconfirmed": "the roster has the id in another spelling, or the person's row lacks another id of the principal",
    "conflict": "its ids belong to different people, or to a leaver and to somebody active",
    "set_aside": "a row of the roster that cannot be read has its id, or may have it",
}
"""How a principal was matched -> why nothing is concluded about its person, for people."""
_PERSONAL = frozenset({"user", "unknown"})
_NO_ROSTER = Match(None, "no_roster")


@dataclass(frozen=True, slots=True)
class View:
    """One principal as decisions see it.

    :param serial: number of this view within the run.
    :param method: how the person was matched, see :class:`~rescind.review.roster.matching.Match`.
    :param protected: why nothing is revoked from it, or empty.
    :param named: whether the request names it (always False without one).
    :param perhaps: whether it may belong to a person whom the request names, and nobody knows for certain.
    :param data: ``principal.*`` and ``person.*`` fields that are known.
    :param facts: what a reviewer sees beside the facts of a rule.
    :param about: who the person is, for people who read about a grant that goes or that a request names.
    """

    serial: int
    person: Person | None
    method: str
    protected: str
    named: bool
    data: Mapping[str, Any]
    facts: Mapping[str, Any]
    about: Mapping[str, Any] = field(default_factory=dict)
    perhaps: bool = False


class People:
    """Builds and remembers the views of a run's principals.

    :ivar uncertain: method of :data:`UNCERTAIN` -> principals that may be somebody of the roster, so that a leaver
        among them keeps access.
    """

    def __init__(
        self,
        roster: AdmittedRoster | None,
        principals: Mapping[PrincipalKey, Principal],
        protections: BoundProtections,
        spaces: Mapping[str, tuple[str, ...]],
        memberships: Memberships | None = None,
        holdings: Holdings | None = None,
        request: ResolvedRequest | None = None,
    ) -> None:
        self._roster = roster.roster if roster else None
        self._principals = principals
        self._protections = protections
        self._spaces = spaces
        self._memberships = memberships
        self._holdings = holdings
        self._request = request
        self._views: dict[PrincipalKey, View] = {}
        self._serial = 0
        self.uncertain: dict[str, dict[PrincipalKey, None]] = {}
        self._person_holds = self._held_by_people() if holdings is not None else {}

    def view(self, key: PrincipalKey) -> View:
        """Return the view of a principal."""
        view = self._views.get(key)
        if view is None:
            if len(self._views) >= REMEMBERED:
                self._views.clear()
            view = self._views[key] = self._build(key)
        return view

    def uncertain_lines(self) -> list[str]:
        """Return a sentence for each kind of principal about whose person nothing is concluded."""
        lines = []
        for method, keys in sorted(self.uncertain.items()):
            names = ", ".join(f"{key.principal_id} ({key.system})" for key in list(keys)[:NAMED])
            more = ", ..." if len(keys) > NAMED else ""
            lines.append(
                f"{len(keys)} principals keep what rules about people would take: {UNCERTAIN[method]}: {names}{more}"
            )
        return lines

    def ids(self, key: PrincipalKey) -> tuple[tuple[str, str], ...]:
        """Return all (space, id) pairs of a principal, the first of them under its system's own name.

        The id spaces are those of people: a group has only its id in its system, even if a person has the same.
        """
        own = (key.system, key.principal_id)
        if key.principal_type not in _PERSONAL:
            return (own,)
        return (own, *principal_ids(key.system, key.principal_id, self._principals.get(key), self._spaces))

    def _match(self, key: PrincipalKey, ids: tuple[tuple[str, str], ...]) -> Match:
        if self._roster is None:
            return _NO_ROSTER
        return match_person(key.principal_type, ids[1:], self._roster)

    def _build(self, key: PrincipalKey) -> View:
        ids = self.ids(key)
        person, method = self._match(key, ids)
        if person is not None:
            ids = (*ids, (PERSON_SPACE, person.person_id))
        principal = self._principals.get(key)
        self._serial += 1
        if method in UNCERTAIN:
            self.uncertain.setdefault(method, {})[key] = None
        facts = {"matched_by": method}
        if person is not None:
            facts |= {"person.id": person.person_id, **({"person.manager": person.manager} if person.manager else {})}
        return View(
            serial=self._serial,
            person=person,
            method=method,
            protected=self._protected(key, ids, principal, person),
            named=self._request is not None and self._request.names(key, person, ids),
            data=self._principal_data(key, principal) | self._person_data(person, method),
            facts=facts,
            about=_about(person),
            perhaps=method in UNCERTAIN and self._request is not None and self._request.may_name(ids),
        )

    def _protected(
        self, key: PrincipalKey, ids: tuple[tuple[str, str], ...], principal: Principal | None, person: Person | None
    ) -> str:
        reason = self._protections.principal(ids)
        if reason or key.principal_type not in _PERSONAL:
            return reason
        platform, roster = (principal.kind if principal else "unknown"), (person.kind if person else "unknown")
        allow = self._request is not None and self._request.allow_unknown_kind
        return self._protections.kind(platform, roster, in_roster=person is not None, allow_unknown=allow)

    def _principal_data(self, key: PrincipalKey, principal: Principal | None) -> dict[str, Any]:
        data: dict[str, Any] = {"principal.type": str(key.principal_type), "principal.id": key.principal_id}
        if principal is not None:
            for name, value in (("kind", principal.kind), ("status", principal.status)):
                if value and value != "unknown":
                    data[f"principal.{name}"] = value
            if principal.owner:
                data["principal.owner_id"] = principal.owner
                state = self._platform_owner(key.system, principal.owner)
                data |= {"principal.owner": state} if state else {}
            if principal.last_used_at is not None and principal.last_used_at.tzinfo is not None:
                data["principal.last_used_at"] = to_utc(principal.last_used_at)
        if self._memberships is not None:
            data["principal.groups"] = self._memberships.groups(key)
            data["principal.roles"] = self._memberships.roles(key)
        if self._holdings is not None:
            data["principal.holds"] = sorted(self._holdings.of(key))
        return data

    def _platform_owner(self, system: str, owner: str) -> str | None:
        """Return state of the owner that a platform names, an id like those of its grants; None when nobody can say."""
        if self._roster is None:
            return None
        person, method = match_person("user", principal_ids(system, owner, None, self._spaces), self._roster)
        if person is None:
            return "unlisted" if method == "none" else None
        return person.status if person.status != "unknown" else None

    def _person_data(self, person: Person | None, method: str) -> dict[str, Any]:
        """Return known fields only. ``person.known`` is false only where the roster was searched and has no such id."""
        if person is None:
            return {"person.known": False} if method == "none" else {}
        fields: dict[str, str | datetime | bool | None] = {
            "id": person.person_id,
            "status": person.status if person.status != "unknown" else None,
            "kind": person.kind if person.kind != "unknown" else None,
            "department": person.department or None,
            "manager": person.manager or None,
            "terminated_at": person.terminated_at,
            "owner": self._owner(person),
            "has_leaving_date": self._has_leaving_date(person),
        }
        data: dict[str, Any] = {f"person.{name}": value for name, value in fields.items() if value is not None}
        data["person.known"] = True
        data["person.attributes"] = dict(person.attributes)
        if self._holdings is not None:
            data["person.holds"] = sorted(self._person_holds.get(person.person_id, ()))
        return data

    def _has_leaving_date(self, person: Person) -> bool | None:
        """Return whether there is a leaving date; None where others have one, so that this one may be lost."""
        if person.terminated_at is not None:
            return True
        return None if person.held or self._roster is None or self._roster.tells_dates else False

    def _owner(self, person: Person) -> str | None:
        """Return state of the manager or owner: active, left, unlisted or none; None when the roster does not say."""
        if not person.manager:
            return "none" if self._roster and self._roster.tells_managers else None
        owner = self._roster.by_person_id(person.manager) if self._roster else None
        if owner is None:
            return None if self._roster and self._roster.may_list(person.manager) else "unlisted"
        return owner.status if owner.status != "unknown" else None

    def _held_by_people(self) -> dict[str, set[str]]:
        held: dict[str, set[str]] = {}
        for key, entitlements in (self._holdings.held if self._holdings else {}).items():
            person, _ = self._match(key, self.ids(key))
            if person is not None:
                held.setdefault(person.person_id, set()).update(f"{key.system}:{e}" for e in entitlements)
        return held


def _about(person: Person | None) -> dict[str, Any]:
    """Return name, department, status and last day of a person as facts; what the roster does not say is left out."""
    if person is None:
        return {}
    said = {
        "person.name": person.name,
        "person.department": person.department,
        "person.status": person.status if person.status != "unknown" else "",
        "person.terminated_at": to_utc(person.terminated_at).isoformat().replace("+00:00", "Z")
        if person.terminated_at
        else "",
    }
    return {name: value for name, value in said.items() if value}
