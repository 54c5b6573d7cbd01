"""The owners file: who is asked about what, never about themselves; and every way to get it wrong."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from rescind.errors import InputError
from rescind.model import Choice, Decision, Principal
from rescind.review import Decider, Owners, index_principals, load_owners
from rescind.review.owners import MOST_ITEMS, questions

FILE = """
format: 1
no_answer: keep
default: ada
reviewers:
  ada: {person_id: P1, alternate: dan}
  dan: {person_id: P4}
owners:
  - {reviewer: dan, system: dms_permissions, type: DATABASE, id: "r7"}
  - {reviewer: dan, system: dms_permissions, pattern: "finance*"}
"""


def owners(make: SimpleNamespace, text: str = FILE) -> Owners:
    return load_owners(text, source="owners.yaml", roster=make.admitted())


def ask(
    make: SimpleNamespace, *grants: object, text: str = FILE, **context: object
) -> tuple[list[tuple[str, int]], int]:
    """(reviewer, number of items) of every question, and how many grants nobody may be asked about."""
    decider = Decider(make.context(**context))
    pairs = [(g, Decision(g.grant_id, Choice.KEEP, "r", "confirm", "low", ask=True)) for g in grants]  # type: ignore[attr-defined]
    found = questions(pairs, owners(make, text), decider)  # type: ignore[arg-type]
    return [(question.reviewer, len(question.items)) for question in found.questions], len(found.own)


def test_the_first_line_that_fits_names_the_reviewer(make: SimpleNamespace) -> None:
    grants = [make.grant("51003", resource_id=name) for name in ("r7", "finance_db", "r8")]
    assert ask(make, *grants) == ([("ada", 1), ("dan", 2)], 0)
    assert ask(make, make.grant("51003", resource_id="r7", resource_type="TABLE")) == ([("ada", 1)], 0)


def test_nobody_is_asked_about_their_own_access(make: SimpleNamespace) -> None:
    assert ask(make, make.grant("51001")) == ([("dan", 1)], 0)  # ada's own, under her id in DMS
    wedata = make.grant("700000000001", system="wedata_privileges")
    assert ask(make, wedata) == ([("dan", 1)], 0)
    assert ask(make, make.grant("51004", resource_id="r7")) == ([], 1)  # dan's own, and dan has no alternate
    text = FILE.replace("P4}", "P1}")  # the alternate is the same person under another user name
    assert ask(make, make.grant("51001"), text=text) == ([], 1)


def test_a_reviewer_whom_the_roster_links_to_another_person_answers_for_neither(make: SimpleNamespace) -> None:
    rows = [f"{row},{user}" for row, user in zip(make.ROWS, ("", "", "ADA", "", ""), strict=True)]
    roster = make.admitted(*rows, header=f"{make.HEADER},airflow_user")
    found = load_owners(FILE, source="owners.yaml", roster=roster)
    for ident in ("51001", "51003"):  # the person whom the file names, and the one whom the roster names
        key = make.grant(ident).key
        assert found.reviewer(key, [("dms_user_id", ident)]) == "dan"
    assert found.reviewer(make.grant("51002").key, [("dms_user_id", "51002")]) == "ada"


def test_an_account_that_contradicts_itself_is_still_the_reviewers_own(make: SimpleNamespace) -> None:
    """Unmatched (its ids belong to two people), yet one of the ids is ada's."""
    odd = Principal("dms_permissions", "1000@cn", "user", "51003", other_ids=(("alibaba_uid", "2046000000000001"),))
    assert ask(make, make.grant("51003"), principals=index_principals([odd])) == ([("dan", 1)], 0)


def test_long_lists_are_split_and_their_order_never_changes(make: SimpleNamespace) -> None:
    grants = [make.grant("51003", resource_id=f"r{n}") for n in range(100, 100 + 2 * MOST_ITEMS + 1)]
    assert ask(make, *grants) == ([("ada", MOST_ITEMS), ("ada", MOST_ITEMS), ("ada", 1)], 0)
    decider, known = Decider(make.context()), owners(make)
    pairs = [(g, Decision(g.grant_id, Choice.KEEP, "r", "confirm", "low")) for g in grants]
    assert questions(pairs, known, decider) == questions(reversed(pairs), known, decider)


HANDING = """
format: 1
no_answer: keep
default: ada
reviewers:
  ada: {person_id: P1, alternate: dan, delegates: [dan, bo, chi, ada2]}
  dan: {person_id: P4}
  bo: {person_id: P2}
  chi: {person_id: P3}
  ada2: {person_id: P1}
owners: []
"""


def may_take(make: SimpleNamespace, *grants: object, text: str = HANDING, **load: object) -> dict[str, str]:
    pairs = [(g, Decision(g.grant_id, Choice.KEEP, "r", "confirm", "low")) for g in grants]  # type: ignore[attr-defined]
    known = load_owners(text, source="owners.yaml", roster=load.get("roster") or make.admitted())  # type: ignore[arg-type]
    (question,) = questions(pairs, known, Decider(make.context())).questions  # type: ignore[arg-type]
    return dict(question.delegates)


def test_a_question_goes_to_listed_people_who_work_here_and_hold_nothing_in_it(make: SimpleNamespace) -> None:
    """Not to those who left (bo, and chi by the roster), and not to the reviewer under another user name."""
    assert may_take(make, make.grant("51003")) == {"dan": "Dan"}
    assert may_take(make, make.grant("51003"), make.grant("51004", resource_id="r2")) == {}, "dan holds the second one"
    assert may_take(make, make.grant("51003"), text=FILE) == {}, "nobody is listed"
    rows = [f"{row},{user}" for row, user in zip(make.ROWS, ("", "DAN", "", "", ""), strict=True)]
    linked = make.admitted(*rows, header=f"{make.HEADER},airflow_user")
    assert may_take(make, make.grant("51003"), roster=linked) == {}, "the roster links dan to somebody who left"
    ends = [row.replace("P4,Dan,active,,", "P4,Dan,active,2020-01-01,") for row in make.ROWS]
    assert may_take(make, make.grant("51003"), roster=make.admitted(*ends)) == {}, "the last day is past"


@pytest.mark.parametrize(
    ("delegates", "message"),
    [
        ("[eve]", "reviewer ada, delegates: a user who is not listed under `reviewers`"),
        ("[ada]", "the reviewer, or somebody who is listed twice"),
        ("[dan, dan]", "the reviewer, or somebody who is listed twice"),
        ("[DAN]", "not listed under `reviewers`"),
        ("dan", "delegates"),
    ],
)
def test_bad_delegates_are_refused(make: SimpleNamespace, delegates: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        owners(make, HANDING.replace("[dan, bo, chi, ada2]", delegates))


def test_items_that_look_alike_are_told_apart(make: SimpleNamespace) -> None:
    """Same name, different ids: the line shows the ids."""
    grants = [make.grant("51003", resource_id=name, resource_name="sales") for name in ("r1", "r2")]
    pairs = [(g, Decision(g.grant_id, Choice.KEEP, "r", "confirm", "low")) for g in grants]
    (question,) = questions(pairs, owners(make), Decider(make.context())).questions
    assert len({line for _, line in question.items}) == 2 and all("(sales)" in line for _, line in question.items)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("format: 1", "format: 2"), "owners.yaml, line 2, format"),
        (("no_answer: keep\n", ""), "no_answer: a required field is missing"),
        (("no_answer: keep", "no_answer: ask"), "line 3, no_answer"),
        (("default: ada\n", ""), "default: a required field is missing"),
        (("default: ada", "default: eve"), "owners.yaml, default: a user who is not listed under `reviewers`"),
        (("reviewer: dan, system: dms_permissions, type", "reviewer: eve, system: dms_permissions, type"),
         r"line 9, owners\[0\]: a user who is not listed"),
        (("alternate: dan", "alternate: eve"), "line 6, reviewer ada, alternate: a user who is not listed"),
        (("  dan: {", "  ADA: {"), "owners.yaml, reviewers: 'ada' and 'ADA' are one user"),
        (("alternate: dan", "alternate: ada"), "reviewer ada, alternate: the reviewer is their own alternate"),
        (("person_id: P4", "person_id: P9"), "line 7, reviewer dan, person_id: the roster does not know"),
        (("person_id: P4", "person_id: 1234567890123456789"), "must be text, not a whole number"),
        (("person_id: P4", 'person_id: "1.23E+18"'), "reviewer dan, person_id: an id in scientific notation"),
        (("person_id: P4", "person_id: \u04204"), r"U\+0420\); it may be a look-alike of another character"),
        (("  dan: {", "  d\u0430n: {"), "mixes the scripts CYRILLIC, LATIN"),
        (("  dan: {", "  error: {"), "not a usable user id|not listed"),
        (("  dan: {person_id: P4}", "  ada: {person_id: P4}"), "'ada' appears twice"),
        ((', id: "r7"', ""), r"line 9, owners\[0\]: needs either id or pattern"),
        ((', id: "r7"', ', id: "r7", pattern: "r7*"'), "needs either id or pattern"),
        (('pattern: "finance*"', 'pattern: "*"'), "fewer than 3 fixed characters"),
        (('id: "r7"', 'id: "r7*"'), "wildcard"),
        (('id: "r7"', "owner: r7"), "an unknown field"),
        (("reviewers:", "reviewers: ["), "line .*, column .*: not valid YAML"),
    ],
)  # fmt: skip
def test_a_bad_owners_file_is_refused_with_its_place(
    make: SimpleNamespace, change: tuple[str, str], message: str
) -> None:
    assert change[0] in FILE
    with pytest.raises(InputError, match=message):
        owners(make, FILE.replace(*change))


def test_a_resource_that_nobody_answers_for_is_an_error_where_the_file_says_so(make: SimpleNamespace) -> None:
    text = FILE.replace("default: ada", "default: error")
    with pytest.raises(InputError, match=r"no line names DATABASE 'r8' in dms_permissions.*default reviewer"):
        ask(make, make.grant("51003", resource_id="r8"), text=text)


def test_no_answer_behind_a_rule_about_the_last_use_means_to_keep(make: SimpleNamespace) -> None:
    """A use that is kept first leaves what was not seen in use to the rule behind it."""
    rules = make.policy(
        make.rule("grant.last_used_days < 90", "keep", "used", absence=True),
        make.rule("grant.system == 'dms_permissions'", "ask", "all"),
    )
    decider = Decider(make.context(rules, complete=frozenset({"last_used"})))
    grant = make.grant("51003", last_used_days=90, last_use="DMS operation log")
    found = questions([(grant, decider.decide(grant))], owners(make, FILE.replace(": keep", ": revoke", 1)), decider)
    assert [one.no_answer for one in found.questions] == ["keep"]


@pytest.mark.parametrize("days", [90, None])
def test_less_known_of_the_use_changes_no_missing_answer(make: SimpleNamespace, days: int | None) -> None:
    rules = make.policy(
        make.rule("grant.last_used_days >= 90", "ask", "unused", severity="high", absence=True),
        make.rule("grant.system == 'dms_permissions'", "ask", "all"),
        combine="most_restrictive",
    )
    decider = Decider(make.context(rules, complete=frozenset({"last_used"})))
    decision = decider.decide(make.grant("51003", last_used_days=days, last_use="DMS operation log"))
    assert (decision.rule, decision.ask) == ("all", True)


def test_no_answer_about_the_last_use_means_to_keep(make: SimpleNamespace) -> None:
    """Whatever the owners file says: without a person nothing goes because it was not seen in use."""
    unused = make.rule("grant.last_used_days >= 90", "ask", "unused", absence=True)
    rules = make.policy(make.rule("grant.entitlement == 'EXPORT'", "ask", "export"), unused)
    used = {"last_used_days": 90, "last_use": "DMS operation log"}
    grants = [make.grant("51003", entitlement="EXPORT", **used), make.grant("51003", resource_id="r2", **used)]
    decider = Decider(make.context(rules, complete=frozenset({"last_used"})))
    pairs = [(grant, decider.decide(grant)) for grant in grants]
    found = questions(pairs, owners(make, FILE.replace("no_answer: keep", "no_answer: revoke")), decider)
    assert [(one.no_answer, [name for name, _ in one.items]) for one in found.questions] == [
        ("revoke", [grants[0].grant_id]),
        ("keep", [grants[1].grant_id]),
    ]
    assert found.questions[1].items[0][1].endswith("; last used: not seen in 90 days (DMS operation log)")
