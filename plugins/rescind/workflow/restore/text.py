"""Text of the approval request of a restore."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from rescind.errors import PlanError
from rescind.evidence.imports import IMPORTED
from rescind.i18n import mark, moment, tr
from rescind.ledger import Ledger, Plan, Run
from rescind.model import Grant
from rescind.plan.restore_effects import restored_ids
from rescind.review import PrincipalKey, principal_key
from rescind.stored_text import translated
from rescind.systems import system_named
from rescind.workflow.question.approval_text import reason_line
from rescind.workflow.question.markdown import plain
from rescind.workflow.question.people_text import PAGE, title_of
from rescind.workflow.restore.source import RestoreSource

SHORT = 40
"""Most grants that the request lists one by one."""
_EXAMPLES = 20
_COLUMNS = (
    mark("system"), mark("account"), mark("to restore"), mark("already re-granted"), mark("skipped"), mark("calls"),
)  # fmt: skip


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
            tr(
                "**{requester}** asks to restore **{count} grants** with {calls} calls. Run {number} revoked them "
                "({day}, requested by {by}).",
                requester=plain(run.requested_by),
                count=len(self.given),
                calls=plan.calls,
                number=source.number,
                day=f"{source.started_at:%Y-%m-%d}",
                by=plain(source.requester),
            ),
            "",
            reason_line(run),
            "",
            *self._proof(),
            "",
            "| " + " | ".join(map(tr, _COLUMNS)) + " |",
            "| --- | --- | ---: | ---: | ---: | ---: |",
        ]
        for row in self._ledger.summary.per_system(run.run_id):
            cells = (title_of(row.system), plain(row.account), row.not_sent, row.restored, row.held, row.calls)
            lines.append("| " + " | ".join(map(str, cells)) + " |")
        receivers = len({principal_key(grant) for grant in self.given})
        who = tr("**Who gets what** ({count} grants, {people} principals)", count=len(self.given), people=receivers)
        lines += ["", who, ""]
        lines += self._each() if len(self.given) <= SHORT else self._counted()
        systems = [system_named(name) for name in sorted({grant.key.system for grant in self.given})]
        lines += [
            "- " + tr("Not brought back, {system}: {what}.", system=tr(one.title), what=one.not_restored)
            for one in systems
            if one.not_restored
        ]
        lines += ["", *self._skipped(), ""]
        lines.append(
            tr(
                "The plan is valid until {time}. Its digest is `{digest}`. Your answer applies to exactly this plan. "
                "Without an answer nothing is sent.",
                time=moment(plan.valid_until),
                digest=plan.digest,
            )
        )
        return "\n".join(lines)

    def subject(self) -> str:
        """Return the subject of the request."""
        count = len(self.given)
        return tr("Approve restoring {count} grants ({digest})?", count=count, digest=self._plan.digest[:12])

    def _proof(self) -> Iterator[str]:
        """Yield what shows that the run revoked these grants, and whose own access could not be recognized."""
        source, known = self._source, self._source.run.params.get(IMPORTED)
        if source.root:
            how = tr("signed by this deployment") if source.signed else tr("not signed")
            yield tr(
                "The run's evidence bundle was verified ({how}, root `{root}`) and agrees with the ledger.",
                how=how,
                root=source.root,
            )
        else:
            yield tr(
                "**No evidence bundle shows what run {number} revoked. The ledger alone says so, and anyone who can "
                "write to it may have added grants that nobody had. Compare each one with another source.**",
                number=source.run.number,
            )
        if known:
            yield tr(
                "This ledger knows run {number} only from that bundle, where it was run {before}, started {day}. Later "
                "changes are known from the platform only.",
                number=source.run.number,
                before=known["number"],
                day=plain(known["started_at"])[:10],
            )
        if self._strangers:
            yield ""
            yield tr(
                "**The roster links no person to {names}. Check yourself that none of them gets access below.**",
                names=tr(", ").join(map(plain, self._strangers)),
            )

    def _each(self) -> Iterator[str]:
        ordered = sorted((grant.key.system, self._who(principal_key(grant)), grant.key, grant) for grant in self.given)
        for _, who, key, grant in ordered:
            until = tr(", until {time}", time=plain(grant.expires_raw)) if grant.expires_raw else ""
            what = tr("{right} on {resource}", right=f"**{plain(key.entitlement)}**", resource=_resource(grant))
            yield f"- {who}: {what}{until}, {title_of(key.system)}, {plain(key.account)}"

    def _counted(self) -> Iterator[str]:
        """Yield the receivers with their rights and the number of resources, those with the most grants first."""
        rights: defaultdict[PrincipalKey, Counter[str]] = defaultdict(Counter)
        for grant in self.given:
            rights[principal_key(grant)][grant.key.entitlement] += 1
        most = sorted(rights.items(), key=lambda pair: (-pair[1].total(), pair[0]))
        for who, counts in most[:_EXAMPLES]:
            shown = tr(", ").join(
                tr("{right} on {count} resources", right=plain(right), count=times)
                for right, times in counts.most_common()
            )
            yield f"- {self._who(who)}, {title_of(who.system)}: {shown}"
        if len(most) > _EXAMPLES:
            yield "- " + tr("and {count} more principals", count=len(most) - _EXAMPLES)
        every = Counter(grant.key.entitlement for grant in self.given)
        yield ""
        times = [tr("{right} {count} times", right=plain(right), count=count) for right, count in every.most_common()]
        yield tr("All rights: {rights}.", rights=tr(", ").join(times))
        number = self._run.number
        yield ""
        yield tr(
            "[The whole list]({page}) is on the page *Access reviews*, run {number}, *Items*.",
            page=f"{PAGE}/{number}/items",
            number=number,
        )

    def _who(self, key: PrincipalKey) -> str:
        name = self._names.get(key) or next(
            (grant.principal_name for grant in self.given if grant.principal_name and principal_key(grant) == key), ""
        )
        ident = f"{plain(tr(str(key.principal_type)))} {plain(key.principal_id)}"
        return f"{plain(name)} ({ident})" if name and name != key.principal_id else ident

    def _skipped(self) -> list[str]:
        items = self._ledger.plans.items(self._run.run_id)
        reasons = Counter(item.reason for item in items if item.call_id is None)
        return [
            "- " + tr("{count} without a call: {reason}", count=count, reason=plain(translated(reason), 200))
            for reason, count in reasons.most_common()
        ]


def _resource(grant: Grant) -> str:
    """Return the resource with its kind, name and id."""
    key = grant.key
    name = f" {plain(grant.resource_name)}" if grant.resource_name and grant.resource_name != key.resource_id else ""
    known = tr(spaced := key.resource_type.replace("_", " "))
    kind = key.resource_type if known == spaced else known
    return f"{plain(kind)}{name} ({plain(key.resource_id, 200)})"
