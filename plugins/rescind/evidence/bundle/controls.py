"""The fields that auditors ask for, and which control asks for which of them.

The data (``controls.json``) is part of every bundle, so a bundle can say which fields it lacks.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from rescind.errors import InputError
from rescind.evidence.bundle.format import CONTROLS, MANIFEST, SIGNATURE, encode
from rescind.evidence.bundle.read import Source, read_json, records

_EMPTY: tuple[Any, ...] = (None, "", [], {}, "unknown")


@dataclass(frozen=True, slots=True)
class Field:
    """One field that a control asks for, and how far a bundle holds it.

    :param held: ``yes``, ``no``, or ``not applicable`` (nothing of the kind happened in this run).
    :param filled: records that hold a value, of ``records``; both 0 if no file holds the field.
    :param gap: how to fill it if no record does; empty if only the platform or the roster can say it.
    """

    block: int
    block_name: str
    name: str
    held: str
    filled: int
    records: int
    gap: str

    def line(self) -> str:
        """Return the field as one line."""
        if self.gap:
            return f"block {self.block} {self.block_name}: {self.name}: not held. {self.gap}"
        return f"block {self.block} {self.block_name}: {self.name}: empty in all {self.records} records"


def controls_bytes() -> bytes:
    """Return the field list and mapping of this version, as bundles hold it."""
    text = resources.files("rescind.evidence.bundle").joinpath("controls.json").read_text(encoding="utf-8")
    return encode(json.loads(text)) + b"\n"


def held_fields(source: Source, control: str) -> list[Field]:
    """Return every field that one control asks for, with how far this bundle holds it.

    :param control: the control's name, such as ``PCI DSS 7.2.4``; case and blanks are ignored.
    :raises InputError: for an unknown control.
    """
    data = read_json(source, CONTROLS)
    names = {_plain(name): name for name in data["controls"]}
    known = names.get(_plain(control)) or next((n for p, n in names.items() if p.endswith(_plain(control))), None)
    if known is None or not _plain(control):
        raise InputError("--control", f"unknown {control!r}", f"Use one of: {', '.join(data['controls'])}")
    wanted = set(data["controls"][known]["blocks"])
    blocks = [block for block in data["blocks"] if block["block"] in wanted]
    counts = _count(source, [field["at"] for block in blocks for field in block["fields"] if "at" in field])
    happened = _happened(source)
    return [_field(block, field, counts, happened) for block in blocks for field in block["fields"]]


def missing(source: Source, control: str) -> list[Field]:
    """Return the fields that a control asks for and this bundle lacks."""
    return [field for field in held_fields(source, control) if field.held == "no"]


def _field(
    block: Mapping[str, Any],
    field: Mapping[str, Any],
    counts: Mapping[tuple[str, ...], tuple[int, int]],
    happened: Mapping[str, bool],
) -> Field:
    filled, total = counts.get(tuple(field.get("at", ())), (0, 0))
    applies = happened[field.get("when", "always")]
    held = ("yes" if filled else "no") if applies else "not applicable"
    return Field(block["block"], block["name"], field["name"], held, filled, total, field.get("gap", ""))


def _count(source: Source, paths: Sequence[Sequence[str]]) -> dict[tuple[str, ...], tuple[int, int]]:
    """Return (records with a value, records) for each path, in one pass over each file."""
    counts: dict[tuple[str, ...], tuple[int, int]] = {}
    for kind in {path[0] for path in paths}:
        own = {tuple(path) for path in paths if path[0] == kind}
        filled, total = dict.fromkeys(own, 0), 0
        for record in _rows(source, kind):
            total += 1
            for path in own:
                filled[path] += _value(record, path[1:]) not in _EMPTY
        counts |= {path: (filled[path], total) for path in own}
    return counts


def _rows(source: Source, kind: str) -> Iterator[dict[str, Any]]:
    single = {"manifest": MANIFEST, "signature": SIGNATURE}
    if kind in single:
        yield read_json(source, single[kind])
    else:
        yield from records(source, kind)


def _value(record: Mapping[str, Any], path: Sequence[str]) -> Any:
    value: Any = record
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _happened(source: Source) -> dict[str, bool]:
    """Return what happened in the run. A field about something that did not happen is not missing."""
    review = next(records(source, "review"))
    some = {kind: any(True for _ in records(source, kind)) for kind in ("plan", "items", "questions", "attempts")}
    planned = some["plan"] and some["items"]
    return {
        "always": True,
        "planned": planned,
        "asked": some["questions"],
        "enforced": planned and not review["dry_run"],
        "sent": some["attempts"],
        "waived": any(True for _ in records(source, "exceptions")),
        "open": any(True for _ in records(source, "findings")),
    }


def _plain(name: str) -> str:
    return "".join(name.split()).lower().replace("/iec", "")
