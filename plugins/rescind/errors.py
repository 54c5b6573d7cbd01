"""The errors of this package.

::

    RescindError
     +-- InputError                      an input value is not usable: field, shape and remedy
     +-- ConfigurationError              a connection, pool, policy or setting is missing or wrong
     +-- GuardTrippedError               a safety limit stopped the run; carries limit and measured value
     +-- PlanError                       the plan differs from the approved plan
     |    +-- PlanStaleError             the plan has expired, or the platform or the code has changed
     |    +-- BlastRadiusExceededError   a request would change something outside the approved effects
     |    +-- NotApprovedError           no valid approval for exactly this plan
     +-- LedgerError                     the ledger does not answer or refuses; nothing is sent without it
     |    +-- LeaseLostError             another process has claimed this batch
     +-- RunStoppedError                 the kill switch is set
     |    +-- RetainedGrantLostError     a retained grant is missing; its run sends nothing more
     +-- RunInterruptedError             stopped between two calls for a transient reason; retry later
     +-- ListingIncompleteError          a listing cannot prove absence; says what is missing
     +-- CloudError                      a vendor request failed; carries code, request id, status
          +-- ThrottledError             not executed: too many requests; may carry ``retry_after`` in seconds
          +-- TransientError             not executed, or a read that failed; retryable
          +-- RefusedError               the vendor rejected the request
          +-- UnauthorizedError          key, signature, token or right is wrong; non-retryable
          |    +-- ExpiredSignatureError key or signing time has expired and cannot be renewed; not executed
          +-- NotFoundError              the vendor reports that the resource does not exist
          +-- MalformedResponseError     the response of a read breaks the vendor's contract
          +-- UnknownOutcomeError        a write may or may not have happened: read the platform first
"""

from __future__ import annotations


class RescindError(Exception):
    """Base of all errors of this package."""


class InputError(RescindError):
    """An input value is not usable.

    :param field: where the value is (form field, file and line, column).
    :param problem: what is wrong; where the value may be secret, its shape instead of the value.
    :param remedy: how to fix it.
    """

    def __init__(self, field: str, problem: str, remedy: str) -> None:
        super().__init__(f"{field}: {problem}. {remedy}")
        self.field = field
        self.problem = problem
        self.remedy = remedy


class ConfigurationError(RescindError):
    """A connection, pool, policy or setting is missing or wrong; the message says how to fix it."""


class GuardTrippedError(RescindError):
    """A safety limit stopped the run before anything was revoked.

    :param guard: which guard.
    :param limit: the configured limit, as text.
    :param measured: the measured value, as text.
    :param remedy: how to go on.
    """

    def __init__(self, guard: str, limit: str, measured: str, remedy: str) -> None:
        super().__init__(f"guard {guard}: limit {limit}, measured {measured}. {remedy}")
        self.guard = guard
        self.limit = limit
        self.measured = measured


class PlanError(RescindError):
    """The plan differs from the approved plan."""


class PlanStaleError(PlanError):
    """The plan has expired, or the code, the account or the platform has changed."""


class BlastRadiusExceededError(PlanError):
    """A final request would change something outside the approved effects; it was not sent."""


class NotApprovedError(PlanError):
    """No valid approval exists for exactly this plan; nothing was sent."""


class LedgerError(RescindError):
    """The ledger does not answer or refuses a write. Nothing is sent without it."""


class LeaseLostError(LedgerError):
    """Another process has claimed this batch; this one stops."""


class RunStoppedError(RescindError):
    """The kill switch is set; the run stops between calls and can be resumed."""


class RetainedGrantLostError(RunStoppedError):
    """A retained grant is missing; the run sends nothing more."""


class RunInterruptedError(RescindError):
    """Stopped between two calls: the worker ends, or the kill switch cannot be read.

    Nothing is lost; a retry continues from here.
    """


class ListingIncompleteError(RescindError):
    """A listing cannot prove absence.

    :param what: the listing, for example ``ListTable(catalog=demo)``.
    :param missing: what is missing, for example ``37 rows declared, 30 distinct rows read``.
    :param shifted: True when rows may have moved between two pages; reading again may help.
    """

    def __init__(self, what: str, missing: str, *, shifted: bool = False) -> None:
        super().__init__(f"{what} is incomplete: {missing}")
        self.what = what
        self.missing = missing
        self.shifted = shifted


class CloudError(RescindError):
    """A vendor request failed.

    :param vendor: ``tencent`` or ``alibaba``.
    :param action: the API action.
    :param code: the vendor's error code, or empty.
    :param request_id: the vendor's request id, or empty.
    :param http_status: HTTP status, or None when no answer arrived.
    :param retry_after: seconds to wait that the vendor asked for, or None.
    """

    def __init__(
        self,
        message: str,
        *,
        vendor: str,
        action: str,
        code: str = "",
        request_id: str = "",
        http_status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        where = f"{vendor} {action}"
        facts = ", ".join(
            part
            for part in (
                f"code {code}" if code else "",
                f"HTTP {http_status}" if http_status is not None else "",
                f"request {request_id}" if request_id else "",
            )
            if part
        )
        super().__init__(f"{where}: {message}" + (f" ({facts})" if facts else ""))
        self.vendor = vendor
        self.action = action
        self.code = code
        self.request_id = request_id
        self.http_status = http_status
        self.retry_after = retry_after


class ThrottledError(CloudError):
    """Not executed: too many requests."""


class TransientError(CloudError):
    """Not executed, or a read that failed; retryable."""


class RefusedError(CloudError):
    """The vendor rejected the request."""


class UnauthorizedError(CloudError):
    """Key, signature, token or permission is wrong; non-retryable."""


class ExpiredSignatureError(UnauthorizedError):
    """Not executed: the key or the signing time has expired, and this client cannot renew it."""


class NotFoundError(CloudError):
    """The vendor reports that the resource does not exist. This does not prove that a grant is gone."""


class MalformedResponseError(CloudError):
    """The response breaks the vendor's contract."""


class UnknownOutcomeError(CloudError):
    """A write may or may not have happened: read the platform first."""


def first_of(error: BaseException) -> BaseException:
    """Return the first plain exception inside nested exception groups."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
