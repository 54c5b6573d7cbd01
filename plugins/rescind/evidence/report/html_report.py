"""Write the HTML report of a run from its bundle: one file, no scripts, nothing loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup, escape

from rescind.evidence.bundle.format import bundle_name
from rescind.evidence.bundle.read import Source
from rescind.evidence.bundle.text import shown
from rescind.evidence.report.counting import figures
from rescind.evidence.report.figures import SHOWN_WAYS, Figures, time_of
from rescind.evidence.report.tables import Joined
from rescind.i18n import SOURCE, current, local_time, mark, reading, tr
from rescind.model import NEW_RUN
from rescind.run_state.leaver_clock import span
from rescind.run_state.states import closed_state, proof_state, what_remains, words_of
from rescind.stored_text import translated

_TEMPLATE = "report.html.j2"


FONTS = {
    "zh-CN": '"PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", "Noto Sans SC"',
    "ja": '"Hiragino Sans", "Yu Gothic UI", "Yu Gothic", Meiryo, "Noto Sans CJK JP", "Noto Sans JP"',
}
"""Families with the shapes of characters that a language uses."""
_WORDS = (
    mark("keep"), mark("ask"), mark("critical"), mark("info"), mark("approve"), mark("reject"), mark("pending"),
    mark("without outcome"), mark("refused"), mark("throttled"), mark("leaver"), mark("warning"),
    mark("This bundle shows what a control did in one run. It is no opinion that the control is effective."),
)  # fmt: skip
"""Machine words that reach the report from a bundle; further ones are marked where they are made."""


def write_report(
    source: Source, out: str | Path, rows: Iterable[Joined] | None = None, *, language: str = SOURCE, zone: str = ""
) -> None:
    """Write the report of a bundle; the same bundle, language and time zone give the same bytes.

    :param rows: its joined rows, if somebody else reads them in the same pass.
    :param language: a tag of :data:`rescind.i18n.LANGUAGES`.
    :param zone: time zone that stands beside UTC; empty: UTC only.
    """
    facts = figures(source, rows)  # what is read, and tables that are written in the same pass, stay in English
    with reading(language, zone):
        Path(out).write_bytes(report(facts))


def report(facts: Figures) -> bytes:
    """Return the report in the language of this context, UTF-8."""
    reader = current()
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"t": text, "num": number, "words": words_of, "span": span, "at": at, "utc": utc}
    environment.filters |= {"word": _word, "reason": lambda value: translated("" if value is None else str(value))}
    environment.globals |= {"tr": _phrase, "mark": mark, "mono": _mono, "code": _code, "bold": _bold}
    titles = facts.review.get("titles", {})
    environment.filters["title"] = lambda system: tr(titles.get(system, system))
    template = resources.files("rescind.evidence.report").joinpath(_TEMPLATE).read_text(encoding="utf-8")
    page = environment.from_string(template).render(
        f=facts,
        headline=headline(facts),
        name=bundle_name(facts.manifest["seal"], facts.manifest["run"]),
        ways=facts.ways.most_common(SHOWN_WAYS),
        unproven=facts.unproven.most_common(SHOWN_WAYS),
        short=lambda value, length=12: str(value)[:length],
        language=reader.language,
        zone=reader.zone,
        fonts=Markup(FONTS.get(reader.language, "")),
        options="".join(
            f" --{name} {value}"
            for name, value, usual in (("language", reader.language, SOURCE), ("time-zone", reader.zone, ""))
            if value != usual
        ),
    )
    return page.encode("utf-8", "backslashreplace")


def headline(facts: Figures) -> Mapping[str, Any]:
    """Return the first line of the report: a word, its tone (good, warn, bad, plain), and one sentence."""
    counts, operation = facts.counts, "restore" if facts.restoring else "revoke"
    if facts.review["dry_run"]:
        word = _sentence(closed_state("dry_run", counts, operation=operation).text)
        return _said("plain", word, tr("{count} grants were planned.", count=number(facts.total["planned"])))
    if facts.plan is None:
        return _said("bad", tr("No plan"), tr("The run ended before a plan was made. Nothing was sent."))
    if facts.approval_problem:
        why = tr("The recorded answer counts as none: {problem}.", problem=translated(facts.approval_problem))
        return _said("bad", tr("Not approved"), why)
    if facts.approval is not None and facts.approval["answer"] == "reject":
        return _said("plain", tr("Rejected"), tr("The plan was rejected. Nothing was sent."))
    if facts.plan["calls"] == 0 and facts.total["left_out"]:
        text = tr("The approver left out all {count} grants. Nothing was sent.", count=number(facts.total["left_out"]))
        return _said("warn", tr("Kept"), text)
    if facts.approval is None or facts.approval["answer"] is None:
        return _said("bad", tr("Not approved"), tr("Nobody approved the plan. Nothing was sent."))
    proof = mark("{done} of {total} grants are restored.") if facts.restoring else _PROVEN
    sentence = tr(proof, done=number(counts.proven), total=number(counts.items))
    left = what_remains(counts, operation=operation)
    remaining = tr("What remains: {parts}.", parts=tr("; ").join(left)) if left else ""
    more = _unexpected(facts)
    state = closed_state(
        "failed" if more or facts.review["state"] == "failed" else "succeeded",
        counts,
        operation=operation,
        answer=facts.approval["answer"],
        calls=facts.plan["calls"],
    )
    state = proof_state(state, None, "") if facts.known_only else state
    between = "" if current().language in FONTS else " "
    return _said(state.tone, _sentence(state.text), between.join(filter(None, [sentence, remaining, *more])))


_PROVEN = mark("{done} of {total} grants are proven gone.")


def _said(tone: str, word: str, text: str) -> dict[str, str]:
    return {"tone": tone, "word": word, "text": text}


def _unexpected(facts: Figures) -> list[str]:
    """Return a sentence for each thing that makes a run fail."""
    lost = sum(len(check["lost"]) for check in facts.kept)
    beyond = sum(int(check["detail"].get("beyond_count", 0)) for check in facts.kept)
    counted = (
        (facts.left, mark("{count} are not proven.")),
        (beyond, mark("{count} additional grants appeared.")),
        (lost, mark("{count} retained grants are missing.")),
        (facts.finding_counts["scope_incomplete"], mark("A listing was incomplete.")),
    )
    said = [tr(words, count=number(count)) for count, words in counted if count]
    return said + ([tr(NEW_RUN) + tr(".")] if facts.need_new_run else [])


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
    """Return a time to the second in UTC, with the reader's time zone ``2026-11-30 17:04:05 (12-01 01:04 UTC+8)``."""
    return _moment(value, "")


def utc(value: str | None) -> str:
    """Return a time as :func:`at` does, with ``UTC`` after it."""
    return _moment(value, " UTC")


def _moment(value: str | None, unit: str) -> str:
    if not value:
        return "" + unit
    try:
        local = local_time(time_of(value)) if current().zone else ""
    except ValueError:  # a date in words
        local = ""
    return shown(value[:19].replace("T", " ")) + unit + (f" ({local})" if local else "")


def _phrase(message: str, /, **values: Any) -> Markup:
    """Return :func:`rescind.i18n.tr` as markup: a phrase is trusted text of the package, its values are not."""
    return Markup(tr(message)).format(**values) if values else _plain(current().language, message)


@lru_cache(maxsize=1024)
def _plain(language: str, message: str) -> Markup:
    """Return a phrase without placeholders; a table has hundreds of them. The language is that of the context."""
    return Markup(tr(message))


def _word(value: Any) -> str:
    """Return a machine word in the language of the report."""
    return tr(str(value))


def _mono(value: Any) -> Markup:
    return Markup('<span class="mono">{}</span>').format(text(value))


def _code(value: str) -> Markup:
    return Markup("<code>{}</code>").format(value)


def _bold(value: str) -> Markup:
    return Markup("<b>{}</b>").format(value)
