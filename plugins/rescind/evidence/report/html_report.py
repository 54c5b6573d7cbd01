"""Write the HTML report of a run from its bundle: one file, no scripts, nothing loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup, escape

from rescind.evidence.bundle.format import bundle_name
from rescind.evidence.bundle.read import Source
from rescind.evidence.bundle.text import shown
from rescind.evidence.report.figures import SHOWN_WAYS, Figures, figures
from rescind.model import NEW_RUN

_TEMPLATE = "report.html.j2"
_WORDS = {
    "verified_gone": "verified gone",
    "record_gone": "record gone, access not proven gone",
    "already_absent": "already absent",
    "still_present": "still present",
    "still_effective": "still effective",
    "unverified": "unverified",
    "without_verdict": "no verdict",
    "not_sent": "not sent",
    "scope_incomplete": "listing incomplete",
    "kept_lost": "retained, missing",
}


def write_report(source: Source, out: str | Path) -> None:
    """Write the report of a bundle; the same bundle gives the same bytes."""
    Path(out).write_bytes(report(figures(source)))


def report(facts: Figures) -> bytes:
    """Return the report, UTF-8."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"t": text, "num": number, "words": words, "span": span, "at": at}
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
    planned, gone = facts.total["planned"], facts.total["restored" if facts.restoring else "gone"]
    lost = sum(len(check["lost"]) for check in facts.kept)
    if facts.review["dry_run"]:
        return {"tone": "plain", "word": "Dry run", "text": f"Nothing was sent. {number(planned)} grants were planned."}
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
    if facts.approval is None or facts.approval["answer"] is None:
        return {"tone": "bad", "word": "Not approved", "text": "Nobody approved the plan. Nothing was sent."}
    proof = "verified as restored" if facts.restoring else "verified gone"
    sentence = f"{number(gone)} of {number(planned)} planned grants are {proof}."
    more = [f"{number(facts.left)} are not proven."] if facts.left else []
    beyond = sum(int(check["detail"].get("beyond_count", 0)) for check in facts.kept)
    more += [f"{number(beyond)} additional grants appeared."] if beyond else []
    more += [f"{number(lost)} retained grants are missing."] if lost else []
    more += ["A listing was incomplete."] if facts.finding_counts["scope_incomplete"] else []
    more += [f"{NEW_RUN}."] if facts.need_new_run else []
    if more:
        return {"tone": "bad", "word": "Open", "text": " ".join([sentence, *more])}
    rest = []
    if remains := facts.standings["still_effective"]:
        rest.append(f"For {number(remains)} the same right remains through another path.")
    if unproven := facts.standings["record_gone"]:
        rest.append(f"For {number(unproven)} the record is gone, but it was not proven that access is gone.")
    if rest:
        word = "Closed, access remains" if remains else "Closed, access not proven gone"
        return {"tone": "warn", "word": word, "text": " ".join([sentence, *rest])}
    return {"tone": "good", "word": "Closed", "text": sentence}


def text(value: Any) -> Markup:
    """Return foreign text as safe HTML: escaped, invisible characters spelled out, text direction isolated."""
    return Markup("<bdi>{}</bdi>").format(escape(shown("" if value is None else str(value))))


def number(value: int) -> str:
    """Return a number with thousands separators: 12,345."""
    return f"{value:,}"


def words(value: str) -> str:
    """Return the label of a standing."""
    return _WORDS.get(value, value)


def at(value: str | None) -> str:
    """Return a time to the second, UTC."""
    return "" if not value else shown(value[:19].replace("T", " "))


def span(seconds: float) -> str:
    """Return a duration in its two largest units."""
    left = max(int(seconds), 0)
    parts: list[str] = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        if left >= size or (unit == "s" and not parts):
            parts.append(f"{left // size} {unit}")
            left %= size
    return " ".join(parts[:2])
