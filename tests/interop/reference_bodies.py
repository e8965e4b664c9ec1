"""How the reference server reads bodies: by the rules of compat 1.0, with the standard library.

Shares nothing with meshbox, so that a mistake there is not made here as well. Slow and plain.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable
from typing import Any

from tests.interop.flaws import Flaw

NESTING_MAX = 128
U64_END = 2**64


class Malformed(Exception):
    """Not JSON: 400."""


class Misshapen(Exception):
    """JSON of another shape: 422."""


class Members(list[tuple[str, Any]]):
    """A JSON object as it was written: its members in order, with those that come twice."""


class BodyReader:
    """Reads bodies, with the planted mistakes."""

    def __init__(self, planted: frozenset[Flaw]) -> None:
        self._planted = planted

    def read(self, raw: bytes) -> Any:
        """A JSON document; its objects are `Members`."""
        try:
            text = raw.decode()
            value, end = self._decoder().raw_decode(text.lstrip(" \t\r\n"))
        except (ValueError, RecursionError) as error:
            raise Malformed(str(error)) from error
        rest = text.lstrip(" \t\r\n")[end:].strip(" \t\r\n")
        if rest and Flaw.TRAILING_BYTES_ARE_TAKEN not in self._planted:
            raise Malformed("trailing characters")
        if "\\u" in text and Flaw.SURROGATES_ARE_TAKEN not in self._planted:
            _check_surrogates(value)
        if Flaw.ANY_DEPTH not in self._planted and _depth(value) > NESTING_MAX:
            raise Malformed("nested too deeply")
        return value

    def struct(self, value: Any, *, names: Iterable[str], optional: Iterable[str] = ()) -> Any:
        """The members of a request by name; what is not named is dropped."""
        names, optional = list(names), list(optional)
        if type(value) is list and Flaw.LISTS_FOR_OBJECTS in self._planted and value:
            value = Members(zip(names, value, strict=False))
        if type(value) is not Members:
            raise Misshapen("expected an object")
        known = [(key, item) for key, item in value if key in (*names, *optional)]
        if len(dict(known)) < len(known) and Flaw.MEMBER_TWICE_IS_422 in self._planted:
            raise Misshapen("duplicate field")
        if len(known) < len(value) and Flaw.UNKNOWN_MEMBERS_ARE_REFUSED in self._planted:
            raise Misshapen("unknown field")
        found = dict(known)
        for name in names:
            if name not in found:
                if Flaw.MEMBER_MISSING_IS_EMPTY not in self._planted:
                    raise Misshapen(f"missing field {name}")
                found[name] = Members()
        return found

    def mapping(self, value: Any) -> dict[str, Any]:
        """An object whose keys are data: the last of a key counts."""
        if type(value) is not Members:
            raise Misshapen("expected a map")
        if Flaw.FIRST_KEY_COUNTS in self._planted:
            return dict(reversed(value))
        return dict(value)

    def seq(self, key: str) -> int:
        """A sequence number as a key."""
        if Flaw.SEQ_SPACE in self._planted:
            key = key.strip()
        if Flaw.SEQ_LEADING_ZERO in self._planted:
            key = key.lstrip("0") or "0"
        if not re.fullmatch(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?", key):
            raise Malformed(f"{key!r} is not a number")
        if Flaw.SEQ_NEGATIVE in self._planted:
            key = key.lstrip("-")
        end = 2**63 if Flaw.SEQ_SIGNED_64 in self._planted else U64_END
        if not key.isdigit() or int(key) >= end:
            raise Misshapen(f"{key!r} is not a u64")
        return int(key)

    def height(self, value: Any) -> int:
        """A sequence number as a value."""
        if type(value) is float and Flaw.HEIGHT_FLOAT in self._planted:
            value = int(value)
        if type(value) is str and Flaw.HEIGHT_TEXT in self._planted:
            value = int(value)
        if type(value) is bool and Flaw.HEIGHT_TRUE in self._planted:
            value = int(value)
        if type(value) is not int or not 0 <= value < U64_END:
            raise Misshapen(f"{value!r} is not a u64")
        return value

    def blob(self, value: Any) -> bytes:
        """Bytes as base64."""
        if type(value) is Members and Flaw.NO_SCRUBBABLE_BLIPS not in self._planted:
            value = dict(value).get("blip")
        if type(value) is not str:
            raise Misshapen("expected base64")
        text = value
        if Flaw.BASE64_WITH_SPACE in self._planted:
            text = "".join(text.split())
        if Flaw.BASE64_URL_ALPHABET in self._planted:
            text = text.replace("-", "+").replace("_", "/")
        if Flaw.BASE64_WITHOUT_PADDING in self._planted:
            text += "=" * (-len(text) % 4)
        try:
            data = base64.b64decode(text.encode("ascii"), validate=True)
        except (binascii.Error, ValueError) as error:
            raise Misshapen(str(error)) from error
        canonical = base64.b64encode(data).decode() == text
        if not canonical and Flaw.BASE64_NOT_CANONICAL not in self._planted:
            raise Misshapen("not canonical base64")
        if not data and Flaw.EMPTY_BLOB_IS_REFUSED in self._planted:
            raise Misshapen("empty")
        return data

    def _decoder(self) -> json.JSONDecoder:
        return json.JSONDecoder(
            object_pairs_hook=Members,
            parse_int=self._integer,
            parse_float=self._float,
            parse_constant=self._constant,
        )

    def _integer(self, text: str) -> Any:
        is_float = text == "-0" and Flaw.MINUS_ZERO_IS_A_FLOAT in self._planted
        return -0.0 if is_float else int(text)

    def _float(self, text: str) -> float:
        number = float(text)
        if number in (float("inf"), float("-inf")) and Flaw.INFINITE_HEIGHT_IS_400 in self._planted:
            raise ValueError("number out of range")
        return number

    def _constant(self, text: str) -> Any:
        if Flaw.NAN_IS_TAKEN in self._planted:
            return Members()
        raise ValueError(f"{text} is not JSON")


def _check_surrogates(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise Malformed("lone surrogate") from error


def _depth(value: Any) -> int:
    deepest, level = 0, [value]
    while level:
        containers = [item for item in level if isinstance(item, list)]
        deepest += bool(containers)
        level = [
            item[1] if isinstance(container, Members) else item
            for container in containers
            for item in container
        ]
    return deepest
