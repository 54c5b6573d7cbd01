"""The ledger: a database and its repositories."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rescind.ledger.plans.approvals import Approvals
from rescind.ledger.plans.attempts import Attempts
from rescind.ledger.plans.batches import Batches
from rescind.ledger.plans.narrowings import Narrowings
from rescind.ledger.plans.plans import Plans
from rescind.ledger.plans.selections import Selections
from rescind.ledger.plans.verdicts import Verdicts
from rescind.ledger.population.decisions import Decisions
from rescind.ledger.population.regrants import Regrants
from rescind.ledger.population.snapshot import Snapshot
from rescind.ledger.population.snapshot_diff import SnapshotDiff
from rescind.ledger.ratelimit.store import Buckets
from rescind.ledger.read_models.overview import OverviewViews
from rescind.ledger.runs.deployment import Deployment
from rescind.ledger.runs.evidence_chain import EvidenceChain
from rescind.ledger.runs.inputs import Inputs
from rescind.ledger.runs.kill_switch import KillSwitch
from rescind.ledger.runs.notices import Notices
from rescind.ledger.runs.owner_questions import Questions
from rescind.ledger.runs.progress import ProgressBoard
from rescind.ledger.runs.refusals import Refusals
from rescind.ledger.runs.runs import Runs
from rescind.ledger.runs.scope_locks import ScopeLocks
from rescind.ledger.runs.scopes import Scopes
from rescind.ledger.runs.single_calls import SingleCalls
from rescind.ledger.runs.summary import Summary
from rescind.ledger.store import migrate, privileges
from rescind.ledger.store.database import Database, Timeouts
from rescind.ledger.store.repository import RunNumbers


class Ledger:
    """Snapshots, decisions, plans, approvals, attempts and verdicts in one PostgreSQL database.

    It connects at its first use. Methods are synchronous and thread-safe; call them from a coroutine with
    ``asyncio.to_thread``. A forked child opens its own connections.

    :param dsn: a PostgreSQL connection string or URI; the ledger must own the database.
    :param max_connections: most connections of this process at a time; a pacer adds one.
    :param statement_timeout_s: longest ordinary statement, in seconds.
    :param bulk_timeout_s: longest statement that writes a whole snapshot or plan, in seconds.
    :param lock_timeout_s: longest wait for the lock of another process, in seconds.
    :param connect_timeout_s: longest wait for a connection, in seconds.
    :raises ConfigurationError: when the connection string cannot be parsed.
    """

    def __init__(
        self,
        dsn: str,
        *,
        max_connections: int = 4,
        statement_timeout_s: float = 30.0,
        bulk_timeout_s: float = 900.0,
        lock_timeout_s: float = 10.0,
        connect_timeout_s: float = 10.0,
    ) -> None:
        timeouts = Timeouts(
            connect=connect_timeout_s, statement=statement_timeout_s, bulk=bulk_timeout_s, lock=lock_timeout_s
        )
        self.database = Database(dsn, max_connections=max_connections, timeouts=timeouts)
        numbers = RunNumbers()
        self.runs = Runs(self.database, numbers)
        self.inputs = Inputs(self.database, numbers)
        self.scopes = Scopes(self.database, numbers)
        self.scope_locks = ScopeLocks(self.database, numbers)
        self.snapshot = Snapshot(self.database, numbers)
        self.decisions = Decisions(self.database, numbers)
        self.questions = Questions(self.database, numbers)
        self.plans = Plans(self.database, numbers)
        self.approvals = Approvals(self.database, numbers)
        self.narrowings = Narrowings(self.database, numbers, self.approvals)
        self.selections = Selections(self.database, numbers)
        self.batches = Batches(self.database, numbers)
        self.attempts = Attempts(self.database, numbers, self.approvals)
        self.verdicts = Verdicts(self.database, numbers)
        self.kill_switch = KillSwitch(self.database, numbers)
        self.refusals = Refusals(self.database, numbers)
        self.deployment = Deployment(self.database, numbers)
        self.progress = ProgressBoard(self.database, numbers)
        self.notices = Notices(self.database, numbers)
        self.buckets = Buckets(self.database, numbers)
        self.single_calls = SingleCalls(self.database, numbers)
        self.summary = Summary(self.database, numbers)
        self.evidence_chain = EvidenceChain(self.database, numbers)
        self.regrants = Regrants(self.database, numbers)
        self.views = OverviewViews(self.database, numbers)

    def __repr__(self) -> str:
        return f"Ledger({self.database.label})"

    def migrate(
        self, *, create_database: bool = False, runtime_role: str | None = None, page_role: str | None = None
    ) -> list[str]:
        """Migrate the schema to this version of the code; see :func:`rescind.ledger.store.migrate.migrate`."""
        return migrate.migrate(
            self.database, create_database=create_database, runtime_role=runtime_role, page_role=page_role
        )

    def check(self) -> None:
        """Check that the ledger can be used.

        :raises ConfigurationError: when it cannot; the message says how to fix it.
        """
        migrate.check(self.database)

    def role(self) -> str:
        """Return for the evidence which rights this connection has, see :func:`privileges.standing`."""
        return self.database.read(privileges.standing)

    def warnings(self) -> list[str]:
        """Return what an operator should know about the database, each with its remedy."""
        role, moved = self.role(), self.runs.server_changed()
        found = []
        if role != privileges.SEPARATE:
            found.append(
                f"ledger {self.database.label}: the {role}. It could disable triggers and rewrite records. Let the"
                f" tasks connect as a role that owns nothing: create it, then {privileges.GRANT_HINT}. If they do"
                " already, check with the address that they use: this is about the role of the address given"
            )
        if moved:
            found.append(
                f"ledger {self.database.label}: another server than run {moved} had: a standby was promoted or a backup"
                " restored. Records of the last seconds before may be missing: check the kill switch (`rescind ledger"
                " status`). Runs that began before send nothing more"
            )
        return found

    def diff(self, old: str, new: str, system: str | None = None) -> SnapshotDiff:
        """Return what changed between the snapshots of two runs.

        :param old: id or number of the older run.
        :param new: id or number of the newer run.
        :param system: only this permission system.
        :raises InputError: when a run does not exist.
        """
        return SnapshotDiff(self.runs, self.scopes, self.snapshot, old=old, new=new, system=system)

    def close(self) -> None:
        """Close idle connections. The ledger stays usable."""
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
