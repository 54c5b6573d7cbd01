from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from rescind.errors import InputError
from rescind.model import Choice
from rescind.review import Policy, load_policy
from rescind.review.policy.conditions import ConditionError, compile_condition, decode, environment
from rescind.review.policy.params import read_params
from rescind.review.policy.schema import HINTS, VARIABLES

GOOD: dict[str, Any] = {
    "format": 1,
    "policy": "p",
    "description": "d",
    "combine": "first_match",
    "params": {"idle": {"duration": "90d"}, "levels": {"A": 1}, "names": ["a"]},
    "rules": [
        {
            "id": "r1",
            "description": "d",
            "when": "person.status == 'left' && person.terminated_at <= now",
            "decide": "revoke",
            "reason": "leaver",
            "severity": "high",
            "controls": ["SOC 2 CC6.2"],
        }
    ],
    "otherwise": "keep",
}


def text(**change: Any) -> str:
    rule = {**GOOD["rules"][0], **change.pop("rule", {})}
    content = {**GOOD, "rules": [{k: v for k, v in rule.items() if v is not None}], **change}
    return yaml.safe_dump({k: v for k, v in content.items() if v is not None}, sort_keys=False)


def refused(source: str) -> InputError:
    with pytest.raises(InputError) as caught:
        load_policy(source, source="p.yaml")
    return caught.value


def test_a_good_policy() -> None:
    policy = load_policy(text(), source="p.yaml")
    rule = policy.rules[0]
    assert (policy.name, policy.combine, rule.id, rule.decide) == ("p", "first_match", "r1", Choice.REVOKE)
    assert rule.condition.names == ("now", "person.status", "person.terminated_at")
    assert rule.controls == ("SOC 2 CC6.2",)
    assert rule.absence == frozenset()


@pytest.mark.parametrize(
    ("change", "where", "says"),
    [
        ({"otherwise": None}, "otherwise", "missing"),
        ({"otherwise": "revoke"}, "otherwise", "'keep'"),
        ({"combine": None}, "combine", "missing"),
        ({"combine": "last_match"}, "combine", "first_match"),
        ({"format": 2}, "format", "1"),
        ({"format": "1"}, "format", "1"),
        ({"rules": []}, "rules", "at least 1"),
        ({"rules": "x"}, "rules", "list"),
        ({"extra": 1}, "extra", "unknown field"),
        ({"rule": {"whn": "true"}}, "rules.0.whn", "unknown field"),
        ({"rule": {"decide": "drop"}}, "rules.0.decide", "keep"),
        ({"rule": {"decide": True}}, "rules.0.decide", "keep"),
        ({"rule": {"severity": "urgent"}}, "rules.0.severity", "low"),
        ({"rule": {"severity": None}}, "rules.0.severity", "missing"),
        ({"rule": {"reason": None}}, "rules.0.reason", "missing"),
        ({"rule": {"reason": 7}}, "rules.0.reason", "must be text"),
        ({"rule": {"controls": "CC6.2"}}, "rules.0.controls", "list"),
        ({"rule": {"id": "Bad Id"}}, "rules.0.id", "pattern"),
        ({"rule": {"when": ""}}, "rules.0.when", "at least 1"),
        ({"rule": {"when": True}}, "rules.0.when", "must be text"),
        ({"rule": {"acts_on_absence": "yes"}}, "rules.0.acts_on_absence", "bool"),
        ({"rule": {"id": "kept.all"}}, "rule kept.all", "reserved"),
        ({"rule": {"id": "requested"}}, "rule requested", "reserved"),
        ({"params": {"Bad": 1}}, "params.Bad", "usable name"),
        ({"params": {"x": 1.5}}, "params.x", "number with a point"),
        ({"params": {"x": [1, "a"]}}, "params.x", "different kinds"),
        ({"params": {"x": {"duration": "90 days"}}}, "params.x", "not a duration"),
        ({"params": {"x": {"duration": 90}}}, "params.x", "not a duration"),
        ({"params": {"x": {"time": "01/02/2026"}}}, "params.x", "YYYY-MM-DD"),
        ({"params": {"x": {"time": 3}}}, "params.x", "not a time"),
        ({"params": {"x": None}}, "params.x", "null"),
        ({"params": {"x": {"a": {"b": 1}}}}, "params.x", "mapping inside"),
        ({"params": {"x": {"a": 1, "b": "c"}}}, "params.x", "different kinds"),
        ({"params": {"x": 10**19}}, "params.x", "64 bits"),
        ({"resource_classes": [{"class": "c", "ids": ["*"], "glob": True}]}, "resource class c", "fixed characters"),
        ({"resource_classes": [{"class": "c", "ids": ["prod*"]}]}, "resource class c", "wildcard"),
        ({"resource_classes": [{"class": "c", "ids": []}]}, "ids", "at least 1"),
        ({"resource_classes": [{"class": "c", "ids": [7]}]}, "ids.0", "must be text"),
    ],
)
def test_malformed_policies_are_refused_with_their_place(change: dict[str, Any], where: str, says: str) -> None:
    error = refused(text(**change))
    assert error.field.startswith("p.yaml")
    assert where in error.field
    assert says in error.problem


@pytest.mark.parametrize(
    ("when", "position", "says", "remedy"),
    [
        ("grant.sytem == 'x'", "1:6", "grant.sytem", "grant.system"),
        ("person.stauts == 'left'", "1:7", "person.stauts", "person.status"),
        ("true && grants.system == 'x'", "1:15", "undeclared", "grant.system"),
        ("xyz == 'x'", "1:1", "undeclared", "Fields: grant.id"),
        ("grant.system == 3", "1:14", "no matching overload", ""),
        ("person.terminated_at <= '2026-01-01'", "1:22", "no matching overload", ""),
        ("grant.expires_at < now - 90", "1:", "no matching overload", ""),
        ("person.status = 'left'", "1:", "Syntax error", ""),
        ("person.status == 'left", "1:", "Syntax error", ""),
        ("person.status", "1:1", "gives STRING, not true or false", ""),
        ("params.missing == 1", "1:", "params.missing", "Fields"),
        ("principal.name == 'admin'", "1:", "principal.name", "Display names"),
        ("person.name == 'Ada'", "1:", "person.name", "not unique"),
        ("person == null", "1:", "'person'", "person.known"),
        ("grant.principal_id == 'x'", "1:", "grant.principal_id", "principal.id"),
        ("grant.system.foo == 'x'", "1:", "select", ""),
        ("grant.system == null", "1:", "no matching overload", ""),
        ("person.terminated_at < now - duration('90d')", "1:1", "duration cannot read", ""),
        ("person.terminated_at < timestamp('2026-01-01')", "1:1", "timestamp cannot read", ""),
        ("resource.id.matches('(')", "1:1", "matches cannot read", ""),
        ("grant.system ==\n  3", "1:14", "no matching overload", ""),
        ("grant.system == 'x' &&\n  grant.sytem == 'y'", "2:8", "grant.sytem", "grant.system"),
    ],
)
def test_wrong_conditions_are_refused_with_rule_and_position(when: str, position: str, says: str, remedy: str) -> None:
    error = refused(text(rule={"when": when}))
    assert "rule r1" in error.field
    assert f"condition {position}" in error.field
    assert says in error.problem
    assert remedy in error.remedy


def test_the_line_of_the_file_is_named() -> None:
    source = text(rule={"when": "grant.sytem == 'x'"})
    line = next(n for n, row in enumerate(source.splitlines(), 1) if "sytem" in row)
    assert f"line {line}," in refused(source).field


def test_deep_nesting_is_refused() -> None:
    assert "recursion" in refused(text(rule={"when": "(" * 800 + "person.known" + ")" * 800})).problem.lower()


@pytest.mark.parametrize("when", ["true", "now > timestamp('2020-01-01T00:00:00Z')", "params.levels['A'] == 1"])
def test_a_rule_that_revokes_everything_is_refused(when: str) -> None:
    assert "must look at a field" in refused(text(rule={"when": when})).problem


def test_two_rules_with_one_id_are_refused() -> None:
    assert "second rule" in refused(text(rules=[GOOD["rules"][0], copy.deepcopy(GOOD["rules"][0])])).problem


@pytest.mark.parametrize("source", ["", "[]", "- a", "x", "a: 1\na: 2", "\x00", "a: *b"])
def test_files_that_are_no_policy(source: str) -> None:
    refused(source)


@settings(max_examples=60)
@given(st.text(max_size=60))
def test_arbitrary_conditions_are_refused_as_input_or_compiled(when: str) -> None:
    try:
        load_policy(text(rule={"when": when}), source="p.yaml")
    except InputError as error:
        assert error.field.startswith("p.yaml")


# Version


def test_the_version_is_that_of_the_content() -> None:
    policy = load_policy(text(), source="p.yaml")
    commented = load_policy("# comment\n" + text().replace("policy: p", "policy:   p  # x"), source="other.yaml")
    assert policy.version == commented.version
    for change in ({"rule": {"severity": "low"}}, {"description": "e"}, {"params": {**GOOD["params"], "names": ["b"]}}):
        assert load_policy(text(**change), source="p.yaml").version != policy.version


# Knowledge: which rules could revoke more when data is lost


@pytest.mark.parametrize(
    ("when", "grows", "shrinks"),
    [
        ("person.status == 'left'", "", ""),
        ("!(person.status == 'active')", "", ""),
        ("person.known", "", "person.known"),
        ("!person.known", "person.known", ""),
        ("!!person.known", "", "person.known"),
        ("person.known == false", "person.known", "person.known"),
        ("person.known ? grant.system == 'a' : grant.system == 'b'", "person.known", "person.known"),
        ("'g' in principal.groups", "", "principal.groups"),
        ("!('g' in principal.groups)", "principal.groups", ""),
        (
            "grant.system == 'a' && !('g' in principal.groups || 'h' in principal.roles)",
            "principal.groups principal.roles",
            "",
        ),
        ("principal.groups.exists(g, g.startsWith('a'))", "", "principal.groups"),
        ("principal.groups.all(g, g.startsWith('a'))", "principal.groups", ""),
        ("!principal.groups.all(g, g.startsWith('a'))", "", "principal.groups"),
        ("!principal.groups.exists(g, g == 'a')", "principal.groups", ""),
        ("principal.groups.exists_one(g, g == 'a')", "principal.groups", "principal.groups"),
        ("principal.groups.filter(g, g == 'a').size() == 0", "principal.groups", "principal.groups"),
        ("size(principal.groups) < 3", "principal.groups", "principal.groups"),
        ("principal.groups == principal.roles", "principal.groups principal.roles", "principal.groups principal.roles"),
        ("params.names.exists(n, n in principal.groups)", "", "principal.groups"),
        ("params.names.exists(n, !(n in principal.groups))", "principal.groups", ""),
        ("params.names.all(n, n in principal.groups)", "", "principal.groups"),
        ("person.attributes['a'] == 'b'", "", ""),
        ("person.attributes['a'] != 'b'", "", ""),
        ("person.attributes.a != 'b'", "", ""),
        ("person.attributes[grant.system] != 'b'", "", ""),
        ("has(person.attributes.a)", "", "person.attributes"),
        ("!has(person.attributes.a)", "person.attributes", ""),
        ("!('a' in person.attributes)", "person.attributes", ""),
        ("size(grant.attributes) == 0", "grant.attributes", "grant.attributes"),
        ("principal.last_used_at < now", "principal.last_used_at", "principal.last_used_at"),
        ("person.owner == 'left'", "person.owner", "person.owner"),
        ("grant.system in ['a', principal.groups[0]]", "principal.groups", "principal.groups"),
        ("{'a': principal.groups}['a'] == ['x']", "principal.groups", "principal.groups"),
    ],
)
def test_the_direction_in_which_open_fields_count(when: str, grows: str, shrinks: str) -> None:
    condition = compile_condition(environment(read_params(GOOD["params"], "p")[0]), when)
    assert (sorted(condition.grows_on_loss), sorted(condition.shrinks_on_loss)) == (grows.split(), shrinks.split())


def test_acting_on_absence_must_be_said(make: SimpleNamespace) -> None:
    with pytest.raises(InputError, match=r"missing data in person\.known could lead to more revocations"):
        make.policy(make.rule("!person.known"))
    policy = make.policy(make.rule("!person.known", absence=True))
    assert policy.rules[0].absence == {"roster"}
    with pytest.raises(InputError, match="no meaning"):
        make.policy(make.rule("person.status == 'left'", absence=True))


def test_rules_that_keep_are_judged_the_other_way_round(make: SimpleNamespace) -> None:
    revoke = make.rule("grant.system == 'x'", name="r2")
    with pytest.raises(InputError, match=r"principal\.groups"):
        make.policy(make.rule("'admins' in principal.groups", decide="keep"), revoke)
    make.policy(make.rule("!('admins' in principal.groups)", decide="keep"), revoke)
    make.policy(make.rule("'admins' in principal.groups", decide="keep"), revoke, combine="most_restrictive")


def test_fields_in_mappings_that_are_looked_up_are_noted() -> None:
    condition = compile_condition(environment({}), "person.attributes.a == 'x' && person.attributes['b'] == 'y'")
    assert condition.keys == {"person.attributes": ("a", "b")}


def test_a_condition_without_its_data_is_neither_true_nor_false() -> None:
    condition = compile_condition(environment({}), "person.status == 'left'")
    assert condition.holds({"person.status": "left"}) is True
    assert condition.holds({"person.status": "active"}) is False
    assert condition.holds({}) is None
    assert condition.holds({"person.status": 3}) is None


def test_errors_of_cel_without_position_are_kept() -> None:
    with pytest.raises(ConditionError):
        compile_condition(environment({}), "person.attributes")


@pytest.mark.parametrize("data", [b"\x0b", b"\x0a\x05ab", b"\xff" * 11])
def test_bytes_that_are_no_message_are_refused(data: bytes) -> None:
    with pytest.raises((ValueError, IndexError)):
        decode(data)


def test_fixed_width_fields_are_read() -> None:
    assert decode(b"\x09" + b"\x01" * 8 + b"\x15" + b"\x02" * 4 + b"\x18\x96\x01") == {
        1: [b"\x01" * 8],
        2: [b"\x02" * 4],
        3: [150],
    }


def test_display_names_are_no_fields() -> None:
    assert not [name for name in VARIABLES if name.endswith(("name", "email")) and name != "resource.name"]
    assert not set(HINTS) & set(VARIABLES)


def test_resource_classes(make: SimpleNamespace) -> None:
    extra = (
        "resource_classes:\n  - {class: a, ids: ['prod*'], glob: true, system: s}\n"
        "  - {class: b, ids: [prod1, x], type: TABLE}\n  - {class: c, ids: ['xy?z*'], glob: true, account: acc}\n"
    )
    policy: Policy = make.policy(make.rule("resource.class == 'a'"), extra=extra)
    assert policy.resource_class("s", "acc", "TABLE", "prod1") == "a"
    assert policy.resource_class("t", "acc", "TABLE", "prod1") == "b"
    assert policy.resource_class("t", "acc", "DATABASE", "prod1") is None
    assert policy.resource_class("t", "acc", "DATABASE", "xyaz1") == "c"
    assert policy.resource_class("t", "other", "DATABASE", "xyaz1") is None
    assert policy.resource_class("s", "acc", "TABLE", "Prod1") is None
