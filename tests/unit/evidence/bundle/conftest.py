"""A written bundle about one person, and the whole one beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from rescind.evidence.bundle.read import bundle_source, records
from rescind.evidence.write import BundleWriter
from rescind.ledger import Ledger
from tests.support.omitted import (
    Made,
    named_run,
)
from tests.support.reviews.approval import KEYS
from tests.unit.evidence.conftest import KEY, contents
from tests.unit.evidence.conftest import bundle as written_bundle


@pytest.fixture
def made(ledger: Ledger, tmp_path: Path) -> Made:
    run = named_run(ledger, ["alice@example.com"])
    place = written_bundle(ledger, run, tmp_path / "part")
    with BundleWriter(ledger, run, tmp_path / "whole", KEY, approval_keys=KEYS.accepted, whole=True) as written:
        whole = bundle_source(tmp_path / "whole" / written.name)
    kinds = ("review", "scopes", "grants", "decisions", "principals", "memberships", "omitted", "calls", "items",
             "verdicts", "findings", "kept", "questions", "inputs", "plan")  # fmt: skip
    part = {kind: list(records(bundle_source(place), kind)) for kind in kinds}
    return Made(ledger, run, place, contents(place), part, {kind: list(records(whole, kind)) for kind in kinds})
