"""`?wait=SECONDS` of the fetch routes: how long a client of our own would wait for something new.

The apps know nothing of it and get their answers at once.
"""

from __future__ import annotations

import re
from typing import Final

from meshbox.core.errors import QueryInvalid
from meshbox.core.limits import WAIT_MS_MAX
from meshbox.http_api.exchange import Exchange

_SECONDS: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")


def wait_seconds(exchange: Exchange) -> float:
    """The seconds that a request may wait, 0 when it does not say; `QueryInvalid`."""
    values = exchange.query("wait")
    if not values:
        return 0.0
    if len(values) > 1 or not _SECONDS.fullmatch(values[0]):
        raise QueryInvalid("wait is one number of seconds, such as wait=20 or wait=0.5")
    return min(float(values[0]), WAIT_MS_MAX / 1000)
