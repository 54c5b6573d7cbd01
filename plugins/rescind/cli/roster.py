"""``rescind roster FILE``: how a roster is read, before anything depends on it. Needs no ledger and no Airflow.

The setting ``roster_format`` and the limits of the roster come from a settings file, as ``rescind init`` writes it.
Without one, the defaults apply.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from rescind.data_files import read_regular
from rescind.errors import InputError, RescindError
from rescind.ledger.runs.inputs import MAX_BYTES
from rescind.review import RosterLimits, RosterOptions, admit_roster, read_roster_csv, read_roster_json
from rescind.review.roster.admit import Person, Roster
from rescind.review.roster.age import oldest
from rescind.review.roster.id_map import read_id_map
from rescind.review.roster.presets import PRESETS
from rescind.review.roster.remarks import remarks
from rescind.review.text import printable
from rescind.settings import VARIABLE, Settings
from rescind.workflow.inputs import roster_options

SHOWN = 20
"""Leavers shown; the rest is counted."""


def main(arguments: Sequence[str]) -> int:
    """Run the command and return its exit status: 0 a review would use the file, 1 it would not, 2 wrong usage."""
    options = _parser().parse_args(arguments)
    try:
        settings = _settings(options.settings, options.preset)
        content, changed = read_regular(options.file, MAX_BYTES)
        roster, reading = _read(options.file, content, settings, options.id_map)
        now = datetime.now(UTC)
        print(settings.roster_format.last_day)
        for line in _reading(roster, datetime.combine(options.on, time(), UTC) if options.on else now):
            print(line)
        source, _, column = settings.roster_as_of.partition(":")
        as_of = oldest(roster, column, reading) if source == "column" else datetime.fromtimestamp(changed, UTC)
        admit_roster(roster, _limits(settings), as_of=as_of, now=now)
    except (RescindError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print("a review would use this roster")
    return 0


def _read(path: Path, content: bytes, settings: Settings, id_map: Path | None) -> tuple[Roster, RosterOptions]:
    if path.suffix.lower() not in (".csv", ".json"):
        raise InputError("roster", f"a file of kind {path.suffix or '(none)'}", "Name it .csv, or .json.")
    read = read_roster_csv if path.suffix.lower() == ".csv" else read_roster_json
    options = roster_options(settings.roster_format.model_dump(mode="json"), settings.roster_max_bad_rows_percent)
    if id_map is not None:
        options = replace(options, id_map=read_id_map(read_regular(id_map, MAX_BYTES)[0], source=id_map.name))
    return read(content, source=path.name, options=options), options


def _settings(path: Path | None, preset: str | None) -> Settings:
    """Return the settings of the file; a preset that is named comes before theirs."""
    given = {} if path is None else _given(path)
    if preset:
        given = {**given, "roster_format": {**given.get("roster_format", {}), "preset": preset}}
    return Settings.parse(given, connections={}) if given else Settings()


def _given(path: Path) -> dict[str, Any]:
    content, _ = read_regular(path, MAX_BYTES)
    try:
        given = json.loads(content)
    except ValueError:
        raise InputError(path.name, "not valid JSON", "Give the file that `rescind init` writes.") from None
    if not isinstance(given, dict):
        raise InputError(path.name, "not a JSON object", "Give the file that `rescind init` writes.")
    inner = given.get(VARIABLE, given)
    if not isinstance(inner, dict) or not isinstance(inner.get("roster_format", {}), dict):
        raise InputError(path.name, "settings that are no JSON object", "Give the file that `rescind init` writes.")
    return inner


def _limits(settings: Settings) -> RosterLimits:
    return RosterLimits(
        min_people=settings.roster_min_people,
        max_age=timedelta(hours=settings.roster_max_age_hours),
        max_leaver_percent=settings.roster_max_leaver_percent,
    )


def _reading(roster: Roster, on: datetime) -> Iterator[str]:
    """Yield the lines about a roster.

    :param on: the moment for which leavers are shown.
    """
    status, kind = (Counter(getattr(person, field) for person in roster.people) for field in ("status", "kind"))
    yield f"{len(roster.people)} people: {_counts(status)}; {_counts(kind)}"
    for space in sorted(roster.spaces):
        yield f"  {sum(space in person.ids for person in roster.people):7} have a {space}"
    gone = [person for person in roster.people if person.status == "left" and _ended(person, on)]
    later = [
        person for person in roster.people if person.status == "left" and person.terminated_at and person not in gone
    ]
    yield f"{len(gone)} have left by {on:%Y-%m-%d %H:%M} UTC; {len(later)} leave later"
    for person in sorted([*gone, *later], key=lambda one: (str(one.terminated_at), one.person_id))[:SHOWN]:
        yield f"  {printable(person.person_id)}: from {person.terminated_at:%Y-%m-%d %H:%M} UTC (line {person.line})"
    if len(gone) + len(later) > SHOWN:
        yield f"  ... and {len(gone) + len(later) - SHOWN} more"
    yield from (f"note: {printable(remark)}" for remark in remarks(roster))


def _ended(person: Person, on: datetime) -> bool:
    return person.terminated_at is not None and person.terminated_at <= on


def _counts(counted: Counter[str]) -> str:
    return ", ".join(f"{number} {word}" for word, number in counted.most_common())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="rescind", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    roster = commands.add_parser("roster", help="say how a file of people is read")
    roster.add_argument("file", type=Path, help="the roster: .csv, or .json (people or SCIM)")
    roster.add_argument("--settings", type=Path, help="settings as a JSON file, for roster_format and limits")
    roster.add_argument("--preset", choices=sorted(PRESETS), help="a known export, instead of that in the settings")
    roster.add_argument("--id-map", type=Path, help="CSV file: person_id or email, and ids of the platforms")
    roster.add_argument(
        "--on", type=date.fromisoformat, metavar="DATE", help="show leavers at the start of this day, UTC"
    )
    return parser
