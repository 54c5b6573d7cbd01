"""Draw the two pictures of ``docs/architecture.md``: the packages, from the rules of ``tests/unit/test_arrows.py``, and
the data flow of a run.

python -m tests.docs.pictures [--write]
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path
from xml.sax.saxutils import escape

from tests.unit.test_arrows import AIRFLOW, MAY_IMPORT, ROOT

IMAGES = ROOT / "docs" / "images"
NOT_DRAWN = {"__init__", "__main__", "provider_info", "airflow_plugin"}
ABOUT = {
    "airflow_support": "shared by operators",
    "approval_signature": "signs approvals",
    "cli": "command lines",
    "cloud": "speaks to the vendors",
    "dag_parts": "chains, forms, retries",
    "data_files": "finds files of the wheel",
    "errors": "base of all errors",
    "evidence": "bundle, verifier, report",
    "example_dags": "one per vendor call",
    "hooks": "connections to clients",
    "ledger": "PostgreSQL",
    "model": "grant, decision, call",
    "notifications": "messages to chats",
    "operators": "one per stage and call",
    "plan": "fewest calls, guards",
    "review": "policies to decisions",
    "sensors": "wait until a grant is gone",
    "settings": "one JSON variable",
    "systems": "one class per system",
    "triggers": "wait without a worker",
    "web": "the page",
    "workflow": "stages without Airflow",
}
STYLE = """<style>
  text { font: 13px system-ui, sans-serif; fill: #1c2733 }
  .small { font-size: 11px; fill: #51606f }
  .head { font-weight: 600 }
  rect { fill: #f3f6fa; stroke: #8496a9; rx: 6 }
  .back { fill: #ffffff; stroke: none }
  .airflow { fill: #e3eefc; stroke: #4a7fc1 }
  .store { fill: #e9f5ec; stroke: #4d9a63 }
  .human { fill: #fdf1dd; stroke: #c18a35 }
  path { fill: none; stroke: #51606f; stroke-width: 1.5 }
  marker path { fill: #51606f; stroke: none }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .small { fill: #a9b6c3 }
    rect { fill: #232b36; stroke: #66788b } .back { fill: #151b23 }
    .airflow { fill: #1d3350; stroke: #5b93d6 } .store { fill: #1c3726; stroke: #58a871 }
    .human { fill: #40331c; stroke: #cf9a4a }
    path { stroke: #a9b6c3 } marker path { fill: #a9b6c3 }
  }
</style>
<defs><marker id="end" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto-start-reverse">
<path d="M0 0 L8 4 L0 8 z"/></marker></defs>"""


def packages() -> str:
    """The packages in rows: each may import from rows below its own only."""
    rows = defaultdict(list)
    drawn = {name: {to for to in may if to in MAY_IMPORT} for name, may in MAY_IMPORT.items() if name not in NOT_DRAWN}
    for name in drawn:
        rows[_level(name, drawn)].append(name)
    top = max(rows)
    width, step = 940, 78
    parts = [
        _text(20, 28, "dags/ are thin files on top. A package imports from the rows below it, never upward.", "head")
    ]
    for level in range(top, -1, -1):
        y = 48 + (top - level) * step
        names = sorted(rows[level])
        size = min(170, (width - 40) // len(names) - 12)
        left = (width - len(names) * (size + 12) + 12) // 2
        for index, name in enumerate(names):
            kind = "airflow" if AIRFLOW in MAY_IMPORT[name] else "store" if name == "ledger" else ""
            parts += _box(left + index * (size + 12), y, size, name, ABOUT.get(name, ""), kind)
        if level:
            parts.append(f'<path d="M{width // 2} {y + 53} v16" marker-end="url(#end)"/>')
    height = 48 + (top + 1) * step + 20
    parts.append(
        _text(
            20,
            height - 12,
            "Blue packages import Airflow themselves. Green holds the SQL.",
            "small",
        )
    )
    return _picture(width, height, "The packages of Rescind in rows", parts)


STAGES = {
    "preflight": "checks first", "discover": "lists all grants", "seal": "closes snapshot", "decide": "by policy",
    "ask": "owners answer", "plan": "fewest calls", "approve": "one digest", "canary": "few calls first",
    "revoke": "batches of calls", "verify": "lists again", "report": "evidence", "gate": "red or green",
}  # fmt: skip
VENDORS = {
    "discover": "complete listings", "canary": "intent, then call", "revoke": "intent, then call",
    "verify": "complete listings",
}  # fmt: skip
PEOPLE = {"ask": "owner", "approve": "approver"}
WRITES = {
    "discover": "grants, certificates", "decide": "decisions", "plan": "effects, digest", "approve": "approval",
    "canary": "intents, outcomes", "revoke": "intents, outcomes", "verify": "verdicts",
}  # fmt: skip


def flow() -> str:
    """The stages of a run from left to right, between the vendors above and the ledger below."""
    size, gap, left = 108, 16, 20
    width = left * 2 + len(STAGES) * (size + gap) - gap
    parts = _box(
        left,
        20,
        width - 2 * left,
        "Tencent WeData, Alibaba DMS, Alibaba Quick BI",
        "asked for facts; the answer is checked",
        "",
    )
    for index, (name, about) in enumerate(STAGES.items()):
        x = left + index * (size + gap)
        middle = x + size // 2
        parts += _box(x, 170, size, name, about, "airflow")
        if index:
            parts.append(f'<path d="M{x - gap} 195 h{gap - 3}" marker-end="url(#end)"/>')
        if name in VENDORS:
            parts.append(f'<path d="M{middle} 168 V74" marker-start="url(#end)" marker-end="url(#end)"/>')
            parts.append(_text(middle, 126, VENDORS[name], "small", middle=True, back=size))
        if name in PEOPLE:
            parts += _box(x + 8, 96, size - 16, PEOPLE[name], "a person", "human")
            parts.append(f'<path d="M{middle} 148 V166" marker-end="url(#end)"/>')
        parts.append(f'<path d="M{middle} 222 V292" marker-start="url(#end)" marker-end="url(#end)"/>')
        if name in WRITES:
            parts.append(_text(middle, 260, WRITES[name], "small", middle=True, back=size))
    parts += _box(
        left,
        296,
        width - 2 * left,
        "Ledger (PostgreSQL)",
        "every fact, intent and outcome; tasks pass references and digests only",
        "store",
    )
    bundle = width - left - 2 * (size + gap) + gap - size // 2
    parts += _box(
        bundle, 386, size * 2 + gap, "Evidence bundle, report", "made from the ledger, verified offline", "store"
    )
    parts.append(f'<path d="M{bundle + size} 348 V382" marker-end="url(#end)"/>')
    return _picture(width, 456, "The data flow of a run", parts)


def _level(name: str, drawn: dict[str, set[str]]) -> int:
    return max((1 + _level(to, drawn) for to in drawn[name] if to in drawn), default=0)


def _box(x: int, y: int, width: int, name: str, about: str, kind: str) -> list[str]:
    middle = x + width // 2
    return [
        f'<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="50"/>',
        _text(middle, y + 21, name, "head", middle=True),
        _text(middle, y + 38, about, "small", middle=True),
    ]


def _text(x: int, y: int, text: str, kind: str, *, middle: bool = False, back: int = 0) -> str:
    anchor = ' text-anchor="middle"' if middle else ""
    behind = f'<rect class="back" x="{x - back // 2}" y="{y - 13}" width="{back}" height="18"/>\n' if back else ""
    return f'{behind}<text class="{kind}" x="{x}" y="{y}"{anchor}>{escape(text)}</text>'


def _picture(width: int, height: int, title: str, parts: list[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="{title}">'
    back = f'<rect class="back" width="{width}" height="{height}"/>'
    return "\n".join([head, f"<title>{title}</title>", STYLE, back, *parts, "</svg>"]) + "\n"


PICTURES = {IMAGES / "packages.svg": packages, IMAGES / "data-flow.svg": flow}


def main() -> int:
    """Print the pictures, or write them."""
    for path, draw in PICTURES.items():
        if "--write" in sys.argv[1:]:
            Path(path).write_text(draw(), encoding="utf-8")
        else:
            print(draw())
    return 0


if __name__ == "__main__":
    sys.exit(main())
