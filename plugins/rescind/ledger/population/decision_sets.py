"""Write one decision for each combination of facts, joined with the grants inside PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from rescind.ledger.store.copy_spool import NULL, RowFile, array, document, flag, moment, text
from rescind.ledger.store.database import Connection
from rescind.model import Decision, Resource

_DECIDED = ("choice", "rule", "reason", "severity", "controls", "facts")
_NULL_AS = {"expires_at": "coalesce({0}, '-infinity')", "attributes": "coalesce({0}, '')",
            "last_used_days": "coalesce({0}, -1)"}  # fmt: skip
"""Fields that may be NULL, as a join compares them. NULL itself equals nothing, and no hash join compares it."""


class FactSets(Protocol):
    """What decisions read of a grant, and how to decide; :class:`rescind.review.fact_tuples.FactTuples` is one.

    :ivar columns: fields of the grant; equal values give equal decisions.
    :ivar by_resource: whether a resource is replaced by its representative before values are compared.
    """

    columns: tuple[str, ...]
    by_resource: bool

    def representatives(self, resources: Iterable[Resource]) -> Mapping[Resource, Resource]:
        """Return for each resource the one that stands for it."""

    def decide(self, values: Sequence[Any]) -> Decision:
        """Return the decision for these values, in the order of ``columns``."""


class DecisionSets:
    """The statements for one run.

    :param resources: the resources of the run; read only when they are replaced by representatives.
    """

    def __init__(self, facts: FactSets, resources: Callable[[], Iterable[Resource]]) -> None:
        self._facts = facts
        self.values: dict[str, list[str]] = {}
        """Arrays that the statements take as parameters."""
        own = dict.fromkeys(facts.columns, "g.{0}") | {"attributes": "g.{0}::text"}
        self._from = "rescind.grant_row g"
        if facts.by_resource:
            pairs = facts.representatives(resources()).items()
            for at, name in enumerate(Resource._fields):
                self.values[name] = [resource[at] for resource, _ in pairs]
            self.values["type_for"] = [other.resource_type for _, other in pairs]
            self.values["id_for"] = [other.resource_id for _, other in pairs]
            arrays = ", ".join(f"%({name})s::text[]" for name in self.values)
            same = " AND ".join(f"s.{name} = g.{name}" for name in Resource._fields)
            self._from += f" JOIN unnest({arrays}) AS s({', '.join(self.values)}) ON {same}"
            own |= {"resource_type": "s.type_for", "resource_id": "s.id_for"}
        self._own = {name: own[name].format(name) for name in facts.columns}

    def distinct(self) -> str:
        """Return the query for each combination of values in the run."""
        columns = ", ".join(f"{value} AS {name}" for name, value in self._own.items())
        return f"SELECT DISTINCT {columns} FROM {self._from} WHERE g.run_no = %(run)s"

    def spool(self) -> RowFile:
        """Return the file for the rows of :meth:`decided`."""
        return RowFile("decided", (*self._facts.columns, *_DECIDED))

    def decided(self, rows: Iterable[Sequence[Any]]) -> Iterator[Sequence[str]]:
        """Decide on each combination, and yield the COPY rows."""
        at = self._facts.columns.index("attributes") if "attributes" in self._facts.columns else None
        for row in rows:
            values = list(row)
            if at is not None:
                values[at] = json.loads(row[at]) if row[at] else {}
            one = self._facts.decide(values)
            yield (
                *map(_field, row),
                text(one.choice),
                text(one.rule),
                text(one.reason),
                text(one.severity),
                array(one.controls),
                document(dict(one.facts)),
            )

    def insert(self, connection: Connection, rows: RowFile, run_no: int) -> int:
        """Insert the decision of every grant, by grant id, and return how many there are."""
        columns = ", ".join(f"{value} AS {name}" for name, value in self._own.items())
        values = {**self.values, "run": run_no}
        kinds = ", ".join(f"d.{name}" for name in _DECIDED)
        connection.execute(
            f"CREATE TEMP TABLE decided ON COMMIT DROP AS SELECT {columns}, {kinds}"
            f" FROM rescind.decision d, {self._from} LIMIT 0",
            values,
        )
        rows.copy_into(connection)
        connection.execute("ANALYZE decided")
        # The statistics do not know the rows of a new run. PostgreSQL would take each of them through all combinations.
        connection.execute("SET LOCAL enable_nestloop = off")
        equal = " AND ".join(
            f"{_NULL_AS.get(name, '{0}').format('d.' + name)} = {_NULL_AS.get(name, '{0}').format(value)}"
            for name, value in self._own.items()
        )
        # A fact with the id of the resource is the grant's own, not the representative's.
        facts = (
            "CASE WHEN d.facts ? 'resource.id' THEN d.facts || jsonb_build_object('resource.id', g.resource_id)"
            " ELSE d.facts END"
        )
        written = connection.execute(
            f"INSERT INTO rescind.decision (run_no, grant_id, {', '.join(_DECIDED)})"
            f" SELECT g.run_no, g.grant_id, {kinds.removesuffix('d.facts')}{facts}"
            f" FROM {self._from} JOIN decided d ON {equal} WHERE g.run_no = %(run)s ORDER BY g.grant_id",
            values,
        )
        return written.rowcount


def _field(value: object) -> str:
    if value is None:
        return NULL
    if isinstance(value, bool):
        return flag(value)
    return moment(value) if isinstance(value, datetime) else text(str(value))
