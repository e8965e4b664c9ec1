"""Cursors: minted, honoured, or proof that this store lost what it once acknowledged (design.md 5).

    cursor = format, epoch number, epoch id, change, view, MAC

`change` is what the reader settled, `view` the feed's counter when its page was read. A page is
shown only when all of its view is durable, so a cursor with a right MAC whose view this store
does not know was minted by a longer history of the same identity:

    MAC     epoch number          epoch id    view                     verdict
    wrong   any                   any         any                      not honoured
    right   above ours            any         any                      lost
    right   ours, or one kept     another     any                      lost
    right   ours, or one kept     the same    above its last change    lost
    right   ours, or one kept     the same    up to its last change    honoured
    right   below all kept        any         any                      not honoured
"""

from __future__ import annotations

import hashlib
import hmac
from struct import Struct
from typing import Final, NamedTuple

from meshbox.core.errors import IdentityLost
from meshbox.storage.embedded.state import Epochs
from meshbox.storage.interface import Epoch

EPOCH_ID_BYTES: Final = 16

_FORMAT: Final = 1
_MAC_BYTES: Final = 16
_BODY = Struct(f">BQ{EPOCH_ID_BYTES}sQQ")
_PERSON: Final = b"meshbox cursor"


class Cursor(NamedTuple):
    """What a cursor of ours says."""

    epoch: Epoch
    change: int
    view: int


class CursorMint:
    """Makes and judges this store's cursors."""

    def __init__(self, key: bytes, epochs: Epochs) -> None:
        """`key`: 16 to 64 secret bytes, the same for all openings of the store."""
        assert 16 <= len(key) <= hashlib.blake2b.MAX_KEY_SIZE, "the key of a MAC"
        self._key = key
        self._current = epochs.current
        self._last_changes = {former.epoch: former.last_change for former in epochs.former}
        self._ids = {former.epoch.number: former.epoch.id for former in epochs.former}
        self._ids[epochs.current.number] = epochs.current.id

    def mint(self, *, change: int, view: int) -> bytes:
        """A cursor of the current epoch."""
        body = _BODY.pack(_FORMAT, self._current.number, self._current.id, change, view)
        return body + self._mac(body)

    def honoured(self, cursor: bytes, *, change: int) -> Cursor | None:
        """What a cursor says, or None when it is not honoured.

        `change` is the feed's counter of now. `IdentityLost` as the table says.
        """
        said = self._parse(cursor)
        if said is None:
            return None
        if said.epoch.number > self._current.number:
            raise _lost("an opening that this store does not know of")
        known_id = self._ids.get(said.epoch.number)
        if known_id is None:
            return None
        if known_id != said.epoch.id:
            raise _lost("another opening than this store's of the same number")
        if said.view > self._last_changes.get(said.epoch, change):
            raise _lost("changes that this store does not have")
        return said

    def _parse(self, cursor: bytes) -> Cursor | None:
        if len(cursor) != _BODY.size + _MAC_BYTES or cursor[0] != _FORMAT:
            return None
        body = cursor[: _BODY.size]
        if not hmac.compare_digest(cursor[_BODY.size :], self._mac(body)):
            return None
        _, number, epoch_id, change, view = _BODY.unpack(body)
        return Cursor(Epoch(number, epoch_id), change, view)

    def _mac(self, body: bytes) -> bytes:
        return hashlib.blake2b(body, key=self._key, digest_size=_MAC_BYTES, person=_PERSON).digest()


def _lost(what: str) -> IdentityLost:
    return IdentityLost(
        f"a cursor that this node minted names {what}",
        hint="this is an older copy: start it again, and it is a new node with what it still holds",
    )
