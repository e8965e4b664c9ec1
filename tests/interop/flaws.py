"""Flaws: deviations from the contract that can be planted in the reference server.

Each is one mistake that a mailbox server could make, with the id of a row that must notice it.
`UPSTREAM_WAYS` are what the apps' own server does and meshbox does not, on purpose: with all of
them at once the reference server answers as that one does.
"""

# ruff: noqa: PIE796 - one row may notice several flaws; __new__ gives each a value of its own.

from __future__ import annotations

from enum import Enum
from typing import Self


class Flaw(Enum):
    """A deviation, and the id of a row that must fail when it is planted."""

    caught_by: str

    def __new__(cls, caught_by: str) -> Self:
        member = object.__new__(cls)
        member._value_ = len(cls.__members__)
        member.caught_by = caught_by
        return member

    # What 1.0 says of every answer.
    NO_CORS_HEADER = "cors.200.get"
    NO_CORS_ON_ERRORS = "cors.422"
    NO_VARY = "cors.200.health"
    NO_EXPOSE = "cors.404"
    PREFLIGHT_NEEDS_A_ROUTE = "preflight.bare.nothing.here"
    PREFLIGHT_NEEDS_AN_ORIGIN = "preflight.bare.blobs.get"
    PREFLIGHT_IS_204 = "preflight.origin.blips.store"
    ALLOWS_CREDENTIALS = "preflight.origin.health"
    UNKNOWN_PATH_HAS_A_BODY = "path.nothing"
    SLASH_IS_IGNORED = "path.slash-after"
    WRONG_METHOD_IS_404 = "method.GET.blobs.get"
    NO_ALLOW_HEADER = "method.POST.health"
    NO_HEAD = "health.head"
    # Bodies.
    ANY_CONTENT_TYPE = "blobs.type.text.blobs.store"
    MISSING_CONTENT_TYPE = "blips.type.none.blips.get"
    NO_SUFFIX_TYPES = "blobs.type-accepted.suffix"
    NO_PARAMETERS = "blobs.type-accepted.charset"
    BODY_BEFORE_TYPE = "blobs.type-before-body"
    NOT_JSON_IS_422 = "blobs.malformed.cut.blobs.get"
    WRONG_SHAPE_IS_400 = "blobs.shape.member-missing.blobs.store"
    WRONG_SHAPE_IS_500 = "blips.shape.topic-null.blips.get"
    SURROGATES_ARE_TAKEN = "blobs.malformed.lone-surrogate-topic.blobs.store"
    NAN_IS_TAKEN = "blobs.malformed.not-a-number.blobs.store"
    MEMBER_MISSING_IS_EMPTY = "blips.shape.member-missing.blips.get"
    UNKNOWN_MEMBERS_ARE_REFUSED = "blobs.unknown-members"
    FIRST_KEY_COUNTS = "blobs.seq-twice"
    BASE64_WITHOUT_PADDING = "blobs.base64.no-padding"
    BASE64_URL_ALPHABET = "blips.base64.url-alphabet"
    BASE64_WITH_SPACE = "blobs.base64.line-end"
    BASE64_NOT_CANONICAL = "blobs.base64.bits-after-end"
    SEQ_LEADING_ZERO = "blobs.seq.leading-zero"
    SEQ_SPACE = "blobs.seq.space-before"
    SEQ_NEGATIVE = "blobs.seq.negative"
    SEQ_SIGNED_64 = "blobs.seq-last"
    HEIGHT_FLOAT = "blobs.height.fraction"
    HEIGHT_TEXT = "blips.height.string"
    HEIGHT_TRUE = "blips.height.boolean"
    NO_BODY_LIMIT = "blobs.size.over"
    LIMIT_COUNTS_BLOBS = "blobs.size.limit"
    REJECTIONS_ARE_JSON = "blobs.text.422"
    # Storing.
    STORE_IS_200 = "blobs.store-answer"
    STORE_ANSWERS_JSON = "blobs.store-answer"
    HALF_A_STORE = "blobs.base64.one-digit"
    HALF_A_STORE_OF_BAD_IDS = "blobs.id.colon-in-topic.store"
    DUPLICATE_IS_409 = "blips.same-again"
    EMPTY_BLOB_IS_REFUSED = "blobs.store-bytes"
    EMPTY_ID_IS_REFUSED = "blobs.id.empty-author"
    IDS_MUST_BE_HEX = "blips.id.any-text"
    LOST_AT_RESTART = "blobs.restart-keeps"
    WATERMARK_LOST_AT_RESTART = "blips.restart-keeps-watermark"
    # Fetching.
    UNKNOWN_TOPIC_LEFT_OUT = "blobs.unknown-topic"
    ALL_TOPICS = "blobs.no-other-topic"
    NO_MISSING_MEMBER = "blobs.unknown-topic"
    HEIGHT_INCLUDED = "blobs.above-height"
    HEIGHT_ZERO_IS_NONE = "blips.height-zero"
    UNNAMED_AUTHOR_LEFT_OUT = "blobs.whole-log"
    EMPTY_AUTHORS_LISTED = "blobs.nothing-new"
    EMPTY_MISSING_LISTED = "blips.nothing-new"
    HEIGHTS_OF_ANY_TOPIC = "blobs.heights-by-topic"
    MISSING_LISTS_STORED = "blobs.gap"
    MISSING_BELOW_HEIGHT_ONLY = "blobs.unknown-author"
    MISSING_OF_ALL_AUTHORS = "blobs.requested-only"
    MISSING_DESCENDS = "blobs.ascending"
    MISSING_ABOVE_HEIGHT = "blobs.not-above-height"
    MISSING_NEEDS_SEQ_0 = "blips.below-first"
    MISSING_UNCAPPED_AUTHORS_LEFT_OUT = "blobs.missing-cap-in-all"
    EXPIRED_IS_MISSING = "blobs.expired-not-missing"
    NEVER_EXPIRES = "blips.kept-a-week"
    EXPIRES_AFTER_A_DAY = "blobs.kept-a-week"
    SEQ_TEXT_ORDER = "blobs.seq-order"
    SEQ_NUMBERS = "blobs.seq-order"
    REQUEST_ORDER = "blobs.map-order"
    UTF16_ORDER = "blips.utf8-order"
    SPACES_IN_ANSWERS = "blobs.no-topics"
    ASCII_ONLY = "blobs.escapes"
    OTHER_JSON_TYPE = "blips.no-topics"
    NO_MORE_FLAG = "blobs.page.blobs"
    PAGE_WITH_HOLES = "blobs.page.blobs"
    PAGE_WITHOUT_MISSING = "blobs.page.fair"
    UNFAIR_PAGE = "blips.page.fair"
    QUERY_IS_A_PATH = "blobs.query-ignored"
    WAIT_OVER_IS_204 = "blips.wait.nothing"
    # /blips.
    NO_WATERMARKS = "blips.watermark.first"
    WATERMARK_ONLY_WHEN_CHANGED = "blips.watermark.unchanged"
    WATERMARK_IS_HIGHEST = "blips.watermark.gap"
    WATERMARK_LEFT_OUT_WHEN_NONE = "blips.watermark.none-without-0"
    WATERMARK_STOPS_AT_STORED = "blips.watermark.filled"
    WATERMARK_FALLS = "blips.watermark.after-expiry"
    TWO_DATA_SETS = "blips.shared.blobs-to-blips"
    # /health, /messages, media.
    HEALTH_WITHOUT_ID = "health.identity"
    ADDRESS_ID_IN_CAPITALS = "health.identity"
    ADDRS_LEFT_OUT = "health.identity"
    NEW_ID_AT_RESTART = "health.identity-kept"
    NEWEST_MESSAGE_FIRST = "messages.order"
    UNKNOWN_MESSAGE_TOPIC_LEFT_OUT = "messages.every-requested-topic"
    MESSAGES_ARE_BLOBS = "messages.apart"
    CLAIMS_MEDIA = "media.register.announce"
    ANNOUNCE_IS_404 = "media.register.old-name"
    PEER_IS_201 = "media.peer.address"
    REPORT_UNSIGNED = "media.report.other-devices"
    REPORT_OF_ANY_TIME = "media.report.too-late"
    REPORT_BAD_SIGNATURE_IS_400 = "media.report.other-reporter"
    REPORT_OF_NOBODY = "media.report.none"
    # What the apps' own server does, and we do not.
    BAD_ID_IS_500 = "blobs.id.nul-in-author.get"
    LONE_BAD_TOPIC_IS_TAKEN = "blobs.id.colon-topic-alone.get"
    LONG_IDS_ARE_TAKEN = "blobs.id.long-utf8-author"
    SUPPLEMENTARY_AUTHORS_ARE_LOST = "blips.id.supplementary-author"
    NEWEST_WINS = "blobs.other-bytes"
    STORING_AGAIN_RENEWS = "blobs.not-renewed"
    EXPIRED_ABOVE_WATERMARK_IS_MISSING = "blips.expired-above-gap"
    EXPIRED_IS_TAKEN_AGAIN = "blobs.expired-comes-back"
    NO_PAGES = "blobs.page.blobs"
    CAP_BEFORE_FILTER = "blobs.missing-cap-after-held"
    CAP_OF_EACH_AUTHOR = "blobs.missing-cap-in-all"
    TRAILING_BYTES_ARE_TAKEN = "blobs.trailing-bytes"
    LISTS_FOR_OBJECTS = "blips.shape.positional.blips.get"
    NO_LIMITS_OF_COUNTS = "blobs.limit.blobs"
    ANY_DEPTH = "blobs.limit.too-deep"
    MALFORMED_ANNOUNCEMENT_IS_A_STORE = "media.register.malformed"
    CONTENT_ENCODING_IGNORED = "blobs.content-encoding"
    SMALL_BODIES_OF_0_18 = "blobs.size.large-blob"
    MEMBER_TWICE_IS_422 = "blobs.shape.member-twice.blobs.get"
    ANY_WAIT = "blips.wait.bad.negative"
    INFINITE_HEIGHT_IS_400 = "blips.height.infinite"
    MINUS_ZERO_IS_A_FLOAT = "blobs.height.minus-zero"
    NO_SCRUBBABLE_BLIPS = "blips.body.scrubbable"
    MESSAGES_TWICE = "messages.same-again"
    COLON_MESSAGES = "messages.colon-topic"
    UPLOADS_ARE_TAKEN = "media.upload.octets"
    KEY_OFF_CURVE_IS_400 = "media.report.no-point"


UPSTREAM_WAYS = frozenset(
    {
        Flaw.BAD_ID_IS_500,
        Flaw.LONE_BAD_TOPIC_IS_TAKEN,
        Flaw.LONG_IDS_ARE_TAKEN,
        Flaw.SUPPLEMENTARY_AUTHORS_ARE_LOST,
        Flaw.NEWEST_WINS,
        Flaw.STORING_AGAIN_RENEWS,
        Flaw.EXPIRED_ABOVE_WATERMARK_IS_MISSING,
        Flaw.EXPIRED_IS_TAKEN_AGAIN,
        Flaw.NO_PAGES,
        Flaw.CAP_BEFORE_FILTER,
        Flaw.CAP_OF_EACH_AUTHOR,
        Flaw.TRAILING_BYTES_ARE_TAKEN,
        Flaw.LISTS_FOR_OBJECTS,
        Flaw.NO_LIMITS_OF_COUNTS,
        Flaw.ANY_DEPTH,
        Flaw.MALFORMED_ANNOUNCEMENT_IS_A_STORE,
        Flaw.CONTENT_ENCODING_IGNORED,
        Flaw.NO_SCRUBBABLE_BLIPS,
        Flaw.MESSAGES_TWICE,
        Flaw.COLON_MESSAGES,
        Flaw.UPLOADS_ARE_TAKEN,
        Flaw.KEY_OFF_CURVE_IS_400,
        Flaw.SMALL_BODIES_OF_0_18,
        Flaw.MEMBER_TWICE_IS_422,
        Flaw.ANY_WAIT,
        Flaw.INFINITE_HEIGHT_IS_400,
        Flaw.MINUS_ZERO_IS_A_FLOAT,
    }
)
