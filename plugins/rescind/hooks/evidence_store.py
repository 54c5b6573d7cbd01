"""Write a run's bundle, report and tables to the evidence folder, and find the folder and the signing key."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rescind.errors import ConfigurationError
from rescind.evidence.bundle.read import FolderSource
from rescind.evidence.bundle.signing import public_key
from rescind.evidence.report.html_report import write_report
from rescind.evidence.report.tables import exported, joined
from rescind.evidence.write import BundleWriter, publish, refuse_newer
from rescind.hooks.signing_keys import approval_keys, read_private_key
from rescind.ledger import Ledger, Run
from rescind.settings import Settings, settings_home
from rescind.systems import titles

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def write_evidence(ledger: Ledger, run: Run, settings: Settings) -> dict[str, str]:
    """Write bundle, report and tables of a closed run. The same ledger and settings always give the same files.

    The report is in the language and with the time zone of the settings; bundle and tables never depend on them.

    :returns: ``bundle``, ``report``, ``tables`` (their locations) and ``root`` of the bundle.
    :raises ConfigurationError: when the folder is not writable, or the key is invalid.
    """
    key = signing_key(settings)
    folder = evidence_folder(settings)
    try:
        accepted, whole = approval_keys(settings).accepted, settings.evidence_whole
        writer = BundleWriter(ledger, run, folder / "bundles", key, titles(), accepted, whole=whole)
        with writer as written, tempfile.TemporaryDirectory() as spool:
            source = FolderSource(written.local)
            reports, tables = Path(spool, "reports"), Path(spool, "tables")
            reports.mkdir()
            write_report(
                source,
                reports / f"{written.name}.html",
                exported(source, tables, joined(source)),
                language=settings.language,
                zone=settings.time_zone,
            )
            publish(reports, folder / "reports")
            publish(tables, folder / "tables" / written.name)
            return {
                "bundle": written.path,
                "report": str(folder / "reports" / f"{written.name}.html"),
                "tables": str(folder / "tables" / written.name),
                "root": written.root,
            }
    except OSError as error:
        raise ConfigurationError(
            f"evidence of run {run.run_id} cannot be written ({error.strerror or type(error).__name__}). Make the "
            "folder of the setting 'evidence' writable for the workers, or set another one"
        ) from None


def check_evidence(settings: Settings, ledger: Ledger) -> None:
    """Check before a run that evidence can be signed and written, and that the ledger is not older than its evidence.

    :raises ConfigurationError: when one of these does not hold.
    """
    signing_key(settings)
    refuse_newer(ledger, evidence_folder(settings) / "bundles")


def evidence_folder(settings: Settings) -> Any:
    """Return the folder as a ``Path``, or as an ``ObjectStoragePath`` if the setting is a URL.

    :raises ConfigurationError: for a scheme that Airflow does not know.
    """
    text = settings.location("evidence")
    if "://" not in text:
        path = settings.path("evidence")
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)  # it will hold names of people
        except OSError as error:
            raise ConfigurationError(
                f"the folder of the setting 'evidence' cannot be made ({error.strerror}). Make it writable for the "
                "workers, or set another one"
            ) from None
        return path
    from airflow.sdk import ObjectStoragePath

    try:
        place = ObjectStoragePath(text)
        _ = place.fs  # schemes are looked up on first use
        return place
    except (ValueError, ImportError) as error:
        raise ConfigurationError(
            f"setting 'evidence' names an object storage that is not known ({type(error).__name__}). Use a scheme "
            "whose Airflow provider is installed, for example s3://conn_id@bucket/key"
        ) from None


def signing_key(settings: Settings) -> Ed25519PrivateKey | None:
    """Return the key that signs bundles, or None if none is configured.

    :raises ConfigurationError: when two are configured, or the key cannot be used.
    """
    return read_private_key(settings, "evidence_key")


def old_keys(settings: Settings) -> list[bytes]:
    """Return the public keys (32 bytes) that signed bundles before a rotation.

    :raises ConfigurationError: when a file cannot be read or holds no such key.
    """
    found = []
    for name in settings.evidence_old_keys:
        path = Path(name) if Path(name).is_absolute() else settings_home() / name
        try:
            pem = path.read_bytes()
        except OSError as error:
            raise ConfigurationError(
                f"setting 'evidence_old_keys': {path.name} in {path.parent} cannot be read ({error.strerror})"
            ) from None
        found.append(public_key(pem, source=f"{path.name} of the setting 'evidence_old_keys'"))
    return found
