from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

import pytest

from rescind.errors import InputError
from rescind.review import RequestedTargets, Snapshot, Target, backtest, explain, render_explanation


def test_one_principal_by_any_of_its_ids(make: SimpleNamespace) -> None:
    grants = [make.grant("51002"), make.grant("700000000002", system="wedata_privileges"), make.grant("51001")]
    for name in ("P2", "51002", "2046000000000002"):
        found = list(explain(grants, make.context(), principal=name))
        assert [e.grant.key.principal_id for e in found] == ["51002", "700000000002"]
    assert list(explain(grants, make.context(), principal="5100")) == []


def test_one_grant(make: SimpleNamespace) -> None:
    grants = [make.grant("51002"), make.grant("51003")]
    (explanation,) = explain(grants, make.context(), grant_id=grants[1].grant_id)
    assert explanation.person == "P3"
    assert explanation.matched_by == "id:dms_user_id"
    assert [(step.rule, step.holds) for step in explanation.steps] == [("leaver", False), ("expired", False)]


def test_the_text_says_what_why_and_by_which_rule(make: SimpleNamespace) -> None:
    (gone,) = explain([make.grant("51002", expires_raw="2026-01-01\x1b[31m")], make.context(), principal="P2")
    text = render_explanation(gone)
    assert text.startswith("goes: QUERY on DATABASE r1 (dms_permissions)")
    for part in (
        "person     P2 (id:dms_user_id)",
        "because    leaver: leaver",
        "person.status = left",
        "leaver (revoke) holds",
        "expired (revoke) cannot be answered",
        "grant.has_end = unknown",
        r"\u001b[31m",
    ):
        assert part in text
    assert "\x1b" not in text


def test_what_was_kept_before_the_rules_shows_what_they_would_have_said(make: SimpleNamespace) -> None:
    body = "principals: [{space: person_id, id: P2, reason: vip}]\nresources: []\n"
    (kept,) = explain([make.grant("51002")], make.context(protections=make.protections(body)), principal="P2")
    text = render_explanation(kept)
    assert text.startswith("stays:")
    assert "because    kept.protected: vip" in text
    assert "rules that were not reached" in text
    assert "leaver (revoke) holds" in text
    (unsupported,) = explain([make.grant("51002", revocable=False)], make.context(), principal="P2")
    assert unsupported.steps == ()


def test_strangers_and_requests(make: SimpleNamespace) -> None:
    wanted = RequestedTargets((Target("59000", "dms_user_id"),), ("dms_permissions",), reason="leak")
    (found,) = explain([make.grant("59000")], make.context(request=wanted), principal="59000")
    text = render_explanation(found)
    assert "person     not matched (none)" in text
    assert "because    requested: leak" in text
    assert "rules" not in text


@pytest.mark.parametrize("names", [{}, {"principal": "a", "grant_id": "b"}])
def test_exactly_one_thing_is_explained(make: SimpleNamespace, names: dict[str, str]) -> None:
    with pytest.raises(InputError, match="exactly one"):
        explain([], make.context(), **names)


def test_a_backtest_counts_what_would_have_gone(make: SimpleNamespace) -> None:
    early, late = make.NOW - timedelta(days=60), make.NOW
    grants = [make.grant("51001"), make.grant("51002"), make.grant("51003")]
    result = backtest(
        [
            Snapshot("january", early, iter(grants)),
            Snapshot("march", late, iter(grants)),
            Snapshot("april", late, grants),
        ],
        make.context(),
    )
    assert [(row.name, row.grants, row.revoked, row.new) for row in result.snapshots] == [
        ("january", 3, 0, 0),
        ("march", 3, 1, 1),
        ("april", 3, 1, 0),
    ]
    assert result.snapshots[1].by_rule == {"kept.otherwise": 2, "leaver": 1}
    assert result.snapshots[1].samples == {"leaver": [grants[1].grant_id]}
    assert (result.distinct, result.returned) == (1, 1)
    assert result.version == make.context().policy.version


def test_a_snapshot_can_bring_what_was_known_then(make: SimpleNamespace) -> None:
    then = make.context(roster=make.admitted("P1,Ada,left,2025-01-01,human,,Finance,,,51001"))
    result = backtest([Snapshot("then", make.NOW, [make.grant("51001")], then)], make.context())
    assert result.snapshots[0].revoked == 1


def test_a_backtest_needs_a_policy(make: SimpleNamespace) -> None:
    context = make.context(request=RequestedTargets((Target("P1"),), ("dms_permissions",)))
    with pytest.raises(InputError, match="policy"):
        backtest([], context)
