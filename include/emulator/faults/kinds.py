"""The kinds of fault and the options each takes."""

from __future__ import annotations

from typing import NamedTuple


class Kind(NamedTuple):
    """A kind: its name, when it acts, which options it takes, whether the call is still carried out."""

    name: str
    stage: str
    options: tuple[str, ...] = ()
    executes: bool = True


_ALL = [
    # Before execution: the call is not carried out.
    Kind("reset_before", "deliver", (), False),
    Kind("close_before", "deliver", (), False),
    Kind("hang_before", "deliver", ("seconds",), False),
    Kind("status", "replace", ("status", "body", "headers", "content_type", "text"), False),
    Kind("redirect", "replace", ("status", "location"), False),
    Kind("error", "refuse", ("code", "message", "status", "in_body", "headers"), False),
    Kind("throttle", "refuse", ("retry_after", "header", "status", "code"), False),
    Kind("expired_token", "refuse", (), False),
    Kind("pretend", "pretend", (), False),
    # After execution: the call has been carried out.
    Kind("reset_after", "deliver"),
    Kind("close_after", "deliver"),
    Kind("hang_after", "deliver", ("seconds",)),
    Kind("hold", "deliver", ("seconds",)),
    Kind("status_after", "replace", ("status", "body", "headers", "content_type", "text")),
    Kind("error_after", "after", ("code", "message", "status", "in_body")),
    Kind("delay", "delay", ("seconds",)),
    # The content of the answer.
    Kind("null", "edit", ("path",)),
    Kind("drop", "edit", ("path",)),
    Kind("set", "edit", ("path", "value")),
    Kind("empty", "edit", ("path",)),
    Kind("short", "edit", ("path", "count")),
    Kind("duplicate", "edit", ("path", "count")),
    Kind("shuffle", "edit", ("path", "seed_text")),
    Kind("total", "edit", ("value", "delta")),
    # Pages.
    Kind("page_repeat", "params"),
    Kind("page_endless", "params"),
    Kind("page_shift", "params", ("by",)),
    # What is carried out.
    Kind("partial", "params", ("count", "honest")),
    Kind("lag", "lag", ("seconds", "reads", "flap")),
    Kind("mutate", "mutate", ("ops", "when")),
    # The bytes of the answer.
    Kind("truncate", "bytes", ("at", "keep", "mode")),
    Kind("oversize", "bytes", ("megabytes",)),
    Kind("many", "bytes", ("count",)),
    Kind("deep", "bytes", ("depth",)),
    Kind("digits", "bytes", ("count",)),
    Kind("nan", "bytes"),
    Kind("duplicate_keys", "bytes"),
    Kind("bom", "bytes"),
    Kind("encoding", "bytes", ("name",)),
    Kind("gzip_bomb", "bytes", ("megabytes",)),
    Kind("drip", "bytes", ("bytes", "pause")),
    Kind("content_type", "bytes", ("value",)),
    Kind("length", "bytes", ("delta",)),
    Kind("header", "bytes", ("name", "value")),
    Kind("double", "bytes"),
    Kind("stale", "bytes"),
    # Others on the same bucket.
    Kind("load", "load", ("per_second",)),
    # The service's clock.
    Kind("skew", "clock", ("seconds",)),
]
KINDS = {kind.name: kind for kind in _ALL}
