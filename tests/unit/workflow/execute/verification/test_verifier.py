"""Verification of one account, over a ledger: verdicts of items, and what was to stay."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest

from rescind.errors import RefusedError
from rescind.ledger import Ledger
from rescind.model import Cell, Grant, GrantKey
from rescind.systems.base import ListingScope
from rescind.systems.dms.proxy_accesses import DmsProxyAccesses
from rescind.systems.surfaces import PlatformAnswer
from rescind.workflow.execute.verification import verify
from rescind.workflow.execute.verification.verify import ScopeReport, ScopeVerifier
from tests.support.ledger.attempts import claim, send
from tests.support.ledger.runs import Frozen, approve, begin, decide, freeze, list_scope
from tests.support.scripted import (
    BY_RESOURCE,
    BY_USER,
    FAILURES,
    NO_CLIENT,
    NOT_THERE,
    Answer,
    Scripted,
    ScriptedDms,
    dms_record,
)

pytestmark = pytest.mark.postgres
GOES, STAYS = dms_record(1), dms_record(2)
ELSEWHERE = dms_record(3, "51002", "89")
INHERITED = dms_record(4, inherited_from="somewhere")


def sent(ledger: Ledger, *retained: Grant, outcome: str = "accepted") -> Frozen:
    """A run that revokes one record and keeps others; its one call was answered."""
    run = begin(ledger)
    list_scope(ledger, run, [GOES, *retained])
    decide(ledger, run, [GOES, *retained], [GOES])
    frozen = freeze(ledger, run, [[GOES]])
    approve(ledger, frozen)
    lease = claim(ledger, frozen)
    if outcome:
        ledger.attempts.finish(send(ledger, lease, frozen).attempt_id, outcome)
    ledger.batches.release(lease)
    return frozen


def verified(
    ledger: Ledger,
    run: Frozen,
    script: dict[ListingScope, list[Answer]],
    system: ScriptedDms | None = None,
    limit: float = 0.004,
) -> tuple[ScopeReport, Any]:
    """The report and the recorded check of what was to stay."""
    verifier = ScopeVerifier(ledger, system or ScriptedDms(script), NO_CLIENT, run.run.run_id, "acc", 0.001, limit)
    report = asyncio.run(asyncio.wait_for(verifier.run(), 30))
    (check,) = ledger.verdicts.retained(run.run.run_id)
    return report, check


def all_sent(ledger: Ledger, *grants: Grant) -> Frozen:
    """A run that revokes these records, each with a call of its own that was accepted."""
    run = begin(ledger)
    list_scope(ledger, run, list(grants))
    decide(ledger, run, list(grants), list(grants))
    frozen = freeze(ledger, run, [[grant] for grant in grants])
    approve(ledger, frozen)
    lease = claim(ledger, frozen)
    for number in range(len(grants)):
        ledger.attempts.finish(send(ledger, lease, frozen, number).attempt_id, "accepted")
    ledger.batches.release(lease)
    return frozen


@pytest.mark.parametrize(
    ("seconds", "lost"), [(3, 0), (86_400, 1), (-86_400, 1)], ids=["in the run", "later", "before"]
)
def test_only_a_retained_grant_that_ends_during_the_run_may_be_missing(ledger: Ledger, seconds: int, lost: int) -> None:
    end = datetime.now(UTC) + timedelta(seconds=seconds)
    run = sent(ledger, replace(STAYS, expires_at=end))
    if not lost:
        time.sleep(max(0.0, (end - datetime.now(UTC)).total_seconds()) + 0.1)
    report, check = verified(ledger, run, {BY_RESOURCE: [()], BY_USER: [()]})
    assert (report.retained_checked, report.retained_missing, len(check.lost)) == (1, lost, lost)


@pytest.mark.parametrize(
    ("by_resource", "by_user", "lost"),
    [
        ([STAYS], [STAYS], 0),
        ([], [STAYS], 1),
        ([STAYS], [], 1),
        ([], [], 1),
    ],
    ids=["both", "only by user", "only by resource", "neither"],
)
def test_a_retained_grant_that_one_of_two_listings_lacks_is_lost(
    ledger: Ledger, by_resource: list[Grant], by_user: list[Grant], lost: int
) -> None:
    run = sent(ledger, STAYS, ELSEWHERE, INHERITED)
    report, check = verified(ledger, run, {BY_RESOURCE: [tuple(by_resource)], BY_USER: [tuple(by_user)]})
    assert (report.retained_checked, report.retained_missing) == (1, lost), "the others are in no listing that was read"
    assert (check.compared, check.lost, check.complete) == (1, [STAYS.grant_id] * lost, True)
    assert report.as_dict()["kept_lost"] == lost


@pytest.mark.parametrize(("limit", "verdict"), [(0.0, "unverified"), (0.004, "record_gone")])
def test_one_reading_proves_nothing(ledger: Ledger, limit: float, verdict: str) -> None:
    run = sent(ledger)
    report, _ = verified(ledger, run, {BY_RESOURCE: [()], BY_USER: [NOT_THERE]}, limit=limit)
    assert report.verdicts == {verdict: 1}


@pytest.mark.parametrize("how", FAILURES)
@pytest.mark.parametrize("there", [True, False])
def test_a_listing_that_failed_says_nothing_of_what_was_to_stay(ledger: Ledger, how: str, there: bool) -> None:
    shown = (STAYS,) if there else ()
    run = sent(ledger, STAYS)
    report, check = verified(ledger, run, {BY_RESOURCE: [FAILURES[how]], BY_USER: [shown]})
    assert (check.compared, len(check.lost), check.complete) == (1, int(not there), False)
    assert report.verdicts == {"unverified": 1} and report.problem


def test_nothing_read_compares_nothing(ledger: Ledger) -> None:
    refused = RefusedError("no", vendor="alibaba", action="List", code="X")
    run = sent(ledger, STAYS)
    report, check = verified(ledger, run, {BY_RESOURCE: [refused], BY_USER: [refused]})
    assert (check.compared, check.lost, check.complete, report.verdicts) == (0, [], False, {"unverified": 1})


@pytest.mark.parametrize(("lagging", "missing", "wait"), [(0, 0, False), (1, 0, True), (1, 1, False), (0, 1, False)])
def test_nobody_waits_for_a_platform_that_lost_what_was_to_stay(lagging: int, missing: int, wait: bool) -> None:
    assert ScopeReport(lagging=lagging, retained_missing=missing).worth_waiting == wait


def test_a_lag_beside_a_loss_is_not_worth_waiting_for(ledger: Ledger) -> None:
    run = sent(ledger, STAYS)
    report, _ = verified(ledger, run, {BY_RESOURCE: [(GOES,)], BY_USER: [(GOES,)]})
    assert (report.lagging, report.retained_missing, report.worth_waiting) == (1, 1, False)
    assert report.verdicts == {"still_present": 1}


@pytest.mark.parametrize(
    ("outcome", "verdict"),
    [("accepted", "record_gone"), ("unknown", "record_gone"), ("refused", "record_gone"), ("", "record_gone")],
)
def test_without_an_answer_about_every_surface_the_record_alone_is_gone(
    ledger: Ledger, outcome: str, verdict: str
) -> None:
    run = sent(ledger, outcome=outcome)
    report, _ = verified(ledger, run, {BY_RESOURCE: [()], BY_USER: [()]})
    assert report.verdicts == {verdict: 1}
    (found,) = ledger.verdicts.latest(run.run.run_id)
    assert "not asked in this run" in found.path


class _Asked(ScriptedDms):
    """Every surface of discovery was asked; the platform answers as scripted."""

    surfaces = ()
    platform_denies = True
    answer = PlatformAnswer()

    async def ask_platform(self, client: Any, grants: Any) -> PlatformAnswer:
        return self.answer


@pytest.mark.parametrize(
    ("outcome", "verdict"),
    [
        ("accepted", "verified_gone"),
        ("unknown", "verified_gone"),
        ("refused", "already_absent"),
        ("", "already_absent"),
    ],
)
def test_what_is_gone_is_ours_only_where_a_request_may_have_done_it(ledger: Ledger, outcome: str, verdict: str) -> None:
    run = sent(ledger, STAYS, outcome=outcome)
    script: dict[ListingScope, list[Answer]] = {BY_RESOURCE: [(STAYS,)], BY_USER: [(STAYS,)]}
    report, _ = verified(ledger, run, script, _Asked(script))
    assert report.verdicts == {verdict: 1}


def test_a_record_that_turns_up_in_a_listing_is_a_way_in(ledger: Ledger) -> None:
    """The same right by another record: it is not in the snapshot, and the listing of verification shows it."""
    run = sent(ledger, STAYS)
    again = dms_record(9)
    again = Grant(again.key._replace(resource_id="t1"), again.cell, attributes=again.attributes)
    script: dict[ListingScope, list[Answer]] = {BY_RESOURCE: [(STAYS, again)], BY_USER: [(STAYS, again)]}
    report, _ = verified(ledger, run, script, _Asked(script))
    assert report.verdicts == {"still_effective": 1}


class _Relisting(_Asked):
    """Shows inherited grants each time."""

    relists_inherited: ClassVar[bool] = True


@pytest.mark.parametrize(
    ("system", "shown", "inherited", "verdict"),
    [
        (_Relisting, False, True, "verified_gone"),
        (_Relisting, True, True, "still_effective"),
        (_Relisting, False, False, "still_effective"),
        (_Asked, False, True, "still_effective"),
    ],
    ids=["ended", "shown", "of its own", "not relisted"],
)
def test_an_inherited_grant_that_a_complete_listing_lacks_is_no_way_in(
    ledger: Ledger, system: type[_Asked], shown: bool, inherited: bool, verdict: str
) -> None:
    """Only where each listing shows inherited grants, and only the inherited ones."""
    twin = Grant(GOES.key._replace(native_id="r8"), GOES.cell._replace(row="r8"), attributes=GOES.attributes)
    twin = replace(twin, inherited_from="the folder above" if inherited else "", revocable=False, why_not="a reason")
    run = sent(ledger, twin)
    script: dict[ListingScope, list[Answer]] = {one: [(twin,) if shown else ()] for one in (BY_RESOURCE, BY_USER)}
    report, _ = verified(ledger, run, script, system(script))
    assert report.verdicts == {verdict: 1}


def test_an_inherited_grant_in_a_listing_that_failed_stays_a_way_in(ledger: Ledger) -> None:
    other = replace(GOES, attributes={**GOES.attributes, "ListedIn": "89"})
    twin = Grant(other.key._replace(native_id="r8"), other.cell._replace(row="r8"), attributes=other.attributes)
    run = sent(ledger, replace(twin, inherited_from="the folder above"))
    report, _ = verified(ledger, run, {BY_RESOURCE: [()], BY_USER: [()]}, _Relisting())
    assert report.verdicts == {"still_effective": 1}


def test_two_records_of_one_right_that_both_went_are_no_way_in_for_each_other(ledger: Ledger) -> None:
    twin = Grant(GOES.key._replace(native_id="r7"), GOES.cell._replace(row="r7"), attributes=GOES.attributes)
    frozen = all_sent(ledger, GOES, twin)
    report, _ = verified(ledger, frozen, {BY_RESOURCE: [()], BY_USER: [()]}, _Asked())
    assert report.verdicts == {"verified_gone": 2}
    report, _ = verified(ledger, frozen, {}, _Asked({BY_RESOURCE: [(twin,)], BY_USER: [(twin,)]}))
    assert report.verdicts == {"still_effective": 1, "still_present": 1}


def test_what_the_platform_says_remains(ledger: Ledger) -> None:
    run = sent(ledger, STAYS)
    script: dict[ListingScope, list[Answer]] = {BY_RESOURCE: [(STAYS,)], BY_USER: [(STAYS,)]}
    for answer, verdict in (
        (PlatformAnswer(reaches={GOES.grant_id: "a policy"}), "still_effective"),
        (PlatformAnswer(unknown={GOES.grant_id: {"policies": "refused"}}), "record_gone"),
        (PlatformAnswer(denies={GOES.grant_id}), "verified_gone"),
    ):
        system = _Asked(script)
        system.answer = answer
        assert verified(ledger, run, script, system)[0].verdicts == {verdict: 1}


@pytest.mark.parametrize(
    ("told", "verdict", "words"),
    [
        (PlatformAnswer(), "verified_gone", ""),
        (PlatformAnswer(reaches={GOES.grant_id: "owner of database 88"}), "still_effective", "owner of database 88"),
        (
            PlatformAnswer(unknown={GOES.grant_id: {"owned objects": "refused"}}),
            "record_gone",
            "owned objects: refused",
        ),
        (FAILURES["cut"], "record_gone", "cut"),
    ],
    ids=["nobody", "the holder", "not told", "no answer"],
)
def test_what_the_objects_tell_counts_beside_what_the_holders_are_told(
    ledger: Ledger, told: PlatformAnswer | Exception, verdict: str, words: str
) -> None:
    """The objects are asked once, at the end, about everything that is gone."""

    class Objects(_Asked):
        answer = PlatformAnswer(denies={GOES.grant_id})
        about: ClassVar[list[list[str]]] = []

        async def ask_objects(self, client: Any, grants: Any) -> PlatformAnswer:
            self.about.append([grant.grant_id for grant in grants])
            if isinstance(told, Exception):
                raise told
            return told

    run = sent(ledger, STAYS)
    script: dict[ListingScope, list[Answer]] = {BY_RESOURCE: [(STAYS,)], BY_USER: [(STAYS,)]}
    report, _ = verified(ledger, run, script, Objects(script))
    (found,) = ledger.verdicts.latest(run.run.run_id)
    assert report.verdicts == {verdict: 1} and words in found.path and Objects.about == [[GOES.grant_id]]


def test_a_platform_that_does_not_answer_leaves_the_record_alone_gone(ledger: Ledger) -> None:
    class Silent(_Asked):
        async def ask_platform(self, client: Any, grants: Any) -> PlatformAnswer:
            raise FAILURES["cut"]

    run = sent(ledger, STAYS)
    script: dict[ListingScope, list[Answer]] = {BY_RESOURCE: [(STAYS,)], BY_USER: [(STAYS,)]}
    report, _ = verified(ledger, run, script, Silent(script))
    assert report.verdicts == {"record_gone": 1} and "cut" in report.problem


class _Early(_Asked):
    """Says at first that access remains; a listing by user is not answered before the platform was asked."""

    def __init__(self, script: dict[ListingScope, list[Answer]]) -> None:
        super().__init__(script)
        self.questions: list[list[str]] = []
        self.asked_once = asyncio.Event()

    async def reread(self, client: Any, listings: Any) -> Any:
        if BY_USER in listings:
            await self.asked_once.wait()
        return await super().reread(client, listings)

    async def ask_platform(self, client: Any, grants: Any) -> PlatformAnswer:
        if grants:
            self.questions.append([grant.grant_id for grant in grants])
            self.asked_once.set()
        if len(self.questions) == 1:
            return PlatformAnswer(reaches=dict.fromkeys(self.questions[0], "a policy"), calls=1)
        return PlatformAnswer(denies={grant.grant_id for grant in grants}, calls=1)


def test_the_platform_is_asked_while_the_second_side_is_read_and_again_where_it_still_shows_access(
    ledger: Ledger,
) -> None:
    """The first answer may be older than the removal."""
    run = sent(ledger, STAYS)
    system = _Early({BY_RESOURCE: [(STAYS,)], BY_USER: [(STAYS,)]})
    report, _ = verified(ledger, run, system.script, system)
    assert report.verdicts == {"verified_gone": 1}
    assert system.questions == [[GOES.grant_id]] * 2 and report.list_calls == 4


def test_an_item_that_the_first_read_still_showed_is_asked_about_at_the_end(ledger: Ledger) -> None:
    run = sent(ledger, STAYS)
    system = _Asked({BY_RESOURCE: [(GOES, STAYS), (STAYS,)], BY_USER: [(STAYS,)]})
    system.answer = PlatformAnswer(reaches={GOES.grant_id: "a policy"})
    assert verified(ledger, run, system.script, system)[0].verdicts == {"still_effective": 1}


def test_an_item_that_the_second_side_showed_is_asked_about_again(ledger: Ledger) -> None:
    """The first answer was given before the item was gone, so its denial proves nothing."""

    class Denied(_Early):
        async def ask_platform(self, client: Any, grants: Any) -> PlatformAnswer:
            await super().ask_platform(client, grants)
            idents = [grant.grant_id for grant in grants]
            if len(self.questions) == 1:
                return PlatformAnswer(denies=set(idents))
            return PlatformAnswer(reaches=dict.fromkeys(idents, "a policy"))

    run = sent(ledger, STAYS)
    system = Denied({BY_RESOURCE: [(STAYS,)], BY_USER: [(GOES, STAYS), (STAYS,)]})
    report, _ = verified(ledger, run, system.script, system, limit=1.0)
    assert report.verdicts == {"still_effective": 1} and len(system.questions) == 2


def test_access_that_the_platform_showed_stays_shown_when_it_does_not_answer_again(ledger: Ledger) -> None:
    class Once(_Early):
        async def ask_platform(self, client: Any, grants: Any) -> PlatformAnswer:
            answer = await super().ask_platform(client, grants)
            if len(self.questions) > 1:
                raise FAILURES["cut"]
            return answer

    run = sent(ledger, STAYS)
    system = Once({BY_RESOURCE: [(STAYS,)], BY_USER: [(STAYS,)]})
    report, _ = verified(ledger, run, system.script, system)
    assert report.verdicts == {"still_effective": 1} and "cut" in report.problem


def test_a_platform_that_never_denies_access_is_asked_once(ledger: Ledger) -> None:
    """Another answer could not change what it said."""
    run = sent(ledger, STAYS)
    system = _Early({BY_RESOURCE: [(STAYS,)], BY_USER: [(STAYS,)]})
    system.platform_denies = False
    report, _ = verified(ledger, run, system.script, system)
    assert report.verdicts == {"still_effective": 1} and system.questions == [[GOES.grant_id]]


def test_a_holder_is_asked_about_once_after_the_first_read_of_all_items(ledger: Ledger) -> None:
    """User 51001 while another database is still read; user 51002, who has records in both, after it."""
    other: ListingScope = ("TABLE", "89", "false")
    both = [dms_record(5, "51002"), ELSEWHERE]

    class Held(_Early):
        async def reread(self, client: Any, listings: Any) -> Any:
            if other in listings:
                await self.asked_once.wait()
            return await super().reread(client, listings)

    run = all_sent(ledger, GOES, *both)
    system = Held({})
    verified(ledger, run, system.script, system)
    assert system.questions[0] == [GOES.grant_id]
    assert sorted(system.questions[1]) == sorted(one.grant_id for one in both)


class _Proxies(Scripted, DmsProxyAccesses):
    """Accounts of proxies, as scripted."""


@pytest.mark.parametrize(("shown", "verdict"), [("nothing", "verified_gone"), ("again", "still_effective")])
def test_an_account_of_a_proxy_that_exists_again_under_a_new_id_is_a_way_in(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, shown: str, verdict: str
) -> None:
    """The run ended the account; its proxy lists none, or a new one of the same user."""
    key = GrantKey("dms_proxy_accesses", "acc", "proxy", "p1", "user", "51001", "proxy account", "n1")
    account = Grant(key, Cell("proxy", "n1", "proxy", ("n1",)), attributes={"Instances": "i1", "InstanceIds": "i1"})
    (known,) = DmsProxyAccesses().same_access(account)
    way = Grant(known, Cell("", "i1", "instance", ("51001",)), revocable=False, why_not="dms_proxy_accesses ends it")
    goes = replace(GOES, attributes={**GOES.attributes, "InstanceId": "i1"})
    run = begin(ledger)
    list_scope(ledger, run, [goes, way])
    list_scope(ledger, run, [account])
    decide(ledger, run, [goes, way, account], [goes, account])
    frozen = freeze(ledger, run, [[goes], [account]], batches=2)
    approve(ledger, frozen)
    for number, batch in enumerate(sorted(ledger.plans.batches(run.run_id), key=lambda one: one.system)):
        lease = ledger.batches.claim(run.run_id, batch.batch_id, "w")
        ledger.attempts.finish(send(ledger, lease, frozen, number).attempt_id, "accepted")
        ledger.batches.release(lease)

    twin = replace(account, key=key._replace(native_id="n2"))
    proxies = _Proxies({("proxy", "p1"): [(twin,) if shown == "again" else ()]})
    real = verify.system_named
    monkeypatch.setattr(verify, "system_named", lambda name: proxies if name == proxies.name else real(name))
    report, _ = verified(ledger, frozen, {}, _Asked({BY_RESOURCE: [()], BY_USER: [()]}))
    assert report.verdicts == {verdict: 1}
