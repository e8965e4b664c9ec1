"""What no app would send, made from what they send; pure, but for the `random.Random`.

Some mutations keep the request's frame whole, so that what is odd reaches the layer that it is for:
a body with its right length, a coding with a right body. The rest spare nothing.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any, Final

from scripts.tortures import corpus
from scripts.tortures.corpus import Request

_TOKENS: Final = (
    *(b"\r\n", b"\r", b"\n", b"\0", b"\xff", b"\xc3\x28", b"\xed\xa0\x80", b"\t", b" ", b":", b","),
    *(b"{", b"}", b"[", b"]", b'"', b"\\", b'"\\ud800"', b"\\u0000", b"-1", b"1e400", b"NaN"),
    *(b"18446744073709551616", b"9" * 400, b"0x10", b"+5", b"-0", b"null", b"true", b"1.0"),
    *(b"HTTP/1.1", b"GET / ", b"0\r\n\r\n", b"\xef\xbb\xbf", b"%00", b"%2e%2e/", b"?wait=60"),
)
_LENGTHS: Final = (
    *(b"0", b"1", b"-1", b"+5", b" 5", b"0x5", b"5,5", b"5, 6", b"1e3", b"", b"\xb2", b"5 5"),
    *(b"99999999999999999999", b"18446744073709551616", b"70000000", b"4294967296"),
)
_CODINGS: Final = (
    *(b"chunked", b"Chunked", b"chunked ", b"xchunked", b"chunked, chunked", b"gzip, chunked"),
    *(b"identity", b"chunked;q=1", b"\x0bchunked", b"", b"chunked, identity", b"deflate"),
)
_HEADERS: Final = (
    *((b"expect", b"100-continue"), (b"expect", b"magic"), (b"content-encoding", b"gzip")),
    *((b"connection", b"close"), (b"connection", b"upgrade"), (b"upgrade", b"h2c")),
    *((b"upgrade", b"websocket"), (b"content-type", b"text/html"), (b"content-type", b"")),
    *((b"content-type", b"application/x+json; charset=\xff"), (b"host", b""), (b"host", b"a\0b")),
    *((b"cookie", b"x" * 20_000), (b"x" * 20_000, b"y"), (b"na me", b"x"), (b"", b"x")),
    *((b"x", b"a\r\n folded"), (b"x", b"a\nb: c"), (b"x\0y", b"z"), (b"range", b"bytes=0-")),
    *((b"origin", b"null"), (b"te", b"trailers"), (b"connection", b"keep-alive, \xff")),
)
_TARGETS: Final = (
    *("*", "", "//", "/", "http://mailbox/health", "/health?x=1", "/health#x", "/blips/get/", "/%"),
    *("/blips/%67et", "/blips/get?wait=1e9", "/blips/get?wait=-1", "/blips/get?wait=0&wait=x"),
    *(
        "/../health",
        "/health;x",
        "x" * 20_000,
        "/\x7f",
        "health",
        "/blips//get",
        "/?" + "a" * 9_000,
    ),
)
_METHODS: Final = (
    "get",
    "POST",
    "PUT",
    "DELETE",
    "CONNECT",
    "PRI",
    "X" * 3_000,
    "",
    "TRACE",
    "G T",
)
_VERSIONS: Final = (
    b"HTTP/1.0",
    b"HTTP/0.9",
    b"HTTP/2.0",
    b"HTTP/1.9",
    b"HTTP/11",
    b"http/1.1",
    b"",
)
_CHUNK_SIZES: Final = (
    *(
        b"ffffffffffffffff",
        b"10000000000000000",
        b"-1",
        b"0x5",
        b"5;ext=" + b"e" * 9_000,
        b"",
        b" 5",
    ),
    *(b"5\n", b"g", b"00000000000000000005", b'5;a="\0"', b"7fffffff"),
)
_ODD_VALUES: Final[tuple[Any, ...]] = (
    *(None, True, -1, 1.5, 2**64, 10**400, "", "a:b", "\0", "\ud800", "AB==", "A", "x" * 200, "0"),
    *(
        [],
        {},
        [[]],
        {"": {}},
        {"-1": "AA=="},
        {"01": "AA=="},
        {"1e3": ""},
        {"18446744073709551616": ""},
    ),
)


def requests(chance: random.Random) -> bytes:
    """One mutated request, and at times others behind it, whole or not."""
    made = mutated(chance)
    while chance.random() < 0.15:
        made += mutated(chance) if chance.random() < 0.5 else corpus.request(chance).written()
    return made


def mutated(chance: random.Random) -> bytes:
    """One request with something wrong with it, or almost."""
    return chance.choice(_MUTATIONS)(corpus.request(chance), chance)


def body(chance: random.Random) -> bytes:
    """A body alone, for the decoders."""
    return _odd_body(corpus.request(chance).body, chance)


def scrambled(data: bytes, chance: random.Random) -> bytes:
    """Bits flipped, parts gone, doubled, moved, or something else put in; one to four times."""
    for _ in range(chance.randint(1, 4)):
        data = chance.choice(_SCRAMBLES)(data, chance)
    return data


def _whole(request: Request, chance: random.Random) -> bytes:
    return scrambled(request.written(), chance)


def _of_body(request: Request, chance: random.Random) -> bytes:
    return request._replace(body=_odd_body(request.body, chance)).written()


def _of_headers(request: Request, chance: random.Random) -> bytes:
    """Something added, doubled or taken away."""
    headers = [*request.headers, (b"content-length", b"%d" % len(request.body))]
    for _ in range(chance.choice([1, 1, 2, 3, 100])):
        headers.insert(chance.randint(0, len(headers)), chance.choice(_HEADERS))
    if chance.random() < 0.2:
        del headers[chance.randrange(len(headers))]
    return request.written_with(tuple(headers), request.body)


def _of_length(request: Request, chance: random.Random) -> bytes:
    lengths = [chance.choice([*_LENGTHS, b"%d" % len(request.body)]) for _ in range(2)]
    count = chance.randint(0, 2)
    headers = [*request.headers, *((b"content-length", length) for length in lengths[:count])]
    if chance.random() < 0.5:
        headers.append((b"transfer-encoding", chance.choice(_CODINGS)))
    chance.shuffle(headers)
    sent = _chunked(request.body, chance) if chance.random() < 0.5 else request.body
    return request.written_with(tuple(headers), sent)


def _of_chunks(request: Request, chance: random.Random) -> bytes:
    """Chunks as they may be, and as they may not."""
    sent = _odd_body(request.body, chance) if chance.random() < 0.3 else request.body
    chunks = _chunked(sent, chance)
    if chance.random() < 0.7:
        at = chance.randint(0, len(chunks))
        chunks = chunks[:at] + chance.choice(_CHUNK_SIZES) + b"\r\n" + chunks[at:]
    if chance.random() < 0.3:
        chunks = chunks[:-2] + b"trailer: x\r\n" * chance.choice([1, 2, 2_000]) + b"\r\n"
    return request.written_with((*request.headers, (b"transfer-encoding", b"chunked")), chunks)


def _of_line(request: Request, chance: random.Random) -> bytes:
    if chance.random() < 0.5:
        request = request._replace(target=chance.choice(_TARGETS))
    if chance.random() < 0.3:
        request = request._replace(method=chance.choice(_METHODS))
    written = request.written()
    if chance.random() < 0.3:
        written = written.replace(b"HTTP/1.1", chance.choice(_VERSIONS), 1)
    return written


def _odd_body(body: bytes, chance: random.Random) -> bytes:
    return chance.choice(_BODIES)(body, chance)


def _nested(_: bytes, chance: random.Random) -> bytes:
    depth = chance.choice([100, 127, 129, 1_000, 50_000])
    first, last = chance.choice([(b"[", b"]"), (b'{"blips":', b"}"), (b'{"":[', b"]}")])
    around = chance.choice([b"%s", b'{"blips":%s}', b'{"topics":{"t":%s}}', b'{"x":%s,"blips":{}}'])
    closed = chance.choice([depth, depth - 1, 0])
    return around % (first * depth + b"0" + last * closed)


def _replaced(_: bytes, chance: random.Random) -> bytes:
    """A document of the right shape, but for one place in it."""
    document = corpus.document(chance)
    at = [document]
    while chance.random() < 0.7 and isinstance(at[-1], dict) and at[-1]:
        at.append(at[-1][chance.choice(list(at[-1]))])
    place = next((node for node in reversed(at) if isinstance(node, dict)), None)
    if place is None:
        return json.dumps(chance.choice(_ODD_VALUES)).encode()
    value = chance.choice(_ODD_VALUES)
    if chance.random() < 0.4 or not place:
        place[str(chance.choice(_ODD_VALUES))] = value
    else:
        place[chance.choice(list(place))] = value
    written = json.dumps(document, ensure_ascii=chance.random() < 0.5)
    return written.encode("utf-8", "surrogatepass")


def _doubled(body: bytes, chance: random.Random) -> bytes:
    """Trailing documents, and members twice."""
    return chance.choice([body + body, body[:-1] + b"," + body[1:], body + b" x", b" " * 99 + body])


def _flip(data: bytes, chance: random.Random) -> bytes:
    if not data:
        return data
    changed = bytearray(data)
    for _ in range(chance.randint(1, 8)):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _slice(data: bytes, chance: random.Random) -> tuple[int, int]:
    first = chance.randint(0, len(data))
    return first, min(len(data), first + chance.choice([1, 2, 10, 100, len(data)]))


def _cut_out(data: bytes, chance: random.Random) -> bytes:
    first, end = _slice(data, chance)
    return data[:first] + data[end:]


def _repeat(data: bytes, chance: random.Random) -> bytes:
    first, end = _slice(data, chance)
    return data[:end] + data[first:end] * chance.choice([1, 1, 2, 10]) + data[end:]


def _put_in(data: bytes, chance: random.Random) -> bytes:
    at = chance.randint(0, len(data))
    new = chance.choice([*_TOKENS, chance.randbytes(chance.randint(1, 20))])
    return data[:at] + new + data[at + chance.choice([0, len(new)]) :]


def _truncate(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randint(0, len(data))]


def _splice(data: bytes, chance: random.Random) -> bytes:
    other = corpus.request(chance).written()
    return data[: chance.randint(0, len(data))] + other[chance.randint(0, len(other)) :]


def _chunked(data: bytes, chance: random.Random) -> bytes:
    chunks = b""
    while data:
        size = chance.choice([1, 2, 10, 1_000, len(data)])
        part, data = data[:size], data[size:]
        chunks += b"%x\r\n%s\r\n" % (len(part), part)
    return chunks + b"0\r\n\r\n"


_SCRAMBLES: Final[tuple[Callable[[bytes, random.Random], bytes], ...]] = (
    *(_flip, _cut_out, _repeat, _put_in, _truncate, _splice),
)
_BODIES: Final[tuple[Callable[[bytes, random.Random], bytes], ...]] = (
    *(_nested, _replaced, _replaced, _replaced, _doubled, scrambled, scrambled),
)
_MUTATIONS: Final[tuple[Callable[[Request, random.Random], bytes], ...]] = (
    *(_whole, _whole, _of_body, _of_body, _of_headers, _of_length, _of_chunks, _of_line),
)
