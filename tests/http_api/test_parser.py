"""Bytes to requests: cut anywhere, pipelined, with every framing, and garbage.

What is built here is told apart from how it is written: the model is the requests themselves.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from meshbox.core.limits import HTTP_HEAD_BYTES_MAX, HTTP_HEADERS_MAX
from meshbox.http_api.parser import NotHttp, RequestParser
from meshbox.http_api.request import Request

METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT"]
EXTENSIONS = ["", ";a", ";a=b", ';a="b c"']
H2C = (("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"), ("HTTP2-Settings", "AAMA"))


@dataclass
class Heard:
    """What a parser said of some bytes, its last word included."""

    requests: list[Request] = field(default_factory=list)
    bodies: dict[int, bytes] = field(default_factory=dict)
    fault: str | None = None
    is_within: bool = False

    @property
    def all(self) -> list[tuple[str, str, str | None, bytes, bool]]:
        """Method, target, the header `x`, body and whether it is complete, of each request."""
        return [
            (r.method, r.target, r.header("x"), self.bodies[at], r.body.is_complete)
            for at, r in enumerate(self.requests)
        ]


def hear(*pieces: bytes) -> Heard:
    """What one parser makes of the pieces."""
    heard = Heard()
    parser = RequestParser(heard.requests.append, on_body_taken=lambda: None)
    try:
        for piece in pieces:
            parser.feed(piece)
            for at, request in enumerate(heard.requests):
                heard.bodies[at] = heard.bodies.get(at, b"") + request.body.take()
    except NotHttp as error:
        heard.fault = str(error)
        for at, request in enumerate(heard.requests):
            heard.bodies[at] = heard.bodies.get(at, b"") + request.body.take()
    heard.is_within = parser.is_within
    return heard


@dataclass(frozen=True)
class Sent:
    """A request, and one of the ways to write it."""

    method: str
    target: str
    x: str | None
    body: bytes
    chunks: tuple[int, ...] | None
    """Sizes to cut the body into; None: it has a length."""
    extension: str
    trailers: bool
    offers: bool

    @property
    def written(self) -> bytes:
        headers = [("Host", "x"), *(H2C if self.offers else ())]
        if self.x is not None:
            headers.append(("X", self.x))
        if self.chunks is not None:
            headers.append(("Transfer-Encoding", "chunked"))
        elif self.body:
            headers.append(("Content-Length", str(len(self.body))))
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
        head = f"{self.method} {self.target} HTTP/1.1\r\n{lines}\r\n".encode()
        return head + (self.body if self.chunks is None else self._chunked(self.chunks))

    def _chunked(self, chunks: tuple[int, ...]) -> bytes:
        written, at = b"", 0
        for size in chunks:
            part = self.body[at : at + size]
            at += size
            if part:
                written += b"%x%b\r\n%b\r\n" % (len(part), self.extension.encode(), part)
        rest = self.body[at:]
        if rest:
            written += b"%X\r\n%b\r\n" % (len(rest), rest)
        return written + b"0\r\n" + (b"X: trailer\r\n" if self.trailers else b"") + b"\r\n"


texts = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=8)


@st.composite
def requests(draw: st.DrawFn) -> Sent:
    method = draw(st.sampled_from(METHODS))
    has_body = method in ("POST", "PUT", "PATCH")
    return Sent(
        method,
        "x:80" if method == "CONNECT" else "/" + draw(texts),
        draw(st.none() | texts),
        draw(st.binary(max_size=12)) if has_body else b"",
        draw(st.none() | st.lists(st.integers(1, 5)).map(tuple)) if has_body else None,
        draw(st.sampled_from(EXTENSIONS)),
        draw(st.booleans()),
        draw(st.booleans()),
    )


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """`data` in pieces, cut at `places`."""
    ends = [*sorted({place % (len(data) + 1) for place in places}), len(data)]
    return [data[first:end] for first, end in zip([0, *ends], ends, strict=False)]


@given(st.lists(requests(), max_size=5), st.lists(st.integers(0, 2_000), max_size=12))
def test_what_was_written_is_read(sent: list[Sent], places: list[int]) -> None:
    heard = hear(*cut(b"".join(request.written for request in sent), places))
    assert heard.fault is None
    assert heard.all == [(r.method, r.target, r.x, r.body, True) for r in sent]
    assert not heard.is_within


SAMPLE = (
    Sent("POST", "/a", "1", b"hello", (2, 2), ";a=b", trailers=True, offers=True).written
    + Sent("GET", "/b", None, b"", None, "", trailers=False, offers=True).written
    + Sent("POST", "/c", "2", b"body", None, "", trailers=False, offers=True).written
    + Sent("CONNECT", "x:80", None, b"", None, "", trailers=False, offers=False).written
    + Sent("POST", "/d", None, b"end", None, "", trailers=False, offers=False).written
)


def test_it_may_be_cut_at_every_byte() -> None:
    whole = hear(SAMPLE)
    assert whole.fault is None
    assert [target for _, target, *_ in whole.all] == ["/a", "/b", "/c", "x:80", "/d"]
    for at in range(len(SAMPLE)):
        assert hear(SAMPLE[:at], SAMPLE[at:]).all == whole.all
        complete = [heard for heard in hear(SAMPLE[:at]).all if heard[-1]]
        assert complete == whole.all[: len(complete)]
    assert hear(*(SAMPLE[at : at + 1] for at in range(len(SAMPLE)))).all == whole.all


pieces_of_http = [
    *(b"GET ", b"POST ", b"PRI ", b"/", b" HTTP/1.1", b" HTTP/1.0", b"\r\n", b"\n", b"\r"),
    *(b"host: x\r\n", b"content-length: 3\r\n", b"transfer-encoding: chunked\r\n", b"abc"),
    *(b"upgrade: h2c\r\nconnection: upgrade\r\n", b"3\r\nabc\r\n", b"0\r\n\r\n", b" ", b":"),
    *(
        b"\0",
        b"\xff",
        b"3;x",
        b"GET / HTTP/1.1\r\n\r\n",
        b"connection: close\r\n",
        b"0\r\nx: y\r\n",
    ),
]
like_http = st.lists(st.sampled_from(pieces_of_http) | st.binary(max_size=4), max_size=14).map(
    b"".join
)


@given(like_http, st.lists(st.integers(0, 300), max_size=8))
@example(b"POST / HTTP/1.1\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n\xff", [50])
def test_how_garbage_is_cut_makes_no_difference(data: bytes, places: list[int]) -> None:
    whole, parts = hear(data), hear(*cut(data, places))
    assert parts.all == whole.all
    assert (parts.fault is None) == (whole.fault is None)
    assert parts.is_within == whole.is_within


@given(like_http, st.binary(min_size=1, max_size=50))
def test_after_a_fault_nothing_more_is_read(data: bytes, more: bytes) -> None:
    heard: list[Request] = []
    parser = RequestParser(heard.append, on_body_taken=lambda: None)
    try:
        parser.feed(data)
    except NotHttp:
        before = len(heard)
        with pytest.raises(NotHttp):
            parser.feed(more)
        assert len(heard) == before


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/2.0\r\n\r\n",
        b"GET / HTTP/0.9\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/1.1\nhost: x\n\n",
        b"GET / HTTP/1.1\r\nhost : x\r\n\r\n",
        b"GET / HTTP/1.1\r\na: b\r\n c\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: +1\r\n\r\na",
        b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\ntransfer-encoding: gzip, chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\ntransfer-encoding: chunked, chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\ntransfer-encoding: identity\r\n\r\n",
        b"POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n 3\r\nabc\r\n",
        b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3 \r\nabc\r\n",
        b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n-3\r\nabc\r\n",
        b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0x3\r\nabc\r\n",
        b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabcd\r\n",
        b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3\nabc\r\n",
        b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n11111111111111111\r\nabc\r\n",
    ],
)
def test_what_two_readers_could_read_in_two_ways_is_refused(head: bytes) -> None:
    """Each is a known way to smuggle a request past a proxy."""
    assert hear(head).fault is not None
    assert hear(*(head[at : at + 1] for at in range(len(head)))).fault is not None


def test_a_trailer_is_no_header_of_the_next_request() -> None:
    chunked = b"POST /a HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx: trailer\r\n\r\n"
    heard = hear(chunked + b"GET /b HTTP/1.1\r\n\r\n")
    assert heard.all == [("POST", "/a", None, b"", True), ("GET", "/b", None, b"", True)]


def test_a_header_that_comes_twice_is_a_list() -> None:
    assert hear(b"GET / HTTP/1.1\r\nX: a\r\nx: b\r\n\r\n").requests[0].header("x") == "a, b"


@pytest.mark.parametrize(
    ("start", "drop"),
    [
        (b"", b"G"),
        (b"GET /", b"x"),
        (b"GET / HTTP/1.1\r\n", b"x"),
        (b"GET / HTTP/1.1\r\nx:", b"y"),
        (b"GET / HTTP/1.1\r\n", b"x: y\r\n"),
        (b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n", b"0"),
        (b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1;", b"x"),
        (b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx:", b"y"),
        (b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n", b"x: y\r\n"),
        (b"\r\n", b"\r\n"),
    ],
)
@pytest.mark.parametrize("at_once", [1, 100, 8_000])
def test_nothing_that_ends_nothing_goes_on_for_ever(
    start: bytes, drop: bytes, at_once: int
) -> None:
    parser = RequestParser(lambda _: None, on_body_taken=lambda: None)
    parser.feed(start)
    piece = drop * max(at_once // len(drop), 1)
    with pytest.raises(NotHttp):
        feed_all(parser, [piece] * (2 * HTTP_HEAD_BYTES_MAX // len(piece) + 1))


def feed_all(parser: RequestParser, pieces: list[bytes]) -> None:
    for piece in pieces:
        parser.feed(piece)


def test_a_head_may_be_as_large_as_its_bounds() -> None:
    lines = b"".join(b"a%d: %b\r\n" % (n, b"v" * 200) for n in range(HTTP_HEADERS_MAX))
    assert hear(b"GET / HTTP/1.1\r\n" + lines + b"\r\n").fault is None
    assert hear(b"GET / HTTP/1.1\r\n" + lines + b"a: b\r\n\r\n").fault is not None
    room = HTTP_HEAD_BYTES_MAX - len("/") - len("x")
    for size, fits in ((room, True), (room + 1, False)):
        heard = hear(b"GET / HTTP/1.1\r\nx: %b\r\n\r\n" % (b"v" * size))
        assert (heard.fault is None) is fits


def test_many_small_chunks_are_no_endless_header() -> None:
    chunks = b"1\r\nx\r\n" * HTTP_HEAD_BYTES_MAX
    head = b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n"
    heard = hear(head, *(chunks[at : at + 1_000] for at in range(0, len(chunks), 1_000)))
    assert heard.fault is None
    assert heard.bodies[0] == b"x" * HTTP_HEAD_BYTES_MAX
