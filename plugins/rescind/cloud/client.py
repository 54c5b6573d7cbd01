"""The asynchronous client: one per connection, for all actions of one service.

Reads go through :meth:`CloudClient.read`: paced, and retried within a budget. Writes are prepared, checked by the
guard, and dispatched exactly once. The caller records the intent before the dispatch and handles the outcome.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, ClassVar, Self

import httpx

import rescind
from rescind.cloud import guard
from rescind.cloud.alibaba import canonical_query, request_query
from rescind.cloud.answers.error_codes import Class
from rescind.cloud.answers.responses import Judged, from_fault, judge
from rescind.cloud.base import Answer, Bucket, Identity, Pacer, Prepared, ReadRequest, ReplyT, Request
from rescind.cloud.connection.permission_probe import Probe
from rescind.cloud.connection.settings import ClientSettings
from rescind.cloud.credentials import UNSIGNED, Credentials, CredentialSource, CredentialsUnavailableError, Sources
from rescind.cloud.pacing.local_pacer import LocalPacer
from rescind.cloud.retry import MAX_ATTEMPTS, RetryBudget, backoff
from rescind.cloud.signing import Acs3Auth, Nonce, RpcAuth, SkipAuth, Tc3Auth, fresh_nonce
from rescind.cloud.sts_messages import AlibabaGetCallerIdentity, TencentGetCallerIdentity
from rescind.cloud.transport import Raw, Transport, TransportError
from rescind.errors import CloudError, ConfigurationError, InputError, ThrottledError, TransientError

_USER_AGENT = f"rescind/{getattr(rescind, '__version__', '0')}"
_REMEMBERED_ANSWERS = 4096
_MIN_CORRECTION_S, _MAX_CORRECTION_S = 30.0, 86_400.0


class ServerClock:
    """Time as the vendor sees it: this machine's, corrected by the vendor's ``Date`` when it complained."""

    def __init__(self, base: Callable[[], float] = time.time) -> None:
        self._base = base
        self._offset = 0.0

    def __call__(self) -> float:
        """Seconds since the epoch."""
        return self._base() + self._offset

    @property
    def offset(self) -> float:
        """Seconds by which this machine's clock is corrected."""
        return self._offset

    def correct(self, date: str) -> bool:
        """Adopt the vendor's time. True when that changed something: more than 30 s and at most a day."""
        try:
            parsed = parsedate_to_datetime(date)
        except (ValueError, TypeError, IndexError):
            return False
        aware = parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
        offset = aware.timestamp() - self._base()
        if abs(offset - self._offset) <= _MIN_CORRECTION_S or abs(offset) > _MAX_CORRECTION_S:
            return False
        self._offset = offset
        return True


class OutdatedSignatureError(TransientError):
    """Not executed: the key or the clock has been replaced since the request was signed. Sign it again."""


@dataclass(frozen=True, slots=True)
class _Signed:
    """What one attempt was signed with.

    :param offset: the clock's correction at that moment, in seconds.
    """

    source: CredentialSource
    credentials: Credentials
    offset: float


class CloudClient:
    """A client of one service; use one of the subclasses in :mod:`rescind.cloud.clients`.

    :param settings: what the connection says.
    :param pacer: decides when a request may be sent; default: a :class:`LocalPacer` by the settings' limits.
    :param transport: replaces the network in tests.
    :param clock: seconds since the epoch.
    :param nonce: makes a nonce for each attempt.
    :param sleep: waits between attempts.
    :param attempts: most attempts for one read.
    :param credentials: where keys come from; default: as the settings say.
    :param on_secret: called with every temporary secret and token, so that logs can mask them.
    """

    service: ClassVar[str]
    probes: ClassVar[tuple[Probe, ...]] = ()
    """One harmless read for each action that the service's permission systems need, and the names of their writes."""

    def __init__(
        self,
        settings: ClientSettings,
        *,
        pacer: Pacer | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = time.time,
        nonce: Nonce = fresh_nonce,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        attempts: int = MAX_ATTEMPTS,
        credentials: CredentialSource | None = None,
        on_secret: Callable[[str], None] = lambda secret: None,
    ) -> None:
        if settings.service != self.service:
            raise ConfigurationError(f"service: {type(self).__name__} cannot use settings for {settings.service}")
        self.settings = settings
        self.vendor = settings.vendor
        self.region = settings.rate_region
        self._pacer: Pacer = pacer or LocalPacer(settings.limits, settings.share)
        self._transport = Transport(settings, transport)
        self._clock = ServerClock(clock)
        self._nonce = nonce
        self._sleep = sleep
        self._attempts = attempts
        self._budget = RetryBudget()
        self._identity: Identity | None = None
        self._answers_seen: OrderedDict[str, None] = OrderedDict()
        self._renewed: set[int] = set()  # sources whose key was replaced and whose new key has not succeeded yet
        self._source = credentials or Sources(settings, self._ask, self._clock, on_secret).make()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._transport.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(region={self.region!r}, account={self.account!r})"

    @property
    def pacer(self) -> Pacer:
        """Decides when a request may be sent."""
        return self._pacer

    # --- who and where --------------------------------------------------------------------------------

    @property
    def identity(self) -> Identity | None:
        """Who the credential is, once :meth:`identify` has been called."""
        return self._identity

    @property
    def account(self) -> str:
        """The cloud account: pinned by the connection, or as identified, or empty when not yet known."""
        return self.settings.account_id or (self._identity.account_id if self._identity else "")

    async def identify(self) -> Identity:
        """Ask the vendor's token service who this credential is.

        :raises ConfigurationError: when the connection pins another account.
        """
        if self.vendor == "tencent":
            said = (await self.read(TencentGetCallerIdentity())).value
            found = Identity(
                self.vendor, said.AccountId, said.Arn, said.UserId, said.PrincipalId or "", said.Type or ""
            )
        else:
            told = (await self.read(AlibabaGetCallerIdentity())).value
            found = Identity(
                self.vendor,
                told.AccountId,
                told.Arn,
                told.UserId or "",
                told.PrincipalId or "",
                told.IdentityType or "",
            )
        pinned = self.settings.account_id
        if pinned and pinned != found.account_id:
            raise ConfigurationError(
                f"account_id: the key belongs to account {found.account_id}, the connection pins {pinned}. "
                "Use a key of the pinned account, or correct the extra 'account_id'"
            )
        self._identity = found
        return found

    async def warm(self, connections: int = 1) -> int:
        """Open connections, so that the first paced request is not late. Never raises; returns how many opened."""
        return await self._transport.warm(self.settings.host_of().base, connections)

    # --- requests -------------------------------------------------------------------------------------

    def prepare(self, request: Request[ReplyT]) -> Prepared[ReplyT]:
        """The final bytes of a request, unsigned.

        :raises TypeError: for a request of another service.
        :raises InputError: when it does not fit into one request.
        """
        if request.vendor != self.vendor or request.service not in (self.service, "sts"):
            raise TypeError(f"{type(self).__name__} does not speak {request.service} {request.action}")
        url, headers, body = self._bytes(request)
        bucket = Bucket(self.vendor, self.account or self.settings.key_mark, self.region, request.action, request.rate)
        return Prepared(
            vendor=self.vendor,
            service=request.service,
            action=request.action,
            version=request.version,
            write=request.write,
            method=request.method,
            url=url,
            headers=headers,
            body=body,
            bucket=bucket,
            request=request,
        )

    def _bytes(self, request: Request[Any]) -> tuple[str, dict[str, str], bytes]:
        """Address, unsigned headers and body of a request."""
        endpoint = self.settings.host_of("sts" if request.service == "sts" else "")
        headers = {
            "host": endpoint.host,
            "accept": "application/json",
            "accept-encoding": "identity",
            "user-agent": _USER_AGENT,
        }
        url = f"{endpoint.base}/"
        if self.vendor == "tencent":
            headers |= {
                "content-type": "application/json; charset=utf-8",
                "x-tc-action": request.action,
                "x-tc-version": request.version,
                "x-tc-region": self.settings.region,
                "x-tc-language": "en-US",
            }
            body = json.dumps(request.wire(), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
            return url, headers, body.encode()
        if self._signs_rpc(request):
            named = canonical_query({"Action": request.action, "Version": request.version})
            return f"{url}?{named}", headers, canonical_query(request.wire()).encode("ascii")
        query = request_query(request)
        headers |= {"x-acs-action": request.action, "x-acs-version": request.version}
        return f"{url}?{query}" if query else url, headers, b""

    async def dispatch(self, prepared: Prepared[ReplyT]) -> Answer[ReplyT]:
        """Guard, sign, send once, judge. No pacing and no retry.

        :raises BlastRadiusExceededError: from the guard; nothing was sent. So with :class:`InputError`.
        :raises ThrottledError: not executed.
        :raises TransientError: nothing was sent, or the vendor rejected it for a reason that has been corrected.
        :raises RefusedError: the vendor said no. So with :class:`NotFoundError` and :class:`UnauthorizedError`.
        :raises UnknownOutcomeError: a write that may have happened.
        :raises MalformedResponseError: a read whose answer breaks the contract.

        A task that is canceled while this waits has sent a request whose outcome is unknown. A write for which
        no key could be had is a :class:`TransientError` that says why: the vendor did not see it, so it stays open.
        """
        guard.check(prepared)
        return await self._attempt(prepared, self._source)

    async def read(self, request: ReadRequest[ReplyT]) -> Answer[ReplyT]:
        """Send a read: paced, and tried again within the client's retry budget.

        :raises TypeError: for a write.
        :raises CloudError: when the vendor's answer, or the lack of one, is final.
        """
        if request.write:
            raise TypeError(f"{request.action} is a write; prepare and dispatch it")
        return await self._retrying(self.prepare(request), self._source)

    async def _retrying(self, prepared: Prepared[ReplyT], source: CredentialSource) -> Answer[ReplyT]:
        guard.check(prepared)
        attempt = 0
        while True:
            attempt += 1
            await self._pacer.slot(prepared.bucket, write=False)
            try:
                answer = await self._attempt(prepared, source)
            except OutdatedSignatureError:
                # Many requests in flight meet one replaced key; that is no outage and costs no retry budget.
                if attempt >= self._attempts:
                    raise
                continue
            except (ThrottledError, TransientError) as error:
                if attempt >= self._attempts or not self._budget.spend():
                    raise
                wait = backoff(attempt, error.retry_after)
            else:
                self._budget.succeeded()
                return answer
            await self._sleep(wait)

    async def _attempt(self, prepared: Prepared[ReplyT], source: CredentialSource) -> Answer[ReplyT]:
        signed = _Signed(source, await self._key(prepared, source), self._clock.offset)
        fault: TransportError | None = None
        raw: Raw | None = None
        try:
            raw = await self._transport.send(prepared, self._auth(prepared, signed.credentials))
        except TransportError as broken:
            fault = broken
        if raw is None:
            raise from_fault(prepared, fault or TransportError("no answer", sent=True))
        judged = judge(prepared, raw, repeated=self._seen_before)
        self._report(prepared.bucket, judged)
        if judged.answer is not None:
            if source.holds(signed.credentials):
                self._renewed.discard(id(source))
            return judged.answer
        raise self._final_error(judged, raw, signed)

    def _report(self, bucket: Bucket, judged: Judged[Any]) -> None:
        if isinstance(judged.error, ThrottledError):
            self._pacer.throttled(bucket, judged.error.retry_after)
        else:
            self._pacer.succeeded(bucket)

    def _final_error(self, judged: Judged[Any], raw: Raw, signed: _Signed) -> CloudError:
        """The error, or an :class:`OutdatedSignatureError` when its cause, the clock or an expired key, is corrected.

        Both kinds are rejected before anything is executed, so this holds for writes too.
        """
        error = judged.error
        if error is None:  # pragma: no cover - judge always sets one of the two
            raise AssertionError("neither answer nor error")
        text = ""
        if judged.meaning is Class.CLOCK and self._clock_corrected(signed, raw):
            text = "the clock was wrong and now follows the vendor's clock; not executed"
        elif judged.meaning is Class.TOKEN and self._key_replaced(signed):
            text = "the temporary key had expired and is being renewed; not executed"
        if not text:
            return error
        return OutdatedSignatureError(
            text,
            vendor=error.vendor,
            action=error.action,
            code=error.code,
            request_id=error.request_id,
            http_status=error.http_status,
        )

    def _clock_corrected(self, signed: _Signed, raw: Raw) -> bool:
        """Whether the clock differs from the one that signed: another answer has corrected it, or this one does."""
        return signed.offset != self._clock.offset or self._clock.correct(raw.headers.get("date", ""))

    def _key_replaced(self, signed: _Signed) -> bool:
        """Whether the next request gets another key than this one had.

        A key that is refused while its predecessor was refused too is not replaced: another one would not help.
        """
        source = signed.source
        if not source.holds(signed.credentials):
            return True
        if id(source) in self._renewed or not source.invalidate(signed.credentials):
            return False
        self._renewed.add(id(source))
        return True

    def _seen_before(self, request_id: str) -> bool:
        if request_id in self._answers_seen:
            return True
        self._answers_seen[request_id] = None
        if len(self._answers_seen) > _REMEMBERED_ANSWERS:
            self._answers_seen.popitem(last=False)
        return False

    # --- keys -----------------------------------------------------------------------------------------

    def _signs_rpc(self, request: Request[Any]) -> bool:
        return isinstance(request, UNSIGNED) or (request.service == "sts" and self.settings.sts_signature == "rpc")

    def _auth(self, prepared: Prepared[Any], credentials: Credentials) -> httpx.Auth:
        unsigned = isinstance(prepared.request, UNSIGNED)
        if self.vendor == "tencent":
            return SkipAuth(self._clock) if unsigned else Tc3Auth(credentials, prepared.service, self._clock)
        if self._signs_rpc(prepared.request):
            return RpcAuth(None if unsigned else credentials, self._clock, self._nonce)
        return Acs3Auth(credentials, self._clock, self._nonce)

    async def _key(self, prepared: Prepared[Any], source: CredentialSource) -> Credentials:
        """A key for one attempt.

        What a token service refuses must not be taken for the vendor's answer to a write.
        """
        try:
            return await source.current()
        except (CloudError, ConfigurationError, InputError) as error:
            if not prepared.write:
                raise
            text, asked = f"no key, so nothing was sent: {error}", getattr(error, "retry_after", None)
        raise CredentialsUnavailableError(text, vendor=self.vendor, action=prepared.action, retry_after=asked)

    async def _ask(self, request: ReadRequest[Any], source: CredentialSource) -> Any:
        return (await self._retrying(self.prepare(request), source)).value
