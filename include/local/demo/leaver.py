"""The demonstration of closing paths: a leaver with every kind of way ends at zero access, and nobody loses anything.

The leaver is planted, and access is judged, by the independent oracle of the tests. It knows nothing of the product and
is part of the repository only.
"""

from __future__ import annotations

import csv
import importlib
import io
import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from local import emulated
from local.config import PROJECT, Config
from local.demo.records import SYSTEMS
from local.errors import LocalError
from local.safe_files import read, write_private

DAG_ID = "revoke_access"
WORLD = "world"
"""What the oracle reads of the emulator."""
RUNS = 3
"""Most runs: what cannot be told apart before the first run is over goes in a later one."""
_SEED = 1
_ALLOWED = {"max_percent": 100, "max_per_principal": 5000, "allow_irreversible": True}


def settings() -> None:
    """Choose the settings before the stack starts: every system is reviewed, and one person may lose everything."""
    given: dict[str, list[str]] = {name: [f"{name.partition('_')[0]}_default"] for name in SYSTEMS}
    granting = {name: [ids[0].replace("default", "granting")] for name, ids in given.items()}
    changed = {"connections": given, "granting_connections": granting, **_ALLOWED}
    os.environ[emulated.CHANGES] = json.dumps({**changed, **json.loads(os.environ.get(emulated.CHANGES, "{}"))})


@dataclass
class Leaver:
    """The leaver, as the organization knows the person."""

    person: Mapping[str, Any]
    control: emulated.Control

    @classmethod
    def planted(cls, control: emulated.Control, config: Config) -> Leaver:
        """Give every kind of way to somebody who left and has no exception. The roster gets every id of everybody."""
        world, roster = control.get(WORLD), config.state / "demo" / "roster.csv"
        write_private(roster, _with_ids(read(roster) or "", {one["person_id"]: one for one in world["people"]}))
        waived = read(config.state / "demo" / "exceptions.yaml") or ""
        but = [one["person_id"] for one in world["people"] if one["wedata_user_id"] and one["wedata_user_id"] in waived]
        return cls(_oracle().leaver_of(control, world, _SEED, but), control)

    @property
    def who(self) -> str:
        """Name and id."""
        return f"{self.person['name']} ({self.person['person_id']})"

    def conf(self, closing: str) -> dict[str, Any]:
        """The form of the run."""
        what = {"principals": [self.person["person_id"]], "systems": list(SYSTEMS), "close_paths": closing}
        return {**what, "reason": "Demonstration: has left the company", "ticket": "DEMO-2", "dry_run": False,
                "max_percent": 100}  # fmt: skip

    def reached(self) -> int:
        """How much the leaver reaches now, by any way that is not open to everybody."""
        return len(_oracle().reached_by(self.control.get(WORLD), dict(self.person), SYSTEMS))

    def lost_by_others(self, before: Any) -> list[str]:
        """What anybody else reached before and does not reach now."""
        lost = _oracle("reach").lost(before, self.control.get(WORLD), {self.person["person_id"]})
        return [str(one) for one in lost]


def check(that: Callable[..., None], leaver: Leaver, before: Any, had: int, runs: int) -> None:
    """Check what the oracle says: zero access, and nobody else lost anything."""
    stays, others = leaver.reached(), leaver.lost_by_others(before)
    that(
        had > 0 == stays,
        f"{leaver.who} reached {had} things before, and by the independent oracle reaches {stays} now, beside what is "
        f"open to everybody, after {runs} " + ("run" if runs == 1 else "runs"),
    )
    that(not others, "nobody else lost anything, by the same oracle", "; ".join(others[:3]))


def _with_ids(roster: str, people: Mapping[str, Mapping[str, Any]]) -> str:
    rows = list(csv.DictReader(roster.splitlines()))
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({**row, "wedata_uin": people[row["person_id"]]["wedata_uin"]} for row in rows)
    return out.getvalue()


def _oracle(part: str = "leaver") -> Any:
    """Import a part of the oracle from the repository.

    :raises LocalError: when this is not a whole repository.
    """
    if not (PROJECT / "tests" / "support" / "oracle").is_dir():
        raise LocalError("The oracle of the tests is not here.", "Run this demonstration in a clone of the repository.")
    if str(PROJECT) not in sys.path:
        sys.path.append(str(PROJECT))
    return importlib.import_module(f"tests.support.oracle.{part}")
