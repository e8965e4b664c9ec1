"""`scripts/torture mutate`, short; and that it sees a server that answers improperly."""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path

import pytest

from scripts.tortures import corpus, decoders, mutations
from scripts.tortures.answers import statuses

ROOT = Path(__file__).parents[2]
CORS = b"access-control-allow-origin: *\r\n"


def answer(status: bytes, body: bytes = b"", *, cors: bytes = CORS) -> bytes:
    return b"HTTP/1.1 %s\r\n%scontent-length: %d\r\n\r\n%s" % (status, cors, len(body), body)


@pytest.mark.xdist_group("bench")
def test_a_node_answers_by_its_table_or_closes(tmp_path: Path) -> None:
    finished = subprocess.run(
        [ROOT / "scripts/torture", "mutate", "--json", "--requests=2000", f"--dir={tmp_path}"],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    print(finished.stdout)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    figures = json.loads(finished.stdout)
    assert figures["answers"].keys() >= {"200", "201", "400", "404", "405", "415", "422", "501"}
    assert list(tmp_path.iterdir()) == []


def test_the_same_seed_makes_the_same_requests() -> None:
    made = [mutations.requests(random.Random(seed)) for seed in (7, 7, 8)]
    assert made[0] == made[1] != made[2]


def test_what_is_not_mutated_is_a_proper_request() -> None:
    chance = random.Random(1)
    for _ in range(200):
        head, _, body = corpus.request(chance).written().partition(b"\r\n\r\n")
        assert b" HTTP/1.1\r\nhost: " in head
        assert not body or b"content-length: %d" % len(body) in head


def test_answers_are_read_one_behind_the_other() -> None:
    head = answer(b"200 OK", b"x" * 9)[:-9]  # To HEAD: a length, and no body.
    received = answer(b"201 Created") + answer(b"200 OK", b"HTTP/1.1") + head
    received += b"HTTP/1.1 100 Continue\r\n\r\n" + answer(b"400 Bad Request", cors=b"")
    assert list(statuses(received + b"HTTP/1.1 20")) == [201, 200, 200, 400]


@pytest.mark.parametrize(
    ("received", "fault"),
    [
        (answer(b"500 Internal Server Error"), "not in the table"),
        (answer(b"503 Service Unavailable"), "not in the table"),
        (answer(b"302 Found"), "not in the table"),
        (answer(b"200 OK", cors=b""), "no CORS header"),
        (answer(b"200 OK", b"xy")[:-1] + b"z" + answer(b"200 OK")[1:], "no answer"),
        (b"Traceback\r\n\r\n", "no answer"),
    ],
)
def test_what_is_no_answer_of_the_table_is_told(received: bytes, fault: str) -> None:
    assert any(isinstance(status, str) and fault in status for status in statuses(received))


def test_the_decoders_give_values_or_documented_errors() -> None:
    found = decoders.ask(random.Random(3), count=3_000)
    assert found.faults == []
    assert (found.bodies, found.frames >= 3_000) == (3_000, True)
