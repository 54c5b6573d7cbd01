"""Write the bundle of a run: to a local folder, then an entry in the evidence chain, then a copy to the target."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from rescind.errors import ConfigurationError
from rescind.evidence.bundle.controls import controls_bytes
from rescind.evidence.bundle.format import (
    CONTROLS,
    EFFECTS,
    EFFECTS_BEFORE,
    MANIFEST,
    OMITTED,
    RECORD_FILES,
    SIGNATURE,
    Chain,
    Raw,
    bundle_name,
    encode,
    file_name,
    link_of,
    manifest_of,
    root_of,
)
from rescind.evidence.bundle.signing import sign
from rescind.evidence.collect import Collector
from rescind.ledger import ChainEntry, Ledger, Run

_PIECE = 1 << 20
_BUNDLE = re.compile(r"(\d{6,})-(run-\d+-[0-9a-f]+)$")


class Folder(Protocol):
    """The part of ``pathlib.Path`` that is used. Airflow's ``ObjectStoragePath`` has it too."""

    def __truediv__(self, name: str) -> Any:
        """Return the path of a child."""

    def iterdir(self) -> Iterator[Any]:
        """Yield the paths of the children."""

    def mkdir(self, mode: int = ..., parents: bool = ..., exist_ok: bool = ...) -> None:
        """Create the folder, if the storage has folders."""


@dataclass(frozen=True, slots=True)
class Written:
    """A bundle that was written.

    :param name: its folder below the evidence folder.
    :param position: position in the evidence chain, from 1.
    :param local: a copy on this machine, valid inside the ``with`` block that made it.
    """

    name: str
    path: str
    root: str
    position: int
    local: Path


class BundleWriter:
    """Writes the bundle of one run; use it as a context manager.

    :param target: the folder of all bundles. The bundle is a folder in it, named by its position in the evidence chain
        and its run. It is never changed: the same ledger gives the same bytes, other content gets a new position.
    :param key: signs the manifest; None leaves the bundle unsigned, and it says so.
    :param titles: names of the permission systems for people, by name in code.
    :param approval_keys: the public keys that the deployment accepts for approvals, by name.
    :param whole: leave nothing out, also of a run about named people.
    """

    def __init__(
        self,
        ledger: Ledger,
        run: Run,
        target: Folder,
        key: Ed25519PrivateKey | None = None,
        titles: Mapping[str, str] = MappingProxyType({}),
        approval_keys: Mapping[str, bytes] = MappingProxyType({}),
        *,
        whole: bool = False,
    ) -> None:
        self._run, self._target, self._key = run, target, key
        self._ledger, self._titles, self._approval_keys = ledger, titles, approval_keys
        self._whole = whole
        self._spool = tempfile.TemporaryDirectory(prefix="rescind-evidence-")

    def __enter__(self) -> Written:
        try:
            return self._write(Path(self._spool.name))
        except BaseException:
            self._spool.cleanup()
            raise

    def __exit__(self, *_: object) -> None:
        self._spool.cleanup()

    def _write(self, local: Path) -> Written:
        refuse_newer(self._ledger, self._target)
        collector = Collector(self._ledger, self._run, self._titles, self._approval_keys, whole=self._whole)
        entries = spool(collector, local)
        root = root_of(entries)

        def link(number: int, before: ChainEntry | None) -> str:
            return link_of(self._run.run_id, self._run.number, number, _previous(before), root)

        entry = self._ledger.evidence_chain.take(self._run.run_id, root, link)
        facts = manifest_of(self._run.run_id, self._run.number, entry.number, _previous(entry.previous), entries)
        if facts["link"] != entry.link:
            raise ConfigurationError(
                f"evidence of run {self._run.run_id}: position {entry.number} of the evidence chain does not match "
                "this bundle. Use one version of the package everywhere, and check the table rescind.seal for changes"
            )
        manifest = encode(facts) + b"\n"
        (local / SIGNATURE).write_bytes(sign(manifest, self._key))
        (local / MANIFEST).write_bytes(manifest)
        name = bundle_name(entry.number, self._run.run_id)
        place = self._target / name
        publish(local, place)
        return Written(name, str(place), root, entry.number, local)


def refuse_newer(ledger: Ledger, target: Folder) -> None:
    """Check that the ledger knows the newest bundle of the folder.

    The bundles are a marker outside of the database: a ledger without the newest one is older than its evidence. A
    ledger that is new, or gave one of their numbers to another run, did not make them: those are not compared.

    :raises ConfigurationError: when it is older, or when the folder cannot be listed.
    """
    try:
        found = {(int(match[1]), match[2]) for path in target.iterdir() if (match := _BUNDLE.match(path.name))}
    except (FileNotFoundError, NotADirectoryError):  # the latter from storage that has no empty folders
        return
    except OSError as error:
        raise ConfigurationError(
            f"the evidence folder cannot be listed ({error.strerror or type(error).__name__}), so nothing tells"
            " whether the ledger is older than its evidence. Let the workers list the folder"
        ) from None
    if not found:
        return
    last, run_id = max(found)
    own = ledger.evidence_chain.runs_at({number for number, _ in found})
    if (last, own.get(last, "")) in found:
        return
    others = any(own.get(number, run) != run for number, run in found)
    if others or not (own or ledger.runs.named(run_id)):
        return
    raise ConfigurationError(
        f"the evidence folder has the bundle {last:06d}-{run_id}, which this ledger does not know. Either the ledger is"
        " older than its evidence (a backup was restored, or a standby that was behind became the server): restore the"
        " newest state. Or the folder belongs to another ledger: set 'evidence' to a new folder"
    )


def spool(collector: Collector, folder: Path) -> list[dict[str, Any]]:
    """Write every file except manifest and signature; return their entries."""
    entries = []
    for kind in (*RECORD_FILES, *[OMITTED] * (collector.left_out is not None)):
        chain = Chain(collector.run.run_id, file_name(kind))
        with (folder / chain.name).open("wb", buffering=_PIECE) as out:
            for record in collector.records(kind):
                out.write(chain.line(record))
        entries.append(chain.entry())
    if collector.plan is not None:
        entries.append(_raw(folder, EFFECTS, collector.effects()))
    if collector.narrowed:
        entries.append(_raw(folder, EFFECTS_BEFORE, collector.effects_before()))
    entries.append(_raw(folder, CONTROLS, [controls_bytes()]))
    return entries


def publish(local: Path, place: Any) -> None:
    """Copy a bundle to the target. The manifest comes last, so an interrupted copy has none."""
    place.mkdir(parents=True, exist_ok=True)
    names = sorted(path.name for path in local.iterdir())
    for name in sorted(names, key=lambda name: (name == MANIFEST, name == SIGNATURE, name)):
        with (local / name).open("rb") as source, (place / name).open("wb") as target:
            shutil.copyfileobj(source, target, _PIECE)


def _raw(folder: Path, name: str, pieces: Any) -> dict[str, Any]:
    raw = Raw(name)
    out: IO[bytes]
    with (folder / name).open("wb") as out:
        for piece in pieces:
            out.write(raw.take(bytes(piece)))
    return raw.entry()


def _previous(before: ChainEntry | None) -> dict[str, Any] | None:
    if before is None:
        return None
    return {"seal": before.number, "run": before.run_id, "root": before.root, "link": before.link}
