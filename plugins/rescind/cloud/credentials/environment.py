"""Keys in environment variables, under the names that the vendors' own tools use."""

from __future__ import annotations

import os
from collections.abc import Mapping

from rescind.cloud.credentials.base import Credentials, OnSecret, keep_silent, shape_problem
from rescind.errors import ConfigurationError

_VARIABLES: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    # The second token name is the one of the vendor's Terraform provider; the Python SDK reads no token at all.
    "tencent": (
        "TENCENTCLOUD_SECRET_ID",
        "TENCENTCLOUD_SECRET_KEY",
        ("TENCENTCLOUD_TOKEN", "TENCENTCLOUD_SECURITY_TOKEN"),
    ),
    "alibaba": ("ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET", ("ALIBABA_CLOUD_SECURITY_TOKEN",)),
}


class EnvironmentSource:
    """The vendor's own environment variables, read at every use.

    Alibaba's library reads them when it is imported, so a worker that was given new keys would go on with the
    old ones; Tencent's leaves the token out, so temporary keys would not work.

    :param vendor: ``tencent`` or ``alibaba``.
    :param on_secret: called with every secret and token that was found.
    """

    def __init__(
        self, vendor: str, environ: Mapping[str, str] | None = None, *, on_secret: OnSecret = keep_silent
    ) -> None:
        self._id_name, self._secret_name, self._token_names = _VARIABLES[vendor]
        self._environ = os.environ if environ is None else environ
        self._on_secret = on_secret
        self._told: Credentials | None = None

    async def current(self) -> Credentials:
        """The key in the environment.

        :raises ConfigurationError: names the variables that are missing or unusable.
        """
        found = self._read()
        if not found.key_id or not found.secret:
            raise ConfigurationError(
                f"credentials: the environment has no {self._id_name} and {self._secret_name}. "
                "Set both for the worker, or give key id and secret in the connection"
            )
        if problem := shape_problem(found):
            names = ", ".join((self._id_name, self._secret_name, *self._token_names))
            raise ConfigurationError(f"credentials: in the environment {problem}. Correct {names}")
        if found != self._told:
            self._told = found
            for secret in filter(None, (found.secret, found.token)):
                self._on_secret(secret)
        return found

    def holds(self, used: Credentials) -> bool:
        """Whether the environment still has this key."""
        return self._read() == used

    def invalidate(self, used: Credentials) -> bool:
        """True when the environment holds another key or token by now."""
        return self._read() != used

    def _read(self) -> Credentials:
        get = self._environ.get
        token = next(filter(None, (get(name, "") for name in self._token_names)), "")
        return Credentials(get(self._id_name, ""), get(self._secret_name, ""), token)
