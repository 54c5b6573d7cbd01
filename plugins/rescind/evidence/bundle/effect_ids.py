"""Ids of grants in canonical effects, read from the bytes without the planner's code."""

from __future__ import annotations

import codecs
import hashlib
import json
import re
from collections.abc import Iterator
from typing import IO

from rescind.evidence.bundle.format import EFFECTS
from rescind.evidence.bundle.read import Source

_ARRAY = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False)
_GRANTS = re.compile(r'"grants":\[')
_PIECE = 1 << 16


def effect_ids(source: Source, name: str = EFFECTS) -> Iterator[str]:
    """Yield the ids of the grants that a file of effects names, without holding them all.

    In canonical JSON the quotes of ``"grants":[`` cannot stand inside a text (there they are escaped), so the
    lists can be found in the bytes; each grant is then decoded as JSON.
    """
    decoder, text, inside = json.JSONDecoder(), "", False
    with source.open(name) as file:
        for piece in _text(file):
            text += piece
            while True:
                if not inside:
                    match = _GRANTS.search(text)
                    if match is None:
                        text = text[-16:]
                        break
                    text, inside = text[match.end() :], True
                text = text.lstrip(",")
                if text.startswith("]"):
                    text, inside = text[1:], False
                    continue
                try:
                    key, end = decoder.raw_decode(text)
                except ValueError:
                    break  # the piece ends inside a grant
                text = text[end:]
                yield hashlib.sha256(_ARRAY.encode(key).encode()).hexdigest()


def _text(file: IO[bytes]) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8")()
    while piece := file.read(_PIECE):
        yield decoder.decode(piece)
