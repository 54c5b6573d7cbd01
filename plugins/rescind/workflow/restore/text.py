"""Text of the approval request of a restore."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from rescind.errors import PlanError
from rescind.evidence.imports import IMPORTED
from rescind.ledger import Ledger, Plan, Run
from rescind.model import Grant
from rescind.plan.restore_effects import restored_ids
from rescind.review import PrincipalKey, principal_key
from rescind.systems import system_named
from rescind.workflow.question.markdown import plain
from rescind.workflow.restore.source import RestoreSource

SHORT = 40
"""Most grants that the request lists one by one."""
_EXAMPLES = 20
_PAGE = "rescind/runs"
"""Path of the page "Access reviews". Airflow resolves a relative link against the path that it is served under."""


class RestoreText:
    """The approval request: requester, reason, source, who gets what on what, and the digest.

    :param source: the verified source of the restore.
    :param strangers: requester and approvers whom the roster does not link to a person.
    :raises PlanError: when the plan restores a grant that is not in the source.
    """

    def __init__(
        self, ledger: Ledger, run: Run, plan: Plan, source: RestoreSource, strangers: Sequence[str] = ()
    ) -> None:
        self._ledger, self._run, self._plan, self._source = ledger, run, plan, source
        self._strangers = strangers
        ids = restored_ids(ledger.plans.effects(run.run_id, plan.digest))
        if ids - source.grants.keys():
            raise PlanError(
                f"plan {plan.digest[:12]} restores {len(ids - source.grants.keys())} grants that run "
                f"{source.run.number} did not revoke. Nothing was sent; start a new run"
            )
        self.given = [grant for ident, grant in sorted(source.grants.items()) if ident in ids]
        self._names = {principal_key(one): one.name for one in source.principals if one.name}

    def body(self) -> str:
        """Return the request in Markdown."""
        run, plan, source = self._run, self._plan, self._source.run
        lines = [
            f"**{plain(run.requested_by)}** asks to restore **{len(self.given)} grants** with {plan.calls} calls. Run "
            f"{source.number} revoked them ({source.started_at:%Y-%m-%d}, requested by {plain(source.requester)}).",
            "",
            f"Reason: {plain(run.reason, 500)}" + (f" · ticket {plain(run.ticket)}" if run.ticket else ""),
            "",
            *self._proof(),
            "",
            "| system | account | to restore | already re-granted | skipped | calls |",
            "| --- | --- | ---: | ---: | ---: | ---: |",
        ]
        for row in self._ledger.summary.per_system(run.run_id):
            cells = (
                system_named(row.system).title,
                plain(row.account),
                row.not_sent,
                row.restored,
                row.held,
                row.calls,
            )
            lines.append("| " + " | ".join(map(str, cells)) + " |")
        receivers = len({principal_key(grant) for grant in self.given})
        lines += ["", f"**Who gets what** ({len(self.given)} grants, {receivers} principals)", ""]
        lines += self._each() if len(self.given) <= SHORT else self._counted()
        systems = [system_named(name) for name in sorted({grant.key.system for grant in self.given})]
        lines += [f"- Not brought back, {one.title}: {one.not_restored}." for one in systems if one.not_restored]
        lines += ["", *self._skipped(), ""]
        lines.append(
            f"The plan is valid until {plan.valid_until:%Y-%m-%d %H:%M} UTC. Its digest is `{plan.digest}`. "
            "Your answer applies to exactly this plan. Without an answer nothing is sent."
        )
        return "\n".join(lines)

    def _proof(self) -> Iterator[str]:
        """Yield what shows that the run revoked these grants, and whose own access could not be recognized."""
        source, known = self._source, self._source.run.params.get(IMPORTED)
        if source.root:
            how = "signed by this deployment" if source.signed else "not signed"
            yield f"The run's evidence bundle was verified ({how}, root `{source.root}`) and agrees with the ledger."
        else:
            yield (
                f"**No evidence bundle shows what run {source.run.number} revoked. The ledger alone says so, and anyone"
                " who can write to it may have added grants that nobody had. Compare each one with another source.**"
            )
        if known:
            yield (
                f"This ledger knows run {source.run.number} only from that bundle, where it was run {known['number']}, "
                f"started {plain(known['started_at'])[:10]}. Later changes are known from the platform only."
            )
        if self._strangers:
            yield ""
            yield (
                f"**The roster links no person to {', '.join(map(plain, self._strangers))}. Check yourself that none"
                " of them gets access below.**"
            )

    def _each(self) -> Iterator[str]:
        ordered = sorted((grant.key.system, self._who(principal_key(grant)), grant.key, grant) for grant in self.given)
        for _, who, key, grant in ordered:
            until = f", until {plain(grant.expires_raw)}" if grant.expires_raw else ""
            yield (
                f"- {who}: **{plain(key.entitlement)}** on {_resource(grant)}{until}, "
                f"{system_named(key.system).title}, {plain(key.account)}"
            )

    def _counted(self) -> Iterator[str]:
        """Yield the receivers with their rights and the number of resources, those with the most grants first."""
        rights: defaultdict[PrincipalKey, Counter[str]] = defaultdict(Counter)
        for grant in self.given:
            rights[principal_key(grant)][grant.key.entitlement] += 1
        most = sorted(rights.items(), key=lambda pair: (-pair[1].total(), pair[0]))
        for who, counts in most[:_EXAMPLES]:
            shown = ", ".join(f"{plain(right)} on {times} resources" for right, times in counts.most_common())
            yield f"- {self._who(who)}, {system_named(who.system).title}: {shown}"
        if len(most) > _EXAMPLES:
            yield f"- and {len(most) - _EXAMPLES} more principals"
        every = Counter(grant.key.entitlement for grant in self.given)
        yield ""
        yield "All rights: " + ", ".join(f"{plain(right)} {times} times" for right, times in every.most_common()) + "."
        number = self._run.number
        yield ""
        yield f"[The whole list]({_PAGE}/{number}/items) is on the page *Access reviews*, run {number}, *Items*."

    def _who(self, key: PrincipalKey) -> str:
        name = self._names.get(key) or next(
            (grant.principal_name for grant in self.given if grant.principal_name and principal_key(grant) == key), ""
        )
        ident = f"{plain(str(key.principal_type))} {plain(key.principal_id)}"
        return f"{plain(name)} ({ident})" if name and name != key.principal_id else ident

    def _skipped(self) -> list[str]:
        items = self._ledger.plans.items(self._run.run_id)
        reasons = Counter(item.reason for item in items if item.call_id is None)
        return [f"- {count} without a call: {plain(reason, 200)}" for reason, count in reasons.most_common()]


def _resource(grant: Grant) -> str:
    """Return the resource with its kind, name and id."""
    key = grant.key
    name = f" {plain(grant.resource_name)}" if grant.resource_name and grant.resource_name != key.resource_id else ""
    return f"{plain(key.resource_type)}{name} ({plain(key.resource_id, 200)})"
