"""Text of the second question."""

from __future__ import annotations

from collections.abc import Mapping

from rescind.errors import PlanError
from rescind.i18n import tr, trn
from rescind.ledger import Ledger, Plan, Run, Selection
from rescind.workflow.closing.surroundings import product
from rescind.workflow.narrowing.narrow import narrowing_of
from rescind.workflow.narrowing.selected import selection_of
from rescind.workflow.question.markdown import plain
from rescind.workflow.question.people_text import PAGE, grants_of, title_of
from rescind.workflow.question.plan_people import Holder, plan_people, who

_NAMED = 12


def part_request(ledger: Ledger, run: Run, plan: Plan, subject: str, body: str) -> tuple[str, str]:
    """Return subject and body (Markdown) of the second question.

    :param subject: of the question about the narrower plan alone, like ``body``.
    :raises PlanError: when nothing was left out.
    """
    narrowing = narrowing_of(ledger, run, plan)
    if narrowing is None:
        raise PlanError("nothing was left out of this plan. Start a new run")
    before = ledger.plans.get(run.run_id, narrowing.digest)
    lines = [
        tr(
            "**Second question.** {name} left out {grants} of plan `{digest}`. That answer approved nothing. This is "
            "the plan without them: {calls}, before {before}.",
            name=plain(narrowing.by),
            grants=grants_of(narrowing.grants),
            digest=narrowing.digest[:12],
            calls=trn("{count} call", "{count} calls", plan.calls),
            before=before.calls,
        ),
        "",
        tr("Kept by {name}: {comment}", name=plain(narrowing.by), comment=plain(narrowing.comment, 500)),
        "",
    ]
    people = plan_people(ledger, run)
    names = {person.key: who(person) for person in people.people}
    selection = selection_of(ledger, run.run_id, narrowing.left_out)
    if selection is None:
        parts, total = [_part(tuple(one), names) for one in narrowing.left_out[:_NAMED]], len(narrowing.left_out)
    else:
        parts, total = _lines(ledger, run, selection, people.names), len(selection.grant_ids)
        if more := narrowing.grants - total:
            lines += [tr("With these lines, {grants} stay that would only close paths.", grants=grants_of(more)), ""]
    lines += [f"- {one}" for one in parts]
    if total > _NAMED:
        rest = tr("and {count} more, in the full list", count=total - _NAMED)
        lines.append(f"- [{rest}]({PAGE}/{run.number}/items?state=held)")
    asked = tr("Second question: {question}", question=f"{subject[0].lower()}{subject[1:]}")
    return asked, "\n".join([*lines, "", body])


def _lines(ledger: Ledger, run: Run, selection: Selection, names: Mapping[Holder, str]) -> list[str]:
    """Return the first lines of a selection: who keeps what on what."""
    grants = ledger.snapshot.grants_by_id(run.run_id, selection.grant_ids[:_NAMED])
    found = []
    for key in (grants[ident].key for ident in selection.grant_ids[:_NAMED]):
        name = names.get((product(key.system), key.account, key.principal_id), "") or key.principal_id
        on = plain(grants[key.grant_id].resource_name or key.resource_id)
        may = tr("{right} on {resource}", right=plain(key.entitlement), resource=on)
        found.append(plain(name) + tr(": ") + may + tr(", ") + title_of(key.system))
    return sorted(found)


def _part(chosen: tuple[str, ...], names: dict[tuple[str, ...], str]) -> str:
    *person, system = chosen
    # Whom the roster does not know is somebody else in each system.
    system = system or "".join(person[:-1][:1])
    ident = plain(" ".join(person[-1:]))
    name = names.get(tuple(person), "")
    where = tr(", ") + tr("{system} only", system=title_of(system)) if system else ""
    return f"{plain(name)} ({ident}){where}" if name and name != ident else f"{ident}{where}"
