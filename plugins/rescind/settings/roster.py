"""Settings of the roster: where a service hands it out, and how to read an export that has names of its own."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

PresetName = Literal[
    "",
    "okta",
    "okta_csv",
    "entra",
    "entra_csv",
    "google",
    "google_csv",
    "workday",
    "bamboohr",
    "successfactors",
    "scim",
]
DateFormat = Literal[
    "", "DD.MM.YYYY", "DD/MM/YYYY", "DD-MM-YYYY", "MM/DD/YYYY", "YYYY/MM/DD", "YYYY.MM.DD", "YYYYMMDD", "YYYY年MM月DD日"
]
ID_SPACES = ("wedata_user_id", "alibaba_uid", "dms_user_id", "quickbi_user_id")
"""Id spaces of the four systems. Without a mapping they are the names of the columns too."""


class RosterEndpoint(BaseModel):
    """An HTTP service that returns the roster.

    :param conn_id: Airflow connection of type ``http``: host, login and password or headers.
    :param endpoint: path below the connection's host, with its query if it has one.
    :param format: ``scim`` (RFC 7644 ``Users``, paged by ``startIndex``), ``json`` (an object with people, total and a
        link to the next page, or a list), or ``csv`` (one document).
    :param page_size: people in one SCIM page.
    :param items: name of the list of people in a plain JSON page; likewise ``total`` and ``next``.
    :param as_of: field of a plain JSON page with the time of the export. Without it the age is taken from the
        ``Last-Modified`` header, or from ``Date`` and ``Age``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    conn_id: str = Field(min_length=1)
    endpoint: str = Field(min_length=1, pattern=r"^[^\s#]+$")
    format: Literal["scim", "json", "csv"]
    page_size: int = Field(default=200, ge=1, le=10_000)
    items: str = Field(default="items", min_length=1)
    total: str = Field(default="total", min_length=1)
    next: str = Field(default="next", min_length=1)
    as_of: str = ""


class RosterFormat(BaseModel):
    """How to read a roster: a CSV file, or a list of JSON objects, whose columns have names of their own.

    :param preset: a known export or service, whose names and words need no mapping; ``columns`` and ``values`` may add
        to it. It has no ``id_columns`` of its own: name some, or set ``roster_id_map``.
    :param columns: our name of a column (``person_id``, ``status``, ``terminated_at``, ``kind``, ``manager``, ``name``,
        ``email``, ``department``) -> its name in the export. Columns that are not named here keep our name.
    :param values: ``status`` and ``kind``: word of the export, in any case -> ours (``active``, ``left``; ``human``,
        ``service``; empty for not known). Words that are not named here must be ours.
    :param id_columns: column of the export -> id space of a platform. Every one of them must be in the export.
    :param zone: IANA time zone of dates and times without an offset.
    :param end_of_day: when the last working day ends in ``zone``, as ``HH:MM`` from 12:00 to 24:00. A leaving date
        without a time (a bare date, or an exact midnight) lasts until then on that day; ``24:00`` is the midnight after
        it. A leaving date with a time is not changed.
    :param encoding: of a CSV file, such as ``gb18030`` or ``shift_jis``; empty for UTF-8, or UTF-16 with its byte order
        mark.
    :param date_format: how dates are written, if not in ISO 8601, which is always read.
    :param delimiter: between the cells of a CSV file; empty for the one that separates the names of the first line.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    preset: PresetName = ""
    columns: dict[str, str] = Field(default_factory=dict)
    values: dict[Literal["status", "kind"], dict[str, str]] = Field(default_factory=dict)
    id_columns: dict[str, str] = Field(default_factory=lambda: {name: name for name in ID_SPACES})
    zone: str = "UTC"
    end_of_day: str = "24:00"
    delimiter: Literal["", ",", ";", "\t", "|"] = ""
    encoding: str = ""
    date_format: DateFormat = ""

    @model_validator(mode="before")
    @classmethod
    def _no_ids_of_its_own(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("preset") and "id_columns" not in given:
            return {**given, "id_columns": {}}
        return given

    @field_validator("zone")
    @classmethod
    def _known(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("is no IANA time zone. Write for example Asia/Shanghai") from None
        return value

    @field_validator("end_of_day")
    @classmethod
    def _at_noon_or_later(cls, value: str) -> str:
        if not re.fullmatch(r"(?:1[2-9]|2[0-3]):[0-5][0-9]|24:00", value):
            raise ValueError(
                "is no time from 12:00 to 24:00. Write the end of the working day on a clock of 24 hours, for example "
                "18:00, or 24:00 for the whole day"
            )
        return value

    @property
    def day_length(self) -> timedelta:
        """``end_of_day``, counted from 00:00."""
        hours, minutes = map(int, self.end_of_day.split(":"))
        return timedelta(hours=hours, minutes=minutes)

    @property
    def last_day(self) -> str:
        """How long a leaving date without a time lasts, in words for people."""
        return f"a leaving date without a time lasts until {self.end_of_day} of that day, {self.zone}"

    @field_validator("encoding")
    @classmethod
    def _decodes_text(cls, value: str) -> str:
        try:
            b"".decode(value or "utf-8")
        except LookupError:
            raise ValueError("is no encoding. Write for example gb18030, shift_jis or cp1252") from None
        return value
