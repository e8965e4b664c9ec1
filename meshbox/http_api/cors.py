"""Web pages of any origin may use the API: the headers that let browsers believe it.

As in the apps' own server: the phones' web views and the captive portal of a mailbox station are
other origins. No credentials are involved, so `*` gives away nothing.
"""

from __future__ import annotations

from typing import Final

_VARY: Final = (
    "vary",
    "origin, access-control-request-method, access-control-request-headers",
)

CORS_HEADERS: Final = (
    ("access-control-allow-origin", "*"),
    ("access-control-expose-headers", "*"),
    _VARY,
)
"""On every answer but those to OPTIONS, whatever its status."""

PREFLIGHT_HEADERS: Final = (
    ("access-control-allow-origin", "*"),
    ("access-control-allow-methods", "*"),
    ("access-control-allow-headers", "*"),
    _VARY,
)
"""On the answer to any OPTIONS to any path: 200 and no body."""
