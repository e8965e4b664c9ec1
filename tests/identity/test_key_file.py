"""The key in its data folder: what is refused, and a crash at every line of a start."""

from __future__ import annotations

import os
import random
import shutil
import stat
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from meshbox.core.errors import DataFolderFailed, StoreForeign
from meshbox.identity import key_file
from meshbox.identity.key import mint
from meshbox.identity.key_file import Claim, archive, claim, load, save, settle
from scripts.tortures.disk import Choice, Disk
from scripts.tortures.preloading import watched

KEY = "identity.key"
DRAFT = "identity.key.new"
STORE = "store"


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def start(folder: Path) -> Claim:
    """What a node does: claim, make the store, settle."""
    claimed = claim(folder, store_exists=(folder / STORE).exists())
    (folder / STORE).mkdir(exist_ok=True)
    settle(folder)
    return claimed


def test_an_empty_folder_has_no_key(tmp_path: Path) -> None:
    assert load(tmp_path) is None


def test_what_is_saved_is_loaded_and_private(tmp_path: Path) -> None:
    identity = mint()
    previous = os.umask(0)
    try:
        save(tmp_path, identity)
    finally:
        os.umask(previous)
    loaded = load(tmp_path)
    assert loaded is not None
    assert loaded.to_pem() == identity.to_pem()
    assert stat.S_IMODE((tmp_path / KEY).stat().st_mode) == 0o600
    assert names(tmp_path) == {KEY}


def test_a_start_makes_durable_what_a_killed_one_left_in_the_page_cache(
    tmp_path: Path, journal_library: Path
) -> None:
    """Killed after the renaming, before its sync; started again; then the power goes."""
    root, journal = tmp_path / "root", tmp_path / "journal"
    root.mkdir()
    code = (
        "import pathlib\n"
        "from meshbox.identity.key_file import claim, settle\n"
        "folder = pathlib.Path()\n"
        "claim(folder, store_exists=False)\n"
        "(folder / 'store').mkdir()\n"
        "(folder / 'identity.key.new').rename('identity.key')\n"
        "claim(folder, store_exists=True)\n"
        "settle(folder)"
    )
    environment = os.environ | watched(journal_library, root=root, journal=journal)
    subprocess.run([sys.executable, "-c", code], cwd=root, env=environment, check=True)
    disk = Disk(root)
    disk.replay(journal)
    disk.cut(Choice.STRICT, random.Random(0))
    assert names(root) == {KEY, STORE}


def test_save_never_overwrites(tmp_path: Path) -> None:
    identity = mint()
    save(tmp_path, identity)
    with pytest.raises(DataFolderFailed, match="never overwritten"):
        save(tmp_path, mint())
    assert load(tmp_path) == identity


def test_save_replaces_what_a_crash_left_of_a_draft(tmp_path: Path) -> None:
    (tmp_path / DRAFT).write_text("torn")
    identity = mint()
    save(tmp_path, identity)
    assert load(tmp_path) == identity
    assert names(tmp_path) == {KEY}


def test_a_draft_that_is_a_link_is_not_written_through(tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    target.write_text("precious")
    (tmp_path / DRAFT).symlink_to(target)
    save(tmp_path, mint())
    assert target.read_text() == "precious"
    assert not (tmp_path / KEY).is_symlink()


def pem_of_p256() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def pem_with_password() -> bytes:
    private = serialization.load_pem_private_key(mint().to_pem(), password=None)
    return private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"password"),
    )


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (lambda: b"", "no unencrypted private key"),
        (lambda: os.urandom(200), "no unencrypted private key"),
        (lambda: mint().to_pem()[:-30], "no unencrypted private key"),
        (pem_with_password, "no unencrypted private key"),
        (pem_of_p256, "not an Ed25519 one"),
        (lambda: b"\n" * 5000 + mint().to_pem(), "more than 4096 bytes"),
    ],
)
def test_other_contents_are_refused(tmp_path: Path, content: Callable[[], bytes], why: str) -> None:
    path = tmp_path / KEY
    path.touch(mode=0o600)
    path.write_bytes(content())
    with pytest.raises(DataFolderFailed, match=why) as caught:
        load(tmp_path)
    assert str(path) in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o660, 0o755])
def test_a_key_open_to_others_is_refused_and_left_alone(tmp_path: Path, mode: int) -> None:
    save(tmp_path, mint())
    (tmp_path / KEY).chmod(mode)
    with pytest.raises(DataFolderFailed, match=f"mode {mode:04o}.*chmod 600"):
        load(tmp_path)
    assert stat.S_IMODE((tmp_path / KEY).stat().st_mode) == mode


def test_a_key_that_only_its_owner_reads_is_loaded(tmp_path: Path) -> None:
    save(tmp_path, mint())
    (tmp_path / KEY).chmod(0o400)
    assert load(tmp_path) is not None


@pytest.mark.parametrize("dangling", [False, True])
def test_a_symbolic_link_is_refused(tmp_path: Path, dangling: bool) -> None:
    elsewhere = tmp_path / "elsewhere"
    if not dangling:
        elsewhere.touch(mode=0o600)
        elsewhere.write_bytes(mint().to_pem())
    (tmp_path / KEY).symlink_to(elsewhere)
    with pytest.raises(DataFolderFailed, match="symbolic link"):
        load(tmp_path)


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_what_is_no_file_is_refused_without_waiting(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(tmp_path / KEY)
    with pytest.raises(DataFolderFailed, match="not a regular file"):
        load(tmp_path)


@pytest.mark.parametrize(
    "act",
    [
        load,
        settle,
        lambda folder: save(folder, mint()),
        lambda folder: claim(folder, store_exists=False),
    ],
)
def test_a_folder_that_is_none_is_the_worlds_fault(
    tmp_path: Path, act: Callable[[Path], object]
) -> None:
    folder = tmp_path / "file"
    folder.touch()
    with pytest.raises(DataFolderFailed, match="Not a directory") as caught:
        act(folder)
    assert isinstance(caught.value.__cause__, NotADirectoryError)


def test_a_missing_folder_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(DataFolderFailed, match="No such file"):
        claim(tmp_path / "missing", store_exists=False)


def test_archives_are_numbered_and_never_overwritten(tmp_path: Path) -> None:
    identities = [mint() for _ in range(3)]
    for number, identity in enumerate(identities, start=1):
        save(tmp_path, identity)
        assert archive(tmp_path, f"reason {number}") == tmp_path / f"{KEY}.lost-{number}"
    for number, identity in enumerate(identities, start=1):
        assert (tmp_path / f"{KEY}.lost-{number}").read_bytes() == identity.to_pem()
        assert (tmp_path / f"{KEY}.lost-{number}.txt").read_text() == f"reason {number}\n"
    assert load(tmp_path) is None


def test_archiving_no_key_fails(tmp_path: Path) -> None:
    with pytest.raises(DataFolderFailed, match="No such file"):
        archive(tmp_path, "reason")


def test_first_start_mints_and_later_ones_load(tmp_path: Path) -> None:
    first = start(tmp_path)
    assert first.minted
    assert first.archived is None
    assert start(tmp_path) == Claim(first.identity, minted=False, archived=None)
    assert names(tmp_path) == {KEY, STORE}


def test_a_key_without_its_store_is_archived_and_another_minted(tmp_path: Path) -> None:
    old = start(tmp_path).identity
    (tmp_path / STORE).rmdir()
    claimed = start(tmp_path)
    assert claimed.minted
    assert claimed.identity != old
    assert claimed.archived == tmp_path / f"{KEY}.lost-1"
    assert claimed.archived.read_bytes() == old.to_pem()
    assert load(tmp_path) == claimed.identity


def test_even_an_unusable_key_is_archived_not_lost(tmp_path: Path) -> None:
    (tmp_path / KEY).write_bytes(b"garbage")
    claimed = start(tmp_path)
    assert claimed.archived is not None
    assert claimed.archived.read_bytes() == b"garbage"
    assert load(tmp_path) == claimed.identity


def test_a_store_without_its_key_is_refused_and_nothing_is_made(tmp_path: Path) -> None:
    (tmp_path / STORE).mkdir()
    with pytest.raises(StoreForeign, match="put back"):
        claim(tmp_path, store_exists=True)
    assert names(tmp_path) == {STORE}


def test_a_claim_that_was_not_settled_leaves_no_key(tmp_path: Path) -> None:
    claim(tmp_path, store_exists=False)
    assert names(tmp_path) == {DRAFT}


def test_a_key_that_was_put_back_wins_over_a_draft(tmp_path: Path) -> None:
    claim(tmp_path, store_exists=False)
    restored = mint()
    (tmp_path / KEY).touch(mode=0o600)
    (tmp_path / KEY).write_bytes(restored.to_pem())
    (tmp_path / STORE).mkdir()
    assert start(tmp_path).identity == restored


def test_what_was_done_is_on_disk_when_it_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a power cut would keep: the size and names of what was synced, when it was."""
    synced: list[int | set[str]] = []
    fsync = os.fsync

    def watched(descriptor: int) -> None:
        status = os.fstat(descriptor)
        is_folder = stat.S_ISDIR(status.st_mode)
        synced.append(names(tmp_path) if is_folder else status.st_size)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    key_bytes = len(claim(tmp_path, store_exists=False).identity.to_pem())
    assert synced == [key_bytes, {DRAFT}]
    settle(tmp_path)
    assert synced[2:] == [{KEY}]
    lost, note = f"{KEY}.lost-1", f"{KEY}.lost-1.txt"
    archive(tmp_path, "reason")
    assert synced[3:] == [len("reason\n"), {KEY, note}, {lost, note}]


class Crash(BaseException):
    """Not an Exception: nothing may catch it, as nothing catches `kill -9`."""


def crash_before_line(number: int, act: Callable[[], object]) -> bool:
    """Run `act`, and end it before the n-th line that it runs of key_file.py or this file.

    Returns whether it was ended. What is on disk then is what a kill at that point leaves, since
    nothing in key_file.py cleans up on its way out.
    """
    lines = 0
    watched = {key_file.__file__, __file__}

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal lines
        if frame.f_code.co_filename not in watched:
            return None
        if event == "line":
            lines += 1
            if lines == number:
                raise Crash
        return trace

    previous = sys.gettrace()
    with warnings.catch_warnings():
        # A killed process closes no files either.
        warnings.simplefilter("ignore", ResourceWarning)
        sys.settrace(trace)
        try:
            act()
        except Crash:
            return True
        finally:
            sys.settrace(previous)
    return False


def crashed_starts(folder: Path, prepare: Callable[[Path], None]) -> Iterator[Path]:
    """A folder for every line before which a start can be killed, the last one not at all."""
    number = 0
    crashed = True
    while crashed:
        number += 1
        place = folder / str(number)
        place.mkdir()
        prepare(place)
        crashed = crash_before_line(number, lambda place=place: start(place))  # type: ignore[misc]
        yield place
        shutil.rmtree(place)
    assert number > 15, "the lines of a start were not seen"


def test_a_first_start_may_be_killed_anywhere(tmp_path: Path) -> None:
    for folder in crashed_starts(tmp_path, lambda _: None):
        had_store = (folder / STORE).exists()
        drafted = (folder / DRAFT).read_bytes() if had_store and (folder / DRAFT).exists() else None
        claimed = start(folder)
        assert claimed.archived is None
        assert claimed.minted is not had_store
        assert drafted in (None, claimed.identity.to_pem())
        assert start(folder) == Claim(claimed.identity, minted=False, archived=None)
        assert names(folder) == {KEY, STORE}


def test_a_start_after_a_lost_store_may_be_killed_anywhere(tmp_path: Path) -> None:
    old = mint()
    for folder in crashed_starts(tmp_path, lambda folder: save(folder, old)):
        claimed = start(folder)
        assert claimed.identity != old
        assert start(folder).identity == claimed.identity
        assert names(folder) == {KEY, STORE, f"{KEY}.lost-1", f"{KEY}.lost-1.txt"}
        assert (folder / f"{KEY}.lost-1").read_bytes() == old.to_pem()


def test_an_ordinary_start_may_be_killed_anywhere(tmp_path: Path) -> None:
    old = mint()

    def prepare(folder: Path) -> None:
        save(folder, old)
        (folder / STORE).mkdir()

    for folder in crashed_starts(tmp_path, prepare):
        assert start(folder) == Claim(old, minted=False, archived=None)
        assert names(folder) == {KEY, STORE}
