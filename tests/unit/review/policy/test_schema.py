from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

import pytest

from rescind.model import Membership, Principal
from rescind.review import Memberships, collect_holdings, decide, index_principals
from rescind.review.policy.schema import VARIABLES

TRUE = {
    "STRING": "{} == {}",
    "BOOL": "{} || !{}",
    "TIMESTAMP": "{} <= {}",
    "list": "{} == {}",
    "map": "{} == {}",
}


@pytest.mark.parametrize("name", sorted(VARIABLES))
def test_every_declared_field_is_filled_for_a_grant_that_has_it(make: SimpleNamespace, name: str) -> None:
    """A field that is declared and never bound would make its rules silently useless."""
    template = TRUE.get(VARIABLES[name].type.name(), "{} == {}")
    condition = f"{template.format(name, name)} && grant.system == 'dms_permissions'"
    asks = VARIABLES[name].source == "last_used"  # such a rule cannot revoke
    rule = make.rule(condition, "ask" if asks else "revoke", absence=VARIABLES[name].open)
    extra = "resource_classes: [{class: c, ids: [r1]}]\n"
    facts = {"last_used_days": 3, "resource_name": "R", "origin": "o", "attributes": {"a": "b"}}
    grant = make.grant("51001", expires_at=make.NOW, expires_raw="x", **facts)
    used = make.NOW - timedelta(days=1)
    principal = Principal(
        "dms_permissions",
        "1000@cn",
        "user",
        "51001",
        kind="human",
        status="active",
        last_used_at=used,
        owner="51004",
    )
    context = make.context(
        make.policy(rule, extra=extra),
        roster=make.admitted(*(row.replace("P1,Ada,active,,", "P1,Ada,active,2027-01-01,") for row in make.ROWS)),
        principals=index_principals([principal]),
        memberships=Memberships.of([Membership("dms_permissions", "1000@cn", "user", "51001", "role", "r")]),
        holdings=collect_holdings([grant]),
        complete=frozenset({"roster", "membership", "holdings", "usage", "last_used"}),
    )
    (decision,) = decide([grant], context)
    assert decision.rule == "r1", decision
