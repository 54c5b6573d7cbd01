"""An evidence bundle as the source of a restore: found, verified completely, and compared with the ledger."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rescind.errors import InputError
from rescind.evidence.bundle.format import (
    CONTROLS,
    EFFECTS,
    EFFECTS_BEFORE,
    MANIFEST,
    OMITTED,
    RECORD_FILES,
    SIGNATURE,
    encode,
    file_name,
)
from rescind.evidence.bundle.read import FolderSource, only, records
from rescind.evidence.bundle.signing import check
from rescind.evidence.bundle.text import shown
from rescind.evidence.bundle.verify import verify
from rescind.evidence.imports import import_run
from rescind.evidence.values import grant_record, plain
from rescind.hooks.evidence_store import evidence_folder, old_keys, signing_key
from rescind.ledger import Ledger, Run
from rescind.model import Grant
from rescind.plan.restore_effects import Inverse
from rescind.settings import Settings

_FILES = frozenset({*map(file_name, (*RECORD_FILES, OMITTED)), CONTROLS, EFFECTS, EFFECTS_BEFORE, MANIFEST, SIGNATURE})
_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}"
_SHOWN = 3
_PIECE = 1 << 20
_HOW_TO_NAME = "Copy the complete bundle into the folder of the setting 'evidence', and pass the name of its folder"


@dataclass(frozen=True, slots=True)
class VerifiedBundle:
    """A valid bundle, read from a private copy.

    :param source: valid inside the ``with`` block that opened it.
    :param manifest: its manifest.
    :param signed: whether it has the signature of this deployment's key, or of one before it.
    :param notes: notes of the verification, for people.
    """

    source: FolderSource
    manifest: Mapping[str, Any]
    signed: bool
    notes: tuple[str, ...]

    @property
    def run_id(self) -> str:
        """The run of the bundle."""
        return str(self.manifest["run"])

    @property
    def root(self) -> str:
        """The root of the bundle (hex)."""
        return str(self.manifest["root"])


@contextmanager
def verified_bundle(settings: Settings, text: str) -> Iterator[VerifiedBundle]:
    """Copy a bundle to this machine and verify it completely.

    When the deployment signs its bundles, the bundle must have the signature of its key, or of a key before it.

    :param text: the name of the bundle's folder, or its path or URL inside the folder of the setting ``evidence``.
    :raises InputError: when it does not exist, is not valid, or is a copy without personal data.
    """
    key, old = signing_key(settings), old_keys(settings)
    own = key.public_key().public_bytes_raw() if key else None
    folder_of_bundle = _bundle_folder(settings, text)
    with tempfile.TemporaryDirectory(prefix="rescind-bundle-") as folder:
        local = Path(folder)
        _copy(folder_of_bundle, local)
        signer = _signer(local)
        expected = signer if signer in old else own
        result = verify(FolderSource(local), key=expected)
        if result.manifest.get("sanitized"):
            raise InputError("bundle", "is a copy without personal data", "Pass the original bundle")
        if not result.holds:
            problems = "; ".join(shown(problem) for problem in result.problems[:_SHOWN])
            raise InputError("bundle", f"is not valid: {problems}", "Use an unchanged bundle of this deployment")
        yield VerifiedBundle(FolderSource(local), result.manifest, expected is not None, tuple(result.notes))


def _signer(local: Path) -> bytes | None:
    """Return the public key that signed the bundle; None without a valid signature."""
    try:
        return check((local / MANIFEST).read_bytes(), (local / SIGNATURE).read_bytes())
    except (OSError, ValueError):
        return None


def run_of_bundle(ledger: Ledger, bundle: VerifiedBundle) -> Run:
    """Return the run of the bundle from the ledger. A missing run is imported when our key signed the bundle.

    :raises InputError: when it may not be imported, or the ledger has a different run under its name.
    """
    run = ledger.runs.named(bundle.run_id)
    if run is None or run.run_id != bundle.run_id:
        if bundle.signed:
            return import_run(ledger, bundle.source, bundle.manifest)
        problem = f"is about {bundle.run_id}, which is not in this ledger, and no signature shows who created it"
        raise InputError(
            "bundle", problem, "Use the deployment that created it, or a deployment with the key that signed it"
        )
    plan, entry = ledger.plans.find(run.run_id), ledger.evidence_chain.of_run(run.run_id)
    review, planned = only(bundle.source, "review") or {}, only(bundle.source, "plan") or {}
    pairs = {
        "number": (bundle.manifest["number"], run.number),
        "snapshot digest": (review.get("snapshot_digest"), run.snapshot_digest),
        "plan digest": (planned.get("digest"), plan.digest if plan else None),
        "evidence chain": ((bundle.manifest["seal"], bundle.root), (entry.number, entry.root) if entry else None),
    }
    refuse_differences([name for name, (theirs, ours) in pairs.items() if theirs != ours], f"run {run.number}")
    return run


def compare_grants(
    ledger: Ledger, run: Run, bundle: VerifiedBundle, grants: Mapping[str, Grant]
) -> dict[str, Inverse | None]:
    """Check that bundle and ledger agree on every grant to restore.

    :param grants: by grant id, from the ledger.
    :returns: by grant id, what was captured for its restore.
    :raises InputError: when a grant, or what its restore needs, differs, or when the bundle leaves a grant out.
    """
    theirs = {
        record["grant_id"]: encode({name: value for name, value in record.items() if name != "scope"})
        for record in records(bundle.source, "grants")
        if record["grant_id"] in grants
    }
    missing = grants.keys() - theirs.keys()
    if missing and file_name(OMITTED) in bundle.source.names():
        problem = f"leaves out {len(missing)} of the grants to restore"
        raise InputError("bundle", problem, "Pass a bundle of the run that has them, or restore fewer grants")
    differ = [ident for ident, grant in grants.items() if theirs.get(ident) != encode(grant_record(grant))]
    refuse_differences([ident[:12] for ident in differ], "the grants")
    ours = captured_inverses(ledger, run, grants)
    captured = [pair for call in records(bundle.source, "calls") for pair in call["inverse"].items()]
    theirs = {ident: encode(one) for ident, one in captured if ident in grants}
    differ = [ident for ident in grants if theirs.get(ident) != (encode(plain(ours[ident])) if ident in ours else None)]
    refuse_differences([ident[:12] for ident in differ], "what a restore of the grants needs")
    return ours


def captured_inverses(ledger: Ledger, run: Run, grants: Mapping[str, Grant]) -> dict[str, Inverse | None]:
    """Return what the ledger captured for the restore of these grants. A grant that was in no call is left out."""
    calls = ledger.plans.calls(run.run_id)
    return {ident: one for call in calls for ident, one in call.inverse.items() if ident in grants}


def refuse_differences(differ: list[str], what: str) -> None:
    """Refuse when bundle and ledger differ.

    :param differ: what differs, as text.
    :param what: in what respect.
    :raises InputError: when ``differ`` is not empty.
    """
    if differ:
        more = f" and {len(differ) - _SHOWN} more" if len(differ) > _SHOWN else ""
        problem = f"and the ledger differ in {what}: {', '.join(differ[:_SHOWN])}{more}"
        remedy = "Pass the last bundle of that run. If this is the last one, find out which of the two was changed"
        raise InputError("bundle", problem, remedy)


def _bundle_folder(settings: Settings, text: str) -> Any:
    """Return the folder of the bundle. It must be inside the evidence folder of the deployment."""
    folder = evidence_folder(settings)
    parts = text.removeprefix(f"{str(folder).rstrip('/')}/").rstrip("/").split("/")
    if not all(re.fullmatch(_NAME, part) for part in parts):
        raise InputError("bundle", "is not a bundle name or a path inside the evidence folder", _HOW_TO_NAME)
    place = folder
    for part in parts if len(parts) > 1 else ["bundles", *parts]:
        place = place / part
    # A link could point outside the folder.
    inside = not isinstance(place, Path) or place.resolve().is_relative_to(folder.resolve())
    if not inside or not (place / MANIFEST).is_file():
        raise InputError("bundle", "does not exist in the evidence folder", _HOW_TO_NAME)
    return place


def _copy(place: Any, local: Path) -> None:
    """Copy the files of a bundle; refuse any other file in its folder."""
    names = sorted(entry.name for entry in place.iterdir())
    strange = [name for name in names if name not in _FILES]
    if strange:
        problem = f"holds {len(strange)} files that are not part of a bundle: {', '.join(map(ascii, strange[:_SHOWN]))}"
        raise InputError("bundle", problem, "Use an unchanged copy")
    for name in names:
        try:
            opened = FolderSource(place).open(name) if isinstance(place, Path) else (place / name).open("rb")
            with opened as source, (local / name).open("wb") as target:
                shutil.copyfileobj(source, target, _PIECE)
        except OSError as error:
            why = error.strerror or "it is not a regular file"
            raise InputError("bundle", f"{name} cannot be read: {why}", "Use an unchanged copy") from None
