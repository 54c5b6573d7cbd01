"""What typed messages, pacers and clients share.

A *request* is one pydantic model per vendor action, with the vendor's own field names. A *reply* is the part of the
answer that this package needs: extra fields are ignored, the named ones are strict. :class:`Prepared` holds the final
bytes of one request before it is signed.
"""

from __future__ import annotations

import functools
import hashlib
from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Generic, NamedTuple, Protocol, TypeVar, get_args, runtime_checkable

from pydantic import BaseModel, ConfigDict, ValidationError

from rescind.cloud.fields import WireInt
from rescind.errors import CloudError, InputError


class Bucket(NamedTuple):
    """What one vendor rate limit applies to.

    :param rate: the action's documented limit in requests per second, from its message (:attr:`Request.rate`).
    """

    vendor: str
    account: str
    region: str
    action: str
    rate: float


@runtime_checkable
class Pacer(Protocol):
    """Decides when a request may be sent."""

    async def slot(self, bucket: Bucket, *, write: bool) -> None:
        """Wait until one request of this bucket may be sent.

        :raises LedgerError: when no sending time can be reserved.
        :raises RunStoppedError: when the kill switch is set.
        """

    def throttled(self, bucket: Bucket, retry_after: float | None) -> None:
        """Report a throttled answer; ``retry_after`` in seconds when the vendor gave it."""

    def succeeded(self, bucket: Bucket) -> None:
        """Report an answer that was not throttled."""


class Reply(BaseModel):
    """Base of all answers and parts of answers.

    Extra fields are ignored, so what is not named here (passwords, phones, mails in listings) never
    reaches logs or tasks.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True, defer_build=True)


class Row(Reply):
    """One row of a listing."""

    @abstractmethod
    def key(self) -> tuple[str, ...]:
        """Return what identifies this row in its listing; stable between pages and reads."""


ReplyT = TypeVar("ReplyT", bound=Reply)
RowT = TypeVar("RowT", bound=Row)


class Page(Reply, Generic[RowT]):
    """One page of a listing."""

    @abstractmethod
    def rows(self) -> Sequence[RowT] | None:
        """Return the rows, or None when the vendor sent null or nothing instead of the list."""

    def total(self) -> int | None:
        """The declared number of rows of the whole listing, or None when the action declares none."""
        return None


class Part(BaseModel):
    """A part of a request. Unknown fields are refused; a wrong value is an :class:`InputError`."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, defer_build=True)

    def __init__(self, /, **data: Any) -> None:
        try:
            super().__init__(**data)
        except ValidationError as error:
            raise input_error(type(self).__name__, error) from None


class Request(Part, Generic[ReplyT]):
    """One vendor action with its parameters.

    :cvar vendor: ``tencent`` or ``alibaba``.
    :cvar service: ``wedata``, ``dms``, ``quickbi`` or ``sts``.
    :cvar rate: the vendor's limit for this action in requests per second. The connection's ``limits`` override it.
        Each product names its source; 5 is our own choice for products that publish no limit.
    :cvar needs_success: False for the Alibaba actions whose answers carry no ``Success``.
    :cvar Answer: the reply type.
    """

    vendor: ClassVar[str]
    service: ClassVar[str]
    action: ClassVar[str]
    version: ClassVar[str]
    write: ClassVar[bool] = False
    method: ClassVar[str] = "POST"
    rate: ClassVar[float] = 5.0
    needs_success: ClassVar[bool] = True
    Answer: ClassVar[type[Reply]]

    @abstractmethod
    def wire(self) -> dict[str, Any]:
        """The parameters as they go on the wire, vendor names to JSON values."""

    def objection(self, reply: ReplyT, facts: Mapping[str, Any]) -> CloudError | None:
        """Return the failure inside a formally successful answer, if any.

        :param facts: keyword arguments for the error: vendor, action, request id, status.
        :return: ``RefusedError`` when the vendor said no inside the answer, ``UnknownOutcomeError`` when the answer
            of a write proves nothing, else None.
        """
        return None


class ReadRequest(Request[ReplyT], Generic[ReplyT]):
    """A request that changes nothing: optional parameters that are not given are left out."""

    write: ClassVar[bool] = False

    def wire(self) -> dict[str, Any]:
        """The given parameters."""
        return wire_fields(self)


class WriteRequest(Request[ReplyT], Generic[ReplyT]):
    """A request that changes something.

    Each one spells out its own :meth:`wire`: there is no generic dropping of empty fields on the way to a
    write, because a missing selector can mean "everything".
    """

    write: ClassVar[bool] = True


class ListRequest(ReadRequest[Page[RowT]], Generic[RowT]):
    """A listing. ``page_field`` and ``size_field`` are empty when the action has no paging.

    ``null_at_zero``: the vendor documents null in place of an empty list for this inventory, so null
    together with a declared total of exactly 0 counts as empty. Never set for listings that prove absence of grants.
    ``needs_total``: the action declares a total, so an answer without one proves nothing.
    """

    page_field: ClassVar[str] = ""
    size_field: ClassVar[str] = ""
    page_size: ClassVar[int] = 100
    text_paging: ClassVar[bool] = False
    null_at_zero: ClassVar[bool] = False
    needs_total: ClassVar[bool] = False

    def other_total(self, rows: Collection[RowT]) -> int | None:
        """What the declared total may count in place of rows, where the vendor does not name its unit; else None."""
        return None

    def may_repeat(self, row: RowT) -> bool:
        """Whether the vendor may list this row several times, such as a permission that is inherited too.

        It counts only where one page, not full, holds as many rows as declared, and a second reading is the same.
        """
        return False

    def at_page(self, number: int, size: int | None = None) -> ListRequest[RowT]:
        """The same listing at page ``number`` (from 1). Paging fields may be text for some actions."""
        if not self.page_field:
            return self
        values = {name: getattr(self, name) for name in type(self).model_fields}
        values[self.page_field] = str(number) if self.text_paging else number
        values[self.size_field] = str(size or self.page_size) if self.text_paging else size or self.page_size
        return type(self)(**values)


@dataclass(frozen=True, slots=True)
class Prepared(Generic[ReplyT]):
    """The final bytes of one request, before signing. Sending it twice signs it twice.

    :param headers: unsigned headers, without any key, date, nonce or token.
    :param request: the message it was made from, needed to read the answer.
    """

    vendor: str
    service: str
    action: str
    version: str
    write: bool
    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    bucket: Bucket
    request: Request[ReplyT] = field(repr=False)

    @property
    def fingerprint(self) -> str:
        """Return a SHA-256 (hex) over what the vendor will read, for the ledger. Contains no secret."""
        parts = [self.method, self.url, self.action, self.version, self.headers.get("x-tc-region", "")]
        return hashlib.sha256("\n".join(parts).encode() + b"\n" + self.body).hexdigest()


@dataclass(frozen=True, slots=True)
class Answer(Generic[ReplyT]):
    """A vendor's answer.

    :param sent_at: when the request left, timezone-aware UTC.
    :param answered_at: when the last byte of the answer was there.
    """

    value: ReplyT
    request_id: str
    http_status: int
    sent_at: datetime
    answered_at: datetime


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a credential is, as the vendor's STS says.

    :param kind: the vendor's word for the sort of identity (``CAMUser``, ``RAMUser``, ``AssumedRoleUser`` ...).
    """

    vendor: str
    account_id: str
    arn: str
    user_id: str
    principal_id: str = ""
    kind: str = ""

    @property
    def name(self) -> str:
        """The ARN where there is one, else the user id."""
        return self.arn or self.user_id


def wire_fields(model: BaseModel) -> dict[str, Any]:
    """The fields of a read request that were given; parts become JSON objects."""
    out: dict[str, Any] = {}
    integers = _integer_fields(type(model))
    for name in type(model).model_fields:
        value = getattr(model, name)
        if value is not None:
            out[name] = int(value) if name in integers else _wire_value(value)
    return out


@functools.cache
def _integer_fields(model: type[BaseModel]) -> frozenset[str]:
    """Fields marked with :class:`WireInt`, also inside ``X | None``."""

    def marks(annotation: Any) -> list[Any]:
        inner = [mark for part in get_args(annotation) for mark in marks(part)]
        return [*getattr(annotation, "__metadata__", ()), *inner]

    return frozenset(
        name
        for name, info in model.model_fields.items()
        if any(isinstance(mark, WireInt) for mark in (*info.metadata, *marks(info.annotation)))
    )


def _wire_value(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return wire_fields(value)
    if isinstance(value, list | tuple):
        return [_wire_value(inner) for inner in value]
    return value


def input_error(where: str, error: ValidationError) -> InputError:
    """A pydantic error as ours: names field and shape, never the value."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    path = ".".join(str(step) for step in (where, *first["loc"]))
    return InputError(path, first["msg"], "Give the value as the vendor's listing shows it")
