"""Keys, sources of keys, and the renewal of temporary keys. Nothing here shows a secret."""

from __future__ import annotations

import asyncio
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from rescind.cloud.base import ReadRequest
from rescind.errors import (
    CloudError,
    ConfigurationError,
    InputError,
    MalformedResponseError,
    RescindError,
    ThrottledError,
    TransientError,
    UnauthorizedError,
)

REFRESH_MARGIN = 600.0
"""Seconds before its expiry when a temporary key is replaced; longer than the time window of any signature."""
LAST_MINUTE = 60.0
"""A temporary key that could not be replaced is used until this many seconds before its expiry."""
RETRY_PAUSE = 15.0
"""Seconds before the next try at a replacement while the old key still serves."""

_PLAIN = re.compile(r"[!-~]+")
_LONGEST = {"key id": 256, "secret": 512, "token": 16384}

Clock = Callable[[], float]
"""Seconds since the epoch."""

OnSecret = Callable[[str], None]
"""Called with every secret that did not come from the connection, so that logs can mask it."""


def keep_silent(secret: str) -> None:
    """An :data:`OnSecret` that does nothing."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """A key, with a token when it is temporary.

    :param expires_at: Unix seconds, or None when it does not expire.
    """

    key_id: str
    secret: str = field(repr=False)
    token: str = field(default="", repr=False)
    expires_at: float | None = None

    def __repr__(self) -> str:
        return f"Credentials({self.key_id[:4]}..., temporary={bool(self.token)})"

    __str__ = __repr__


def shape_problem(key: Credentials, *, temporary: bool = False) -> str:
    """What is wrong with the shape of a key, in words without any value; empty when nothing is.

    :param temporary: a token is needed too.
    """
    for name, value in (("key id", key.key_id), ("secret", key.secret), ("token", key.token)):
        if not value:
            if name != "token" or temporary:
                return f"there is no {name}"
        elif not _PLAIN.fullmatch(value):
            return f"the {name} holds blanks or other characters that no key has"
        elif len(value) > _LONGEST[name]:
            return f"the {name} is longer than {_LONGEST[name]} characters"
    return ""


class CredentialsUnavailableError(TransientError):
    """No key could be had, so nothing was sent. Another try may help when the source answers again."""


class CredentialSource(Protocol):
    """Where a client gets its key from; asked before every attempt."""

    async def current(self) -> Credentials:
        """A key that is good for the next request.

        :raises ConfigurationError: when there is none; the error is non-retryable.
        :raises CloudError: when a token or metadata service refused (:class:`~rescind.errors.UnauthorizedError`) or
            did not answer (:class:`~rescind.errors.TransientError`, :class:`~rescind.errors.ThrottledError`).
            Nothing was sent with the key.
        """

    def holds(self, used: Credentials) -> bool:
        """Whether :meth:`current` would give this key again. False once it was replaced or invalidated."""

    def invalidate(self, used: Credentials) -> bool:
        """The vendor called this key expired. True when asking again can give another one."""


class StaticSource:
    """The key of the connection, with or without a session token."""

    def __init__(self, key_id: str, secret: str, token: str = "") -> None:
        self._credentials = Credentials(key_id, secret, token)

    async def current(self) -> Credentials:
        """The key."""
        return self._credentials

    def holds(self, used: Credentials) -> bool:
        """Whether it is the key of the connection."""
        return used == self._credentials

    def invalidate(self, used: Credentials) -> bool:
        """Never: there is no other key."""
        return False


Ask = Callable[[ReadRequest[Any], CredentialSource], Awaitable[Any]]
"""Sends one token service request with a key of the given source and returns the reply."""


class RenewingSource(ABC):
    """Temporary keys, fetched when first needed and renewed before they expire.

    * One fetch at a time: coroutines that wait for it share its key, or its failure.
    * After a failed fetch the old key is used until a minute before its expiry, and the fetch is not repeated for
      :data:`RETRY_PAUSE` seconds. A refusal (rights revoked, role detached) stops the old key immediately.
    * Nothing runs in the background: no thread survives a fork, no timer outlives a task.

    :param vendor: ``tencent`` or ``alibaba``.
    :param clock: seconds since the epoch.
    :param on_secret: called with every new secret and token.
    :cvar label: the source in a few words, for messages.
    :cvar remedy: what a person can do when it refuses.
    """

    label: ClassVar[str]
    remedy: ClassVar[str]

    def __init__(self, vendor: str, *, clock: Clock = time.time, on_secret: OnSecret = keep_silent) -> None:
        self._vendor = vendor
        self._clock = clock
        self._on_secret = on_secret
        self._held: Credentials | None = None
        self._margin = REFRESH_MARGIN
        self._rejected = False
        self._quiet_until = 0.0
        self._fetches = 0
        self._failure: RescindError | None = None
        self._lock = asyncio.Lock()

    @abstractmethod
    async def _fetch(self) -> Credentials:
        """Fetch a new key with its expiry."""

    async def current(self) -> Credentials:
        """Return the held key, renewed when its expiry is near; see :meth:`CredentialSource.current`."""
        seen = self._fetches
        if (held := self._good()) is not None:
            return held
        async with self._lock:
            if (held := self._good()) is not None:
                return held
            if self._fetches != seen and self._failure is not None:
                raise self._failure.with_traceback(None)
            return await self._renewed()

    def holds(self, used: Credentials) -> bool:
        """Whether this is the held key and nobody has rejected it."""
        return self._held is used and not self._rejected

    def invalidate(self, used: Credentials) -> bool:
        """Renew at the next use, unless that has already happened."""
        if self._held is used:
            self._rejected = True
        return True

    def _left(self, held: Credentials) -> float:
        return (held.expires_at or 0.0) - self._clock()

    def _good(self) -> Credentials | None:
        """The held key, when it needs no renewal now."""
        held = self._held
        if held is None or self._rejected:
            return None
        left = self._left(held)
        quiet = left > LAST_MINUTE and self._clock() < self._quiet_until
        return held if left > self._margin or quiet else None

    async def _renewed(self) -> Credentials:
        failure: RescindError
        try:
            fresh = self._checked(await self._fetch())
        except (CloudError, ConfigurationError, InputError) as error:
            failure = error
        else:
            self._hold(fresh)
            return fresh
        self._fetches += 1
        held = self._held
        passing = isinstance(failure, CloudError) and not isinstance(failure, UnauthorizedError)
        if passing and held is not None and not self._rejected and self._left(held) > LAST_MINUTE:
            self._quiet_until = self._clock() + RETRY_PAUSE
            self._failure = None
            return held
        self._failure = self._explained(failure)
        raise self._failure

    def _hold(self, fresh: Credentials) -> None:
        self._fetches += 1
        self._failure = None
        self._held, self._rejected, self._quiet_until = fresh, False, 0.0
        self._margin = min(REFRESH_MARGIN, self._left(fresh) / 3)  # a short session must not be renewed at every use
        self._on_secret(fresh.secret)
        self._on_secret(fresh.token)

    def _checked(self, fresh: Credentials) -> Credentials:
        problem = shape_problem(fresh, temporary=True)
        if not problem and self._left(fresh) <= 0:
            problem = "the key has expired already; check this machine's clock"
        if problem:
            raise self.unavailable(problem)
        return fresh

    def unavailable(
        self, text: str, *, action: str = "", http_status: int | None = None
    ) -> CredentialsUnavailableError:
        """The error of a source that gave no usable answer."""
        where = action or self.label
        return CredentialsUnavailableError(
            f"no key: {text}. {self.remedy}", vendor=self._vendor, action=where, http_status=http_status
        )

    def _explained(self, error: RescindError) -> RescindError:
        """The failure as users of the source may see it.

        What a token service says no to must not look like the vendor's no to the request that needed the key.
        """
        if not isinstance(error, CloudError) or isinstance(error, TransientError | ThrottledError):
            return error
        text = str(error).removeprefix(f"{error.vendor} {error.action}: ")
        kind = CredentialsUnavailableError if isinstance(error, MalformedResponseError) else UnauthorizedError
        found = kind(f"no key: {text}. {self.remedy}", vendor=error.vendor, action=error.action)
        found.code, found.request_id, found.http_status = error.code, error.request_id, error.http_status
        return found
