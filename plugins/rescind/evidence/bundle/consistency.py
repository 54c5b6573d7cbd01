"""Check that the records of a bundle agree: the approved plan is what was sent and verified.

Each file is read once, in order. Only planned items and calls, and one digest for each principal, are held in memory.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from json.encoder import encode_basestring
from typing import Any

from rescind.evidence.bundle.answers.approval import answered_by, check_answer, may_be_one
from rescind.evidence.bundle.answers.narrowing import check_narrowing
from rescind.evidence.bundle.answers.owners import check_owner_answers
from rescind.evidence.bundle.effect_ids import effect_ids
from rescind.evidence.bundle.format import (
    CONTROLS,
    EFFECTS,
    EFFECTS_BEFORE,
    OMITTED,
    PROVEN,
    RECORD_FILES,
    encode,
    file_name,
    standing,
)
from rescind.evidence.bundle.found import Found
from rescind.evidence.bundle.population import Population
from rescind.evidence.bundle.read import Source, parsed, records
from rescind.evidence.bundle.times import Times
from rescind.run_state.states import was_left_out
from rescind.users import shown_user

Record = dict[str, Any]
_KEY = (
    "system",
    "account",
    "resource_type",
    "resource_id",
    "principal_type",
    "principal_id",
    "entitlement",
    "native_id",
)
_READ_ONCE = ("grants", "source_grants", "decisions", "items")
"""Files of which a check reads every line anyway, through :meth:`Checker._records`."""
_POLICY = re.compile(rb',"policy_version":("(?:[^"\\]|\\.)*"),"settings":"')
_BOUND = re.compile(rb',"settings":"([0-9a-f]*)"')
_PIECE = 1 << 16
SETTINGS = "settings"
"""Name of the input that records the settings of the run."""
OCCASION = "occasion"
"""Name of the input that records what the run was started for."""


def problems(
    source: Source, manifest: Mapping[str, Any], notes: list[str], approval_keys: Collection[bytes] | None = None
) -> list[str]:
    """Return the contradictions, and append remarks to ``notes``. Verify the hashes first.

    :param approval_keys: public keys, of which one must have signed the approval; None: the one in the bundle.
    """
    checker = Checker(source, manifest, notes, approval_keys)
    try:
        checker.run()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OSError) as error:
        checker.found.add(f"the records do not have the expected structure ({type(error).__name__})")
    return checker.found.lines()


@dataclass(slots=True)
class Checker:
    """The checks of one bundle. Sanitized copies hold no real ids, so digests over ids are not recomputed."""

    source: Source
    manifest: Mapping[str, Any]
    notes: list[str]
    approval_keys: Collection[bytes] | None = None
    found: Found = field(default_factory=Found)
    items: dict[str, Record] = field(default_factory=dict)
    calls: dict[str, Record] = field(default_factory=dict)

    @property
    def sanitized(self) -> bool:
        """Whether this is a copy without personal data."""
        return bool(self.manifest["sanitized"])

    def run(self) -> None:
        """Run all checks."""
        self._canonical()
        (review,) = records(self.source, "review")
        if (review["run"], review["number"]) != (self.manifest["run"], self.manifest["number"]):
            self.found.add("review.jsonl is about another run")
        plan, approval = (next(records(self.source, kind), None) for kind in ("plan", "approvals"))
        times = Times(review, plan, approval, self.found.add)
        self._load_calls()
        self.items = {item["grant_id"]: item for item in self._ascending("items")}
        self._population(review, plan)
        self._approval(review, plan)
        self._effects(review, plan)
        self._narrowing(review, plan, times)
        self._settings(plan)
        self._attempts(review, plan, approval, times)
        self._standings(times)
        self._findings()
        self._times(times)

    def _canonical(self) -> None:
        """Check that every line is canonical JSON: no duplicate keys, nothing that parsers read differently."""
        for kind in RECORD_FILES:
            if kind not in _READ_ONCE:
                for _ in self._records(kind):
                    pass
        if file_name(OMITTED) in self.source.names() and not sum(1 for _ in self._records(OMITTED)):
            self.found.add(f"{file_name(OMITTED)} is present although nothing is left out")
        with self.source.open(CONTROLS) as file:
            if not isinstance(json.load(file).get("controls"), dict):
                self.found.add(f"{CONTROLS} names no controls")

    def _records(self, kind: str) -> Iterator[Record]:
        """Yield the records of a file; a line that is not canonical is a problem."""
        with self.source.open(file_name(kind)) as file:
            for line in file:
                value = parsed(line)
                if encode(value) + b"\n" != line:
                    self.found.add(f"{file_name(kind)} holds a line that is not canonical")
                yield value["data"]

    def _load_calls(self) -> None:
        for call in records(self.source, "calls"):
            made = [call["system"], call["account"], call["container"], call["rows"], call["columns"]]
            if not self.sanitized and hashlib.sha256(encode(made)).hexdigest() != call["call"]:
                self.found.add("the content of a call does not match its id", call["call"])
            if call["call"] in self.calls:
                self.found.add("duplicate call", call["call"])
            cells = {(kind, tuple(column)) for kind, column in call["columns"]}
            place = (call["system"], call["account"], call["container"])
            self.calls[call["call"]] = {"place": place, "rows": set(call["rows"]), "columns": cells}

    def _ascending(self, kind: str) -> Iterator[Record]:
        """Yield the records of a file that is ordered by grant id, each grant once."""
        before = ""
        for record in self._records(kind):
            if not self.sanitized and record["grant_id"] <= before:
                self.found.add(f"{kind}: duplicate or unsorted grant", record["grant_id"])
            before = record["grant_id"]
            yield record

    def _population(self, review: Record, plan: Record | None) -> None:
        """Check grant ids, the counts of each scope, and that every item has its grant and cell."""
        scopes = {scope["scope"]: scope for scope in records(self.source, "scopes")}
        revoked: set[str] = set()
        seen = self._snapshot(review, scopes, self._decided(revoked))
        for grant in self._ascending("source_grants"):
            self._grant(grant)
            seen.add(grant["grant_id"])
        for grant_id in self.items.keys() - seen:
            self.found.add("an item has no grant", grant_id)
        if self.items and plan is None:
            self.found.add("there are items but no plan")
        if plan is not None and plan["operation"] == "revoke":
            for grant_id in self.items.keys() - revoked:
                self.found.add("an item was not decided to be revoked", grant_id)

    def _decided(self, revoked: set[str]) -> Iterator[Record]:
        """Yield every grant, and check that each has one decision. The items to revoke are added to ``revoked``."""
        decisions = self._ascending("decisions")
        decision = next(decisions, None)
        matching = decision is not None
        for grant in self._ascending("grants"):
            if matching:
                matching = decision is not None and decision["grant_id"] == grant["grant_id"]
                if not matching:
                    self.found.add("grants and decisions do not match")
                elif decision is not None:
                    if decision["choice"] == "revoke" and decision["grant_id"] in self.items:
                        revoked.add(decision["grant_id"])
                    decision = next(decisions, None)
            yield grant
        if matching and decision is not None:
            self.found.add("grants and decisions do not match")
        for _ in decisions:  # each line has to be canonical
            pass

    def _snapshot(self, review: Record, scopes: Mapping[str, Record], grants: Iterator[Record]) -> set[str]:
        """Check the snapshot of the run; return the items that it holds."""
        subjects = {*self.items, *(lost for check in records(self.source, "kept") for lost in check["lost"])}
        subjects |= {question["grant_id"] for question in records(self.source, "questions")}
        population = Population(self.source, review, scopes, self.found.add)
        for grant in grants:
            name, grant_id = grant["scope"], grant["grant_id"]
            if name not in scopes:
                self.found.add("a grant belongs to no scope", grant_id)
                continue
            population.take(grant, subject=grant_id in subjects)
            self._grant(grant)
            if grant_id in self.items and scopes[name]["state"] != "complete" and self.items[grant_id]["call"]:
                self.found.add("an item of an incomplete scope has a call", grant_id)
        if unchecked := population.check(subjects, sanitized=self.sanitized):
            self.notes.append(unchecked)
        return population.holders.keys() & self.items.keys()

    def _grant(self, grant: Record) -> None:
        key = ",".join([encode_basestring(grant[name]) for name in _KEY])
        if not self.sanitized and hashlib.sha256(f"[{key}]".encode()).hexdigest() != grant["grant_id"]:
            self.found.add("a grant does not match its id", grant["grant_id"])
        item = self.items.get(grant["grant_id"])
        if item is None or item["call"] is None:
            return
        call = self.calls.get(item["call"])
        place = (grant["system"], grant["account"], grant["container"])
        if call is None:
            self.found.add("an item names a missing call", grant["grant_id"])
        elif (
            call["place"] != place
            or grant["row"] not in call["rows"]
            or (grant["column_kind"], tuple(grant["column"])) not in call["columns"]
        ):
            self.found.add("the call of an item does not cover it", grant["grant_id"])

    def _standings(self, times: Times) -> None:
        """Check that every item ends in exactly one verdict or state."""
        verdicts = self._verdicts(times)
        for grant_id in verdicts.keys() - self.items.keys():
            self.found.add("a verdict belongs to no item", grant_id)
        for grant_id, item in self.items.items():
            verdict = verdicts.get(grant_id)
            if item["standing"] != standing(item["state"], verdict["verdict"] if verdict else None):
                self.found.add("the standing of an item does not match its verdict", grant_id)
            if item["verified_at"] != (verdict["observed_at"] if verdict else None):
                self.found.add("the time of an item does not match its verdict", grant_id)
            times.item(item)

    def _verdicts(self, times: Times) -> dict[str, Record]:
        """Return the latest verdict of each grant, and check that it is the last of its group."""
        latest: dict[str, Record] = {}
        before, closed = "", True
        for verdict in records(self.source, "verdicts"):
            grant_id = verdict["grant_id"]
            call = self.items.get(grant_id, {}).get("call")
            times.observed("a verdict", grant_id, verdict["observed_at"], call, verdict["verdict"])
            if grant_id in latest or (not closed and grant_id != before):
                self.found.add("verdicts: the verdict marked latest is not the last one of its grant", grant_id)
            if not self.sanitized and grant_id < before:
                self.found.add("verdicts: unsorted grant", grant_id)
            before, closed = grant_id, verdict.get("latest", True)
            if closed:
                latest[grant_id] = verdict
        if not closed:
            self.found.add("verdicts: the verdict marked latest is not the last one of its grant", before)
        return latest

    def _approval(self, review: Record, plan: Record | None) -> None:
        approvals = list(records(self.source, "approvals"))
        if len(approvals) > 1 or (approvals and plan is None):
            self.found.add("there is an approval without a plan")
        for approval in approvals:
            if plan is not None and approval["digest"] != plan["digest"]:
                self.found.add("the approval is for another plan")
            by_person = approval["answer"] == "approve" and not approval["automatic"]
            name = approval.get("responded_by_name") or approval["responded_by"]
            if by_person and may_be_one(name, approval["requested_by"], review["requested_by"]):
                self.found.add("the requester approved their own run")
            by = f"{answered_by(approval)!r}{' (a rule)' if approval['automatic'] else ''}"
            answer = f"answered {approval['answer']!r} by {by}" if approval["answer"] else "not answered"
            self.notes.append(f"approval requested by {approval['requested_by']!r}, {answer}")
            self._answer(review, approval)

    def _answer(self, review: Record, approval: Record) -> None:
        """Check the signature of the answer. A sanitized copy holds pseudonyms, which no signature fits."""
        if self.sanitized:
            self.notes.append("a copy without personal data: the signature of the approval cannot be checked")
            return
        problem, note = check_answer(review, approval, self.approval_keys)
        if problem:
            self.found.add(problem)
        if note:
            self.notes.append(note)

    def _effects(self, review: Record, plan: Record | None) -> None:
        """Check that the approved bytes give the plan's digest and name exactly the items that have a call."""
        if plan is not None and plan["policy_version"] != review["policy_version"]:
            self.found.add("the policy version of the plan does not match the run")
        there = EFFECTS in {entry["name"] for entry in self.manifest["files"]}
        if there != (plan is not None and not self.sanitized):
            self.found.add(f"{EFFECTS} is missing, or present without a plan")
        if plan is None or not there:
            return
        total, head = hashlib.sha256(), b""
        with self.source.open(EFFECTS) as file:
            while piece := file.read(_PIECE):
                total.update(piece)
                head = head or piece
        policy = _POLICY.search(head)
        if policy is not None and json.loads(policy[1]) != plan["policy_version"]:
            self.found.add("the policy version of the approved effects does not match the plan")
        if total.hexdigest() != plan["digest"]:
            self.found.add("the digest of the approved effects does not match the plan")
        else:
            named = set(effect_ids(self.source))
            planned = {grant_id for grant_id, item in self.items.items() if item["call"] is not None}
            for grant_id in named ^ planned:
                self.found.add("the approved effects do not match the planned items", grant_id)

    def _narrowing(self, review: Record, plan: Record | None, times: Times) -> None:
        """Check what an approver left out. A sanitized copy has neither effects nor a signature that fits."""
        narrowing = (plan or {}).get("narrowing")
        narrowed = plan is not None and narrowing is not None and narrowing["digest"] != plan["digest"]
        there = EFFECTS_BEFORE in {entry["name"] for entry in self.manifest["files"]}
        if there != (narrowed and not self.sanitized):
            self.found.add(f"{EFFECTS_BEFORE} is missing, or present although nothing was left out")
            return
        if plan is None or self.sanitized:
            return
        found, notes = check_narrowing(self.source, review, plan, self.items, self.approval_keys)
        self.notes += notes
        for problem in found:
            self.found.add(problem)
        if narrowing is not None:
            order = (narrowing["requested_at"], narrowing["responded_at"], plan["created_at"] if narrowed else None)
            times.order("the times of what was left out are out of order", review["run"], *order)
            times.order("a part was left out too late", review["run"], order[1], narrowing["valid_until"])

    def _settings(self, plan: Record | None) -> None:
        """Check that the recorded settings are those whose digest was approved."""
        record = next((one for one in records(self.source, "inputs") if one["name"] == SETTINGS), None)
        if record is not None:
            users = record["facts"]["record"]["settings"].get("approvers", [])
            named = (shown_user(one["id"], one["name"]) if isinstance(one, dict) else one for one in users)
            approvers = ", ".join(map(repr, named))
            self.notes.append(f"settings {record['sha256']}, approvers {approvers or 'none'}")
        if self.sanitized or plan is None:
            return
        recorded = "" if record is None else hashlib.sha256(encode(record["facts"]["record"])).hexdigest()
        if record is not None and record["sha256"] != recorded:
            self.found.add("the recorded settings do not match their digest")
        head = b""
        with self.source.open(EFFECTS) as file:
            while b',"systems":[' not in head and (piece := file.read(_PIECE)):
                head += piece
        bound = _BOUND.findall(head.partition(b',"systems":[')[0])
        if bound != [recorded.encode()]:
            self.found.add("the recorded settings are not those that were approved")

    def _attempts(self, review: Record, plan: Record | None, approval: Record | None, times: Times) -> None:
        tries: Counter[str] = Counter()
        for attempt in records(self.source, "attempts"):
            call = attempt["call"]
            tries[call] += 1
            if call not in self.calls:
                self.found.add("an attempt belongs to no planned call", call)
            if attempt["attempt"] != tries[call]:
                self.found.add("the attempts of a call are not numbered from 1 without gaps", call)
            if plan is None or attempt["plan_digest"] != plan["digest"]:
                self.found.add("an attempt was made under another plan", call)
            if approval is None or approval["answer"] != "approve":
                self.found.add("an attempt was made without approval", call)
            times.attempt(attempt)
        if tries and review["dry_run"]:
            self.found.add("a dry run sent a request")
        self.notes.append(f"{sum(tries.values())} attempts of {len(tries)} calls for {len(self.items)} items")

    def _times(self, times: Times) -> None:
        """Check the order of all times that do not depend on an item."""
        times.run()
        for scope in records(self.source, "scopes"):
            times.scope(scope)
        for one in records(self.source, "inputs"):
            times.in_run("an input", one["name"], one["recorded_at"])
        check_owner_answers(self.source, self.items, times, sanitized=self.sanitized)
        for event in records(self.source, "switch"):
            times.in_run("the kill switch", "", event["changed_at"])
        for check in records(self.source, "kept"):
            times.observed("a retained grant", f"{check['system']} {check['account']}", check["observed_at"], None)
        if remark := times.note():
            self.notes.append(remark)

    def _findings(self) -> None:
        """Check that the findings list every open item, and nothing else."""
        expected = {(i["standing"], g) for g, i in self.items.items() if i["standing"] not in (*PROVEN, "restored")}
        expected |= {
            ("scope_incomplete", s["scope"]) for s in records(self.source, "scopes") if s["state"] != "complete"
        }
        expected |= {("kept_lost", lost) for check in records(self.source, "kept") for lost in check["lost"]}
        kept = {("held", g) for g, i in self.items.items() if was_left_out(i["standing"], i["reason"])}
        expected = (expected - kept) | {("kept", ident) for _, ident in kept}
        listed = [(finding["finding"], finding["subject"]) for finding in records(self.source, "findings")]
        # Older versions called these "held".
        listed = [("kept", one[1]) if one in kept else one for one in listed]
        for _, subject in expected ^ set(listed):
            self.found.add("the findings do not match the open items", subject)
        if len(set(listed)) != len(listed):
            self.found.add("duplicate finding")
        counts = Counter(finding for finding, _ in listed)
        self.notes += [f"open: {count} {finding}" for finding, count in sorted(counts.items())]
