"""The source of a restore: what the run revoked, as its last sealed evidence bundle and the ledger agree.

Anyone who can write to the ledger could add a grant there that nobody had. So a restore takes the grants of the bundle,
verifies it completely, and refuses when the ledger has anything else. Each stage does this again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from rescind.errors import InputError
from rescind.evidence.bundle.read import latest_verdicts, records
from rescind.evidence.imports import membership_of, principal_of
from rescind.hooks.evidence_store import evidence_folder
from rescind.ledger import Ledger, Run
from rescind.model import MAY_HAVE_ACTED, Grant, Membership, Principal
from rescind.plan.restore_effects import Inverse
from rescind.settings import VARIABLE, Settings
from rescind.workflow.bundle_source import (
    VerifiedBundle,
    captured_inverses,
    compare_grants,
    refuse_differences,
    run_of_bundle,
    verified_bundle,
)
from rescind.workflow.restore.request import TAKEN, RestoreRequest, chosen, source_of


@dataclass(frozen=True, slots=True)
class RestoreSource:
    """What a run revoked, as far as the request selects it.

    :param grants: the selected grants by id.
    :param inverses: by grant id, what was captured for its restore.
    :param root: root (hex) of the verified bundle; empty when the ledger alone says what was revoked.
    :param signed: whether this deployment's key signed the bundle.
    :param notes: notes of the verification, for people.
    """

    run: Run
    grants: Mapping[str, Grant]
    inverses: Mapping[str, Inverse | None]
    principals: tuple[Principal, ...]
    memberships: tuple[Membership, ...]
    root: str = ""
    signed: bool = False
    notes: tuple[str, ...] = ()

    def described(self) -> str:
        """Return in one line what shows that the run revoked these grants."""
        if not self.root:
            return "no evidence bundle: the ledger alone says what was revoked"
        return "; ".join([f"its bundle is valid and agrees with the ledger, root {self.root}", *self.notes])


def restore_source(ledger: Ledger, settings: Settings, request: RestoreRequest) -> RestoreSource:
    """Return the run to restore and its selected grants, verified with its bundle.

    :raises InputError: when there is no bundle and the deployment requires one, when it is not valid, or when it and
        the ledger differ.
    """
    named = None if request.bundle else source_of(ledger, request)
    name = request.bundle if named is None else _last_bundle(settings, named)
    if named is not None and not name:
        return _ledger_alone(ledger, settings, request, named)
    with verified_bundle(settings, name) as bundle:
        if named is not None and bundle.run_id != named.run_id:
            problem = f"{name} in the evidence folder is the bundle of another run, {bundle.run_id}"
            raise InputError("run", problem, "Restore the run's own bundle in that folder")
        found = run_of_bundle(ledger, bundle)
        request = request.model_copy(update={"run": found.run_id})
        run = source_of(ledger, request)
        grants = chosen(ledger, run, request)
        inverses = compare_grants(ledger, run, bundle, grants)
        _compare_results(bundle, grants)
        return RestoreSource(
            run=run,
            grants=grants,
            inverses=inverses,
            principals=tuple(map(principal_of, records(bundle.source, "principals"))),
            memberships=tuple(map(membership_of, records(bundle.source, "memberships"))),
            root=bundle.root,
            signed=bundle.signed,
            notes=bundle.notes,
        )


def _ledger_alone(ledger: Ledger, settings: Settings, request: RestoreRequest, run: Run) -> RestoreSource:
    """Return the source without a bundle, if the deployment allows that."""
    if not settings.restore_without_bundle:
        problem = f"{run.number} has no bundle in the evidence folder, so nothing but the ledger shows what it revoked"
        remedy = (
            "Put its last bundle into 'bundles' of the evidence folder, or pass its place as 'bundle'. To restore from "
            f"the ledger alone, set 'restore_without_bundle' in the Airflow Variable {VARIABLE!r}"
        )
        raise InputError("run", problem, remedy)
    grants = chosen(ledger, run, request)
    return RestoreSource(
        run=run,
        grants=grants,
        inverses=captured_inverses(ledger, run, grants),
        principals=tuple(ledger.snapshot.principals(run.run_id)),
        memberships=tuple(ledger.snapshot.memberships(run.run_id)),
    )


def _last_bundle(settings: Settings, run: Run) -> str:
    """Return the name of the run's bundle with the highest number in the evidence folder, or an empty text.

    The folder is asked and not the ledger, so that no entry removed there makes an older bundle the last one.
    """
    folder = evidence_folder(settings) / "bundles"
    if not folder.exists():
        return ""
    form = re.compile(rf"(\d{{6,9}})-{re.escape(run.run_id)}")
    found = [(int(match[1]), match[0]) for entry in folder.iterdir() if (match := form.fullmatch(entry.name))]
    return max(found, default=(0, ""))[1]


def _compare_results(bundle: VerifiedBundle, grants: Mapping[str, Grant]) -> None:
    """Check that the bundle too says of each grant that the run revoked it, or found it missing."""
    sent = {item["grant_id"] for item in records(bundle.source, "items") if item["state"] in MAY_HAVE_ACTED}
    proven = {record["grant_id"] for record in latest_verdicts(bundle.source) if record["verdict"] in TAKEN}
    lost = {grant_id for check in records(bundle.source, "kept") for grant_id in check["lost"]}
    differ = sorted(grants.keys() - (sent & proven) - lost)
    refuse_differences([ident[:12] for ident in differ], "what was revoked")
