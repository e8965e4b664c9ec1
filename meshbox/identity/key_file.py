"""The node's key in its data folder: `identity.key`, and the rule that a key has one database.

The file is an unencrypted PKCS #8 PEM (so that any TLS tool reads it), mode 0600. It appears
complete or not at all: it is written and synced as the draft `identity.key.new` and then renamed.
Nothing here overwrites or deletes a key that was ever in use.

Making a key makes the store (design.md 4.11), and a crash may come between the two. So `claim`
mints only a draft, the caller makes the store, and `settle` makes the draft the key. Each state
that a crash can leave then says by itself what happened:

    identity.key  .new   store   what happened                      what `claim` does
    ------------  -----  -----   ---------------------------------  --------------------------------
    -             -      -       first start                        mints a draft
    -             yes    -       crash before the store was made    drops the draft, mints another:
                                                                    nobody has seen its node id
    -             yes    yes     crash before `settle`              settles and loads it
    yes           any    yes     an ordinary start                  loads it
    yes           any    -       the database was lost              archives the key, mints a draft
    -             -      yes     the key was lost                   StoreForeign: a person decides

Making the store first would leave "store without key" after a crash, which must stay an error;
settling the key first would leave "key without store", and archive a key for nothing.

A key that others can read is refused rather than repaired: whether somebody read it is for a
person to judge, and silence would hide it. Symbolic links are refused, since a rename replaces
the link and not what it names.

The caller holds the data folder for itself (a second node on one folder is refused) and calls
from a thread that may block: these functions sync to disk.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from meshbox.core.errors import DataFolderFailed, StoreForeign
from meshbox.identity.key import Identity, mint

KEY_NAME = "identity.key"
_DRAFT_NAME = "identity.key.new"
_MODE = 0o600
_OTHERS = 0o077
_KEY_BYTES_MAX = 4096
"""An Ed25519 key is 119 bytes of PEM; comments around it may take the rest."""


class Claim(NamedTuple):
    """The identity to run as; whether it is new; where the key of a lost database went."""

    identity: Identity
    minted: bool
    archived: Path | None


def claim(folder: Path, *, store_exists: bool) -> Claim:
    """The identity of an existing data folder, by the table above. Call `settle` afterwards.

    The order is: `claim`, open or make the store durably, `settle`, and only then show the node
    id or acknowledge anything. `store_exists` is whether a store was there before this start; in
    doubt (a half-made one) it is True. Who gives up a database while the key is there moves the
    database away first: its key is archived here, and a crash between the two is told apart.

    Raises `StoreForeign` for a store without a key, `DataFolderFailed` for what cannot be read,
    written or trusted.
    """
    if store_exists:
        settle(folder)
        identity = load(folder)
        if identity is None:
            raise StoreForeign(
                f"{folder} has a store but no {KEY_NAME}",
                hint=f"put back the {KEY_NAME} that belongs to it (from a backup, or from another "
                "process of the same store), or move the store away to begin as a new mailbox",
            )
        return Claim(identity, minted=False, archived=None)
    archived = None
    if _exists(folder / KEY_NAME):
        archived = archive(folder, "its database was not there")
    identity = mint()
    _write_synced(folder / _DRAFT_NAME, identity.to_pem())
    return Claim(identity, minted=True, archived=archived)


def settle(folder: Path) -> None:
    """Make the draft of `claim` the key, unless there is one; and all names in `folder` durable.

    Each start that opened the store calls it: one that was killed after its renaming may have left
    the names of key and store to the page cache.
    """
    draft = folder / _DRAFT_NAME
    if _exists(draft) and not _exists(folder / KEY_NAME):
        _rename(draft, folder / KEY_NAME)
        return
    with _failing(f"cannot make the names in {folder} durable"):
        _sync_folder(folder)


def has_draft(folder: Path) -> bool:
    """Whether a start minted a key there and ended before `settle`."""
    return _exists(folder / _DRAFT_NAME)


def load(folder: Path) -> Identity | None:
    """The key in `folder`, or None when there is none.

    Raises `DataFolderFailed` for a file that cannot be read, that others can read, that is no
    regular file or that holds no Ed25519 key.
    """
    path = folder / KEY_NAME
    return _parse(path, _read(path)) if _exists(path) else None


def save(folder: Path, identity: Identity) -> None:
    """Put a key that exists already (a backup, a key made elsewhere) into `folder`, durably.

    Raises `DataFolderFailed` when there is a key, or the folder cannot keep one.
    """
    if _exists(folder / KEY_NAME):
        raise DataFolderFailed(f"{folder / KEY_NAME} is there already and is never overwritten")
    _write_synced(folder / _DRAFT_NAME, identity.to_pem())
    settle(folder)


def archive(folder: Path, reason: str) -> Path:
    """Set the key aside as `identity.key.lost-N`, N the first free; returns that path.

    The reason goes into `identity.key.lost-N.txt`, for people. Nothing is overwritten but the
    note of an archive that a crash cut short.
    """
    number = 1
    while _exists(lost := folder / f"{KEY_NAME}.lost-{number}"):
        number += 1
    _write_synced(lost.with_name(f"{lost.name}.txt"), f"{reason}\n".encode())
    _rename(folder / KEY_NAME, lost)
    return lost


def _read(path: Path) -> bytes:
    # Not blocking: opening a FIFO of that name would wait for a writer for ever.
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
    with _failing(f"cannot read {path}"):
        # O_NOFOLLOW alone would answer a link with "Too many levels of symbolic links".
        if path.is_symlink():
            raise _unusable(path, "a symbolic link", hint="put the key file itself there")
        descriptor = os.open(path, flags)
        try:
            _refuse_shared(path, os.fstat(descriptor))
            pem = os.read(descriptor, _KEY_BYTES_MAX + 1)
        finally:
            os.close(descriptor)
    if len(pem) > _KEY_BYTES_MAX:
        raise _unusable(path, f"more than {_KEY_BYTES_MAX} bytes long")
    return pem


def _parse(path: Path, pem: bytes) -> Identity:
    try:
        private = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _unusable(path, "no unencrypted private key in PEM form") from error
    if not isinstance(private, Ed25519PrivateKey):
        raise _unusable(path, "a private key, but not an Ed25519 one")
    return Identity.of_private_key(private)


def _refuse_shared(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise _unusable(path, "not a regular file")
    if status.st_mode & _OTHERS:
        raise _unusable(
            path,
            f"open to other users (mode {stat.S_IMODE(status.st_mode):04o})",
            hint="if nobody else read it, make it private again with chmod 600; a file system "
            "without modes (FAT) must be mounted with umask=077",
        )


def _unusable(path: Path, why: str, *, hint: str | None = None) -> DataFolderFailed:
    restore = f"put {path.name} back from a backup, or begin with a new data folder"
    return DataFolderFailed(f"{path} is {why}", hint=hint or restore)


def _write_synced(path: Path, content: bytes) -> None:
    """Write a private file anew; it is on disk under its name when this returns."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with _failing(f"cannot write {path}"):
        path.unlink(missing_ok=True)
        with open(os.open(path, flags, _MODE), "wb") as file:  # noqa: PTH123
            _refuse_shared(path, os.fstat(file.fileno()))
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        _sync_folder(path.parent)


def _rename(source: Path, target: Path) -> None:
    with _failing(f"cannot rename {source} to {target}"):
        source.rename(target)
        _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _exists(path: Path) -> bool:
    """Whether anything has this name, a dangling link too."""
    with _failing(f"cannot look for {path}"):
        try:
            path.lstat()
        except FileNotFoundError:
            return False
        return True


@contextmanager
def _failing(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataFolderFailed(
            f"{what}: {error.strerror}", hint="check the data folder's owner, mode and free space"
        ) from error
