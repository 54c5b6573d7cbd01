"""Read the private keys of a deployment: the one that signs evidence, and the one that signs approvals."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException

from rescind.approval_signature import HOW_TO_CREATE, ApprovalKeys
from rescind.data_files import read_regular
from rescind.errors import ConfigurationError
from rescind.evidence.bundle.signing import private_key, public_key
from rescind.settings import Settings

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

MOST_KEY_BYTES = 1 << 16
APPROVAL_VARIABLE = "RESCIND_APPROVAL_KEY"
"""Environment variable with the PEM of the approval key."""


def read_private_key(settings: Settings, name: str, variable: str = "") -> Ed25519PrivateKey | None:
    """Return the key of the settings ``<name>_file`` or ``<name>_conn_id``, or None if none is configured.

    :param variable: an environment variable with the PEM, used when neither setting is set.
    :raises ConfigurationError: when two are configured, or the key cannot be used. The message never quotes the key.
    """
    file, conn_id = getattr(settings, f"{name}_file"), getattr(settings, f"{name}_conn_id")
    if file and conn_id:
        raise ConfigurationError(f"settings '{name}_file' and '{name}_conn_id' are both set: keep one")
    if file:
        path = settings.path(f"{name}_file")
        try:
            pem = read_regular(path, MOST_KEY_BYTES)[0]
        except OSError as error:
            raise ConfigurationError(
                f"setting '{name}_file': {path.name} in {path.parent} cannot be read ({error.strerror})."
                " Put the key there, readable for the workers only"
            ) from None
        return private_key(pem, source=f"the file of the setting '{name}_file'")
    if conn_id:
        try:
            text = BaseHook.get_connection(conn_id).password or ""
        except AirflowNotFoundException:
            raise ConfigurationError(f"connection {conn_id!r} (setting '{name}_conn_id') is missing") from None
        return private_key(_lines(text), source=f"the password of connection {conn_id!r}")
    text = os.environ.get(variable, "") if variable else ""
    return private_key(_lines(text), source=f"the environment variable {variable}") if text else None


def approval_keys(settings: Settings) -> ApprovalKeys:
    """Return the approval keys of the deployment; see :class:`~rescind.settings.Settings`.

    :raises ConfigurationError: when a key cannot be used.
    """
    further = [
        public_key(
            f"-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n".encode(),
            source=f"setting 'approval_public_keys', number {number}, which takes the base64 line of a PEM file,",
        )
        for number, text in enumerate(settings.approval_public_keys, 1)
    ]
    return ApprovalKeys(read_private_key(settings, "approval_key", APPROVAL_VARIABLE), further)


def check_approval_key(settings: Settings, dry_run: bool) -> None:
    """Check before a run that an approval can be signed, unless nothing will be sent.

    :raises ConfigurationError: when it cannot.
    """
    keys = approval_keys(settings)
    if not dry_run and not keys.accepted:
        raise ConfigurationError(f"this run needs an approval, and there is no key to sign it with. {HOW_TO_CREATE}")


def _lines(text: str) -> bytes:
    """Return PEM bytes. A PEM pasted into one line of a form keeps its line ends as backslash and n."""
    return text.replace("\\n", "\n").encode()
