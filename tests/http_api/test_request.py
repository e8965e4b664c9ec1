"""A request's parts: where it goes, and its body while it comes."""

from __future__ import annotations

import asyncio

import pytest

from meshbox.core.errors import BodyMalformed
from meshbox.http_api.request import IncomingBody, Request


def request(target: str = "/", **headers: str) -> Request:
    return Request(
        method="GET",
        target=target,
        headers={name.encode(): value.encode("latin-1") for name, value in headers.items()},
        body=IncomingBody(lambda: None),
        is_old=False,
        keeps_alive=True,
    )


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/blips/get", "/blips/get"),
        ("/blips/get?x=/y", "/blips/get"),
        ("/blips/get#x", "/blips/get"),
        ("/blips%2fget", "/blips/get"),
        ("/caf%C3%A9%zz", "/café%zz"),
        ("http://host", "/"),
        ("HTTP://host:80/health?x", "/health"),
        ("https://host//x", "//x"),
        ("//host/health", "//host/health"),
        ("*", "*"),
        ("host:80", "host:80"),
        ("", ""),
    ],
)
def test_a_target_names_a_path(target: str, path: str) -> None:
    assert request(target).path == path


def test_headers_are_text_of_any_bytes() -> None:
    assert request(x="\xff").header("x") == "\xff"
    assert request().header("x") is None
    assert request().content_length is None
    assert request(**{"content-length": "007"}).content_length == 7


async def test_a_body_is_taken_as_it_comes() -> None:
    taken: list[int] = []
    body = IncomingBody(lambda: taken.append(body.held_bytes))
    reading = asyncio.create_task(body.next())
    await asyncio.sleep(0)
    body.put(b"ab")
    body.put(b"c")
    assert body.held_bytes == 3
    assert await reading == b"abc"
    assert taken == [0]
    body.put(b"d")
    body.end()
    assert body.is_complete
    assert [await body.next() for _ in range(3)] == [b"d", b"", b""]
    assert taken == [0]


async def test_an_empty_body_ends_who_waits_for_it() -> None:
    body = IncomingBody(lambda: None)
    reading = asyncio.create_task(body.next())
    await asyncio.sleep(0)
    body.end()
    assert await reading == b""


async def test_what_breaks_off_says_so_after_what_came() -> None:
    body = IncomingBody(lambda: None)
    body.put(b"a")
    body.break_off("first")
    body.break_off("second")
    assert await body.next() == b"a"
    for _ in range(2):
        with pytest.raises(BodyMalformed, match="first"):
            await body.next()


async def test_a_complete_body_cannot_break_off() -> None:
    body = IncomingBody(lambda: None)
    body.put(b"a")
    body.end()
    body.break_off("too late")
    assert [await body.next(), await body.next()] == [b"a", b""]


@pytest.mark.parametrize(
    ("target", "query"),
    [
        ("/p", ""),
        ("/p?", ""),
        ("/p?a=1&b", "a=1&b"),
        ("/p?a=1?b#c?d", "a=1?b"),
        ("/p#a?b", ""),
        ("http://host/p?a=%20", "a=%20"),
    ],
)
def test_the_query_is_what_stands_behind_the_question_mark(target: str, query: str) -> None:
    assert request(target).query == query
