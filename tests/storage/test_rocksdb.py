"""RocksDB under the seam: the fences around the binding's defects; a process killed for real."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from rocksdict import Options, Rdict

from meshbox.core.errors import StoreBusy, StoreFailed, StoreForeign, StoreLocked
from meshbox.core.ids import Author
from meshbox.core.inventory import LogRecord
from meshbox.storage.keyvalue import Family
from meshbox.storage.rocksdb import RocksKeyValue, open_rocksdb
from meshbox.storage.rocksdb.faults import faults
from tests.contract.material import contents, log_of
from tests.storage.killed import WRITERS, content, opened

ROOT = Path(__file__).parent.parent.parent
END = b"\xff" * 40
KILLS = 5
ACKNOWLEDGED_MIN = 60


def fill(key_value: RocksKeyValue, count: int, *, family: Family = Family.LOG) -> None:
    batch = key_value.new_batch()
    for at in range(count):
        batch.put(family, b"%06d" % at, b"value %d" % at * 10)
    key_value.write(batch)


async def test_batches_are_applied_in_order_and_survive(tmp_path: Path) -> None:
    key_value = open_rocksdb(tmp_path / "new" / "store")
    fill(key_value, 100)
    batch = key_value.new_batch()
    batch.delete(Family.LOG, b"000001")
    batch.delete_range(Family.LOG, b"000010", b"000020")
    batch.put(Family.LOG, b"000015", b"again")
    batch.put(Family.FEED, b"000015", b"another family")
    key_value.write(batch)
    await key_value.sync()
    await key_value.close()
    await key_value.close()

    key_value = open_rocksdb(tmp_path / "new" / "store")
    found = key_value.scan(Family.LOG, b"", END, limit=1_000)
    kept = [at for at in range(100) if at != 1 and not 10 <= at < 20]
    assert [key for key, _ in found] == [b"%06d" % at for at in sorted([*kept, 15])]
    assert dict(found)[b"000015"] == b"again"
    assert key_value.get_many(Family.LOG, [b"000001", b"000002", b"none", b"000015"]) == [
        None,
        b"value 2" * 10,
        None,
        b"again",
    ]
    assert key_value.scan(Family.FEED, b"", END, limit=9) == [(b"000015", b"another family")]
    assert key_value.disk_bytes() > 0
    await key_value.close()


async def test_scans_stay_within_their_bounds(tmp_path: Path) -> None:
    """The binding does not keep the bytes of a bound alive: then scans return wrong rows."""
    key_value = open_rocksdb(tmp_path)
    fill(key_value, 2_000)
    chance = random.Random(1)
    for _ in range(300):
        first, end = sorted(chance.sample(range(2_000), 2))
        limit = chance.choice([3, 10_000])
        found = key_value.scan(Family.LOG, b"%06d" % first, b"%06d" % end, limit=limit)
        expected = [b"%06d" % at for at in range(first, end)]
        assert [key for key, _ in found] == expected[:limit]
        gc.collect(0)
    await key_value.close()


async def test_damage_is_never_passed_over(tmp_path: Path) -> None:
    """The binding's own iterators end silently at a damaged block."""
    key_value = open_rocksdb(tmp_path)
    fill(key_value, 20_000)
    await key_value.flush()
    await key_value.close()
    for file in tmp_path.glob("*.sst"):
        data = bytearray(file.read_bytes())
        if len(data) > 10_000:
            middle = len(data) // 2
            data[middle : middle + 64] = bytes(64)
            file.write_bytes(data)
    key_value = open_rocksdb(tmp_path)
    with pytest.raises(StoreFailed):
        key_value.scan(Family.LOG, b"", END, limit=100_000)
    with pytest.raises(StoreFailed):
        key_value.get_many(Family.LOG, [b"%06d" % at for at in range(20_000)])
    await key_value.close()
    await open_rocksdb(tmp_path).close()


async def test_an_open_database_is_locked(tmp_path: Path) -> None:
    key_value = open_rocksdb(tmp_path)
    with pytest.raises(StoreLocked):
        open_rocksdb(tmp_path)
    code = f"""if True:
        from pathlib import Path
        from meshbox.storage.rocksdb import open_rocksdb
        open_rocksdb(Path({str(tmp_path)!r}))
    """
    other = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert "StoreLocked" in other.stderr
    await key_value.close()
    await open_rocksdb(tmp_path).close()


async def test_close_gives_the_lock_back_whatever_failed(tmp_path: Path) -> None:
    key_value = open_rocksdb(tmp_path)
    fill(key_value, 10)
    failures = []
    batch = key_value.new_batch()
    batch.put(Family.LOG, b"k", b"v")
    key_value.write(batch)
    with pytest.raises(StoreFailed) as caught:
        key_value.write(batch)  # It was used up.
    failures.append(caught)
    unused = key_value.new_batch()
    await key_value.close()
    again = open_rocksdb(tmp_path)
    assert len(failures) == 1
    with pytest.raises(KeyError):
        unused.put(Family.LOG, b"k", b"v")
    await again.close()


async def test_a_closed_database_answers_with_a_fault_of_ours(tmp_path: Path) -> None:
    key_value = open_rocksdb(tmp_path)
    batch = key_value.new_batch()
    await key_value.close()
    with pytest.raises(StoreFailed):
        key_value.get_many(Family.LOG, [b"k"])
    with pytest.raises(StoreFailed):
        key_value.scan(Family.LOG, b"", END, limit=1)
    with pytest.raises(StoreFailed):
        key_value.new_batch()
    with pytest.raises(StoreFailed):
        key_value.write(batch)
    with pytest.raises(StoreFailed):
        await key_value.sync()
    with pytest.raises(StoreFailed):
        await key_value.flush()


async def test_close_waits_for_calls_in_other_threads(tmp_path: Path) -> None:
    """The binding fails when a database is closed under a running call."""
    for _ in range(10):
        key_value = open_rocksdb(tmp_path)
        fill(key_value, 1_000)
        calls = [
            asyncio.create_task(key_value.sync()),
            asyncio.create_task(key_value.reclaim(Family.LOG, b"", END)),
        ]
        await asyncio.sleep(0)
        await key_value.close()
        await asyncio.gather(*calls)


async def test_a_sync_does_not_hold_the_loop(tmp_path: Path) -> None:
    """Only `flush_wal` lets go of the interpreter while the disk works."""
    key_value = open_rocksdb(tmp_path)
    fill(key_value, 1_000)
    before = threading.active_count()
    syncing = asyncio.create_task(key_value.sync())
    turns = 0
    while not syncing.done():
        turns += 1
        await asyncio.sleep(0)
    assert turns > 1
    assert threading.active_count() > before
    await key_value.close()


def test_another_database_is_refused(tmp_path: Path) -> None:
    other = Rdict(str(tmp_path), Options(raw_mode=True))
    other.create_column_family("theirs", Options(raw_mode=True))
    other.close()
    with pytest.raises(StoreForeign):
        open_rocksdb(tmp_path)


def test_what_cannot_be_opened_is_a_fault_of_the_world(tmp_path: Path) -> None:
    (tmp_path / "CURRENT").write_text("MANIFEST-000099\n")
    with pytest.raises(StoreFailed):
        open_rocksdb(tmp_path)
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(StoreFailed):
        open_rocksdb(file)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("Result incomplete: Write stall", StoreBusy),
        ("IO error: While lock file: /x/LOCK: Resource temporarily unavailable", StoreLocked),
        ("IO error: lock hold by current process", StoreLocked),
        ("IO error: No space left on device", StoreFailed),
        ("Corruption: block checksum mismatch", StoreFailed),
    ],
)
def test_the_bindings_errors_as_ours(text: str, fault: type[Exception]) -> None:
    with pytest.raises(fault) as caught, faults("cannot do it"):
        raise RuntimeError(text)
    assert str(caught.value.__cause__) == text
    if fault is StoreFailed:
        assert caught.value.args == (f"cannot do it: {text}",)


def kill_while_it_writes(folder: Path, acknowledged_min: int) -> list[tuple[str, int]]:
    """What a process had acknowledged when it was killed."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.storage.killed", str(folder)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(acknowledged_min)]
    os.kill(process.pid, signal.SIGKILL)
    lines += process.stdout.readlines()
    process.stdout.close()
    assert process.wait() == -signal.SIGKILL
    whole = [line for line in lines if re.fullmatch(r"\d+ \d+\n", line)]
    assert len(whole) >= acknowledged_min
    return [(author, int(seq)) for author, seq in (line.split() for line in whole)]


async def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    acknowledged: set[tuple[str, int]] = set()
    for kill in range(KILLS):
        acknowledged |= set(kill_while_it_writes(tmp_path / "store", ACKNOWLEDGED_MIN * (kill + 1)))
        store = await opened(tmp_path / "store")
        found: dict[tuple[str, int], bytes | None] = {}
        records: list[LogRecord] = []
        for author in map(str, range(WRITERS)):
            log = log_of(author)
            found |= {(author, seq): data for seq, data in (await contents(store, log)).items()}
            records += [record for record in await store.logs([log]) if record]
        lost = [name for name in acknowledged if found.get(name) != content(*name)]
        assert lost == []
        assert all(data == content(*name) for name, data in found.items())
        statistics = await store.statistics()
        assert statistics.blobs == len(found) == sum(record.held.count for record in records)
        assert statistics.bytes == sum(len(data or b"") for data in found.values())
        feed = await store.feed(None, logs_max=WRITERS + 1)
        assert {r.log.author for r in feed.records} == {Author(author) for author, _ in found}
        assert store.epoch.number == 2 * (kill + 1)
        await store.close()
