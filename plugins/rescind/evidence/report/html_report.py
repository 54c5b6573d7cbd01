"""Write the HTML report of a run from its bundle: one file, no scripts, nothing loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup, escape

from rescind.evidence.bundle.format import bundle_name
from rescind.evidence.bundle.read import Source
from rescind.evidence.bundle.text import shown
from rescind.evidence.report.counting import figures
from rescind.evidence.report.figures import SHOWN_WAYS, Figures
from rescind.evidence.report.tables import Joined
from rescind.leaver_clock import span
from rescind.model import NEW_RUN
from rescind.run_state import closed_state, proof_state, what_remains, words_of

_TEMPLATE = "report.html.j2"


def write_report(source: Source, out: str | Path, rows: Iterable[Joined] | None = None) -> None:
    """Write the report of a bundle; the same bundle gives the same bytes.

    :param rows: its joined rows, if somebody else reads them in the same pass.
    """
    Path(out).write_bytes(report(figures(source, rows)))


def report(facts: Figures) -> bytes:
    """Return the report, UTF-8."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"t": text, "num": number, "words": words_of, "span": span, "at": at}
    titles = facts.review.get("titles", {})
    environment.filters["title"] = lambda system: titles.get(system, system)
    template = resources.files("rescind.evidence.report").joinpath(_TEMPLATE).read_text(encoding="utf-8")
    page = environment.from_string(template).render(
        f=facts,
        headline=headline(facts),
        name=bundle_name(facts.manifest["seal"], facts.manifest["run"]),
        ways=facts.ways.most_common(SHOWN_WAYS),
        unproven=facts.unproven.most_common(SHOWN_WAYS),
        short=lambda value, length=12: str(value)[:length],
    )
    return page.encode("utf-8", "backslashreplace")


def headline(facts: Figures) -> Mapping[str, Any]:
    """Return the first line of the report: a word, its tone (good, warn, bad, plain), and one sentence."""
    counts, operation = facts.counts, "restore" if facts.restoring else "revoke"
    lost = sum(len(check["lost"]) for check in facts.kept)
    if facts.review["dry_run"]:
        word = _sentence(closed_state("dry_run", counts, operation=operation).text)
        return {"tone": "plain", "word": word, "text": f"{number(facts.total['planned'])} grants were planned."}
    if facts.plan is None:
        return {"tone": "bad", "word": "No plan", "text": "The run ended before a plan was made. Nothing was sent."}
    if facts.approval_problem:
        return {
            "tone": "bad",
            "word": "Not approved",
            "text": f"The recorded answer counts as none: {facts.approval_problem}.",
        }
    if facts.approval is not None and facts.approval["answer"] == "reject":
        return {"tone": "plain", "word": "Rejected", "text": "The plan was rejected. Nothing was sent."}
    if facts.plan["calls"] == 0 and facts.total["left_out"]:
        text = f"The approver left out all {number(facts.total['left_out'])} grants. Nothing was sent."
        return {"tone": "warn", "word": "Kept", "text": text}
    if facts.approval is None or facts.approval["answer"] is None:
        return {"tone": "bad", "word": "Not approved", "text": "Nobody approved the plan. Nothing was sent."}
    proof = "restored" if facts.restoring else "proven gone"
    sentence = f"{number(counts.proven)} of {number(counts.items)} grants are {proof}."
    left = what_remains(counts, operation=operation)
    remaining = f"What remains: {'; '.join(left)}." if left else ""
    more = [f"{number(facts.left)} are not proven."] if facts.left else []
    beyond = sum(int(check["detail"].get("beyond_count", 0)) for check in facts.kept)
    more += [f"{number(beyond)} additional grants appeared."] if beyond else []
    more += [f"{number(lost)} retained grants are missing."] if lost else []
    more += ["A listing was incomplete."] if facts.finding_counts["scope_incomplete"] else []
    more += [f"{NEW_RUN}."] if facts.need_new_run else []
    state = closed_state(
        "failed" if more or facts.review["state"] == "failed" else "succeeded",
        counts,
        operation=operation,
        answer=facts.approval["answer"],
        calls=facts.plan["calls"],
    )
    state = proof_state(state, None, "") if facts.known_only else state
    return {
        "tone": state.tone,
        "word": _sentence(state.text),
        "text": " ".join(filter(None, [sentence, remaining, *more])),
    }


def _sentence(words: str) -> str:
    """Return ``✓ closed`` with a capital."""
    sign, _, rest = words.partition(" ")
    return f"{sign} {rest[:1].upper()}{rest[1:]}"


def text(value: Any) -> Markup:
    """Return foreign text as safe HTML: escaped, invisible characters spelled out, text direction isolated."""
    return Markup("<bdi>{}</bdi>").format(escape(shown("" if value is None else str(value))))


def number(value: int) -> str:
    """Return a number with thousands separators: 12,345."""
    return f"{value:,}"


def at(value: str | None) -> str:
    """Return a time to the second, UTC."""
    return "" if not value else shown(value[:19].replace("T", " "))
