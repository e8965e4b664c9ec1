"""Responses as bytes: what Python's own client reads of them."""

from __future__ import annotations

import http.client
import io
import socket
from http import HTTPStatus
from typing import cast

import pytest

from meshbox.http_api.request import IncomingBody, Request
from meshbox.http_api.responses import Encoder, Response, header_lines


class Clock:
    """A wall clock that is set by hand."""

    def __init__(self) -> None:
        self.ms = 784_111_777_999

    def __call__(self) -> int:
        return self.ms


def request(*, is_old: bool = False) -> Request:
    return Request(
        method="GET",
        target="/",
        headers={},
        body=IncomingBody(lambda: None),
        is_old=is_old,
        keeps_alive=True,
    )


class _Received:
    """Bytes that stand for a socket."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, mode: str) -> io.BytesIO:
        del mode
        return io.BytesIO(self._data)


def read(data: bytes) -> http.client.HTTPResponse:
    response = http.client.HTTPResponse(cast("socket.socket", _Received(data)))
    response.begin()
    return response


@pytest.mark.parametrize("status", [200, 201, 400, 404, 405, 408, 413, 415, 422, 500, 503, 507])
def test_a_response_is_read_as_it_was_meant(status: int) -> None:
    response = Response(status, header_lines(("a", "b"), ("c", "d, e")), b"body")
    encoder = Encoder(Clock())
    answer = read(encoder.head(response, request(), closes=False) + response.body)
    assert (answer.status, answer.reason) == (status, HTTPStatus(status).phrase)
    assert answer.read() == b"body"
    assert answer.getheaders() == [
        ("a", "b"),
        ("c", "d, e"),
        ("server", "meshbox"),
        ("date", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("content-length", "4"),
    ]


def test_no_content_has_no_length() -> None:
    head = Encoder(Clock()).head(Response(204, header_lines()), request(), closes=False)
    assert b"content-length" not in head
    head = Encoder(Clock()).head(Response(201, header_lines()), request(), closes=False)
    assert b"content-length: 0\r\n" in head


@pytest.mark.parametrize(
    ("is_old", "closes", "said"),
    [
        (False, False, None),
        (False, True, "close"),
        (True, False, "keep-alive"),
        (True, True, "close"),
    ],
)
def test_who_keeps_the_connection_is_said(is_old: bool, closes: bool, said: str | None) -> None:
    head = Encoder(Clock()).head(
        Response(200, header_lines()), request(is_old=is_old), closes=closes
    )
    assert read(head).getheader("connection") == said


def test_what_could_not_be_read_is_answered_too() -> None:
    head = Encoder(Clock()).head(Response(400, header_lines()), None, closes=True)
    assert read(head).getheader("connection") == "close"


def test_the_date_goes_on() -> None:
    clock = Clock()
    encoder = Encoder(clock)
    response = Response(200, header_lines())
    dates = []
    for _ in range(3):
        dates.append(read(encoder.head(response, request(), closes=False)).getheader("date"))
        clock.ms += 1
    assert [date and date[17:25] for date in dates] == ["08:49:37", "08:49:38", "08:49:38"]
