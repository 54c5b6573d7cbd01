"""The fields that a policy condition may name, with their types and what is known of them.

Each field is declared to CEL under its dotted name (``grant.system``), so that CEL's own checker refuses a
misspelt field or a wrong type with its position before anything runs. Display names of principals and
people are left out on purpose: they are not unique, and a homoglyph must not decide anything.

Knowledge has three states. A field holds a value; or it is *unknown*: then it is not bound, CEL answers
with an error, and a rule with an error never revokes. The third state is the trap: a list that has
silently lost an entry looks like a shorter list. Such fields are *open*: a rule whose effect could grow
when an open field shrinks must say ``acts_on_absence: true``, and is then evaluated only where the caller
declares the field's source complete. Some single values are open too, and change either way when records are
lost: the date of last use moves back, an owner becomes unlisted. A comparison counts in both directions.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from cel_expr_python import cel


class Scope(StrEnum):
    """Which object a field belongs to; results are remembered per scope."""

    GRANT = "grant"
    RESOURCE = "resource"
    PRINCIPAL = "principal"
    PERSON = "person"
    RUN = "run"


class Source(StrEnum):
    """Where a field's knowledge comes from."""

    SNAPSHOT = "snapshot"
    ROSTER = "roster"
    MEMBERSHIP = "membership"
    HOLDINGS = "holdings"
    USAGE = "usage"
    LAST_USED = "last_used"


@dataclass(frozen=True, slots=True)
class Variable:
    """One field that conditions may name.

    :param open: silent loss of knowledge can change the field: a list or mapping shrinks, true becomes false.
    """

    name: str
    type: cel.Type
    scope: Scope
    source: Source
    meaning: str
    open: bool = False


_TEXT, _FLAG, _TIME = cel.Type.STRING, cel.Type.BOOL, cel.Type.TIMESTAMP
_TEXTS = cel.Type.List(cel.Type.STRING)
MAPPING = cel.Type.Map(cel.Type.STRING, cel.Type.STRING)


def _fields() -> tuple[Variable, ...]:
    grant, resource, principal, person = Scope.GRANT, Scope.RESOURCE, Scope.PRINCIPAL, Scope.PERSON
    here, roster = Source.SNAPSHOT, Source.ROSTER
    return (
        Variable("grant.id", _TEXT, grant, here, "SHA-256 (hex) that names the grant"),
        Variable("grant.system", _TEXT, grant, here, "permission system, for example dms_permissions"),
        Variable("grant.account", _TEXT, grant, here, "cloud account and region"),
        Variable("grant.entitlement", _TEXT, grant, here, "what is held"),
        Variable("grant.native_id", _TEXT, grant, here, "the vendor's record id, or empty"),
        Variable("grant.origin", _TEXT, grant, here, "where the grant came from, in the vendor's words"),
        Variable("grant.has_end", _FLAG, grant, here, "whether an end is set; unknown when it cannot be read"),
        Variable("grant.expires_at", _TIME, grant, here, "the end; unknown when there is none"),
        Variable("grant.attributes", MAPPING, grant, here, "further vendor fields", open=True),
        Variable(
            "grant.last_used_days",
            cel.Type.INT,
            grant,
            Source.LAST_USED,
            "full days without a use; 0 after a use where a later one is possible; unknown where not known",
            open=True,
        ),
        Variable("resource.type", _TEXT, resource, here, "kind of resource"),
        Variable("resource.id", _TEXT, resource, here, "the resource's id"),
        Variable("resource.name", _TEXT, resource, here, "the resource's name; may be changed by its owner"),
        Variable("resource.class", _TEXT, resource, here, "the policy's resource class; unknown when none fits"),
        Variable("principal.type", _TEXT, principal, here, "user, group, role, project, everyone"),
        Variable("principal.id", _TEXT, principal, here, "the principal's id in its system"),
        Variable("principal.kind", _TEXT, principal, here, "human, service or system, as the platform says"),
        Variable("principal.status", _TEXT, principal, here, "active, disabled or deleted, as the platform says"),
        Variable("principal.owner_id", _TEXT, principal, here, "id of the owner in its system, as the platform says"),
        Variable(
            "principal.owner", _TEXT, principal, roster, "state of that owner: active, left or unlisted", open=True
        ),
        Variable("principal.last_used_at", _TIME, principal, Source.USAGE, "last use", open=True),
        Variable("principal.groups", _TEXTS, principal, Source.MEMBERSHIP, "ids of groups, through groups", open=True),
        Variable("principal.roles", _TEXTS, principal, Source.MEMBERSHIP, "ids of roles, through groups", open=True),
        Variable("principal.holds", _TEXTS, principal, Source.HOLDINGS, "entitlements in this system", open=True),
        Variable("person.known", _FLAG, person, roster, "whether the roster knows the principal", open=True),
        Variable("person.id", _TEXT, person, roster, "the roster's person_id"),
        Variable("person.status", _TEXT, person, roster, "active or left"),
        Variable("person.terminated_at", _TIME, person, roster, "when the person leaves or left"),
        Variable(
            "person.has_leaving_date",
            _FLAG,
            person,
            roster,
            "whether there is a leaving date; unknown where only others have one",
            open=True,
        ),
        Variable("person.kind", _TEXT, person, roster, "human or service"),
        Variable("person.department", _TEXT, person, roster, "department"),
        Variable("person.manager", _TEXT, person, roster, "person_id of the manager or owner"),
        Variable(
            "person.owner", _TEXT, person, roster, "state of the manager: active, left, unlisted, none", open=True
        ),
        Variable("person.attributes", MAPPING, person, roster, "further roster columns", open=True),
        Variable("person.holds", _TEXTS, person, Source.HOLDINGS, "system:entitlement, in all systems", open=True),
        Variable("now", _TIME, Scope.RUN, here, "the time of the review"),
    )


VARIABLES: dict[str, Variable] = {variable.name: variable for variable in _fields()}
"""Every field by its dotted name, without the policy's own ``params.*``."""

HINTS: dict[str, str] = {
    "principal.name": "Display names are not unique and decide nothing; use principal.id.",
    "grant.principal_name": "Display names are not unique and decide nothing; use principal.id.",
    "person.name": "Names are not unique and decide nothing; use person.id.",
    "person.email": "Mail addresses are reassigned; use person.id or a column of your own in person.attributes.",
    "person": "Write person.known (and acts_on_absence: true where its absence counts).",
    "grant.resource_id": "Write resource.id.",
    "grant.principal_id": "Write principal.id.",
}
"""What to write instead of fields that people expect."""
