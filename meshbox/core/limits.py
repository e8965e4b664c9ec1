"""Every bound on what a stranger can make grow, with its unit, its reason and its precedent.

`meshbox config limits` prints this table from the module itself: a constant, its value and the
string below it. Limits that an operator may set are settings (node/settings.py), not here.

Over 300 lines: one table.
"""

from __future__ import annotations

from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB

ID_BYTES_MAX: Final = 128
"""Bytes of a topic or author: twice the 64 hex digits that the apps use."""

SEQ_MAX: Final = 2**64 - 1
"""The highest sequence number: an unsigned 64-bit integer, as in the apps."""

BLOB_BYTES_MAX: Final = 48 * MIB
"""Bytes of one blob: what fits base64-coded into the apps' own 64 MiB body limit."""

BLOB_CHUNK_BYTES: Final = 1 * MIB
"""Bytes of a stored piece of a large blob: keeps one write under about 2 ms of the loop."""

LOG_RANGES_MAX: Final = 1024
"""Runs and ranges of one log's record, all its sets together (design.md 4.1)."""

LOG_RANGES_EMPTY_MAX: Final = 4
"""Ranges of seen that a log with nothing held keeps (design.md 4.7)."""

EMPTY_LOGS_BYTES_MAX: Final = 256 * MIB
"""Bytes that logs with nothing held count for, where no allocation is set, before the oldest are
forgotten (design.md 4.7 has a tenth of the allocation): about 500,000, what a campus of 5,000
phones in 100 conversations each leaves behind."""

BODY_BYTES_MAX: Final = 64 * MIB
"""Bytes of an HTTP body, as in the apps' own server (0.19)."""

JSON_NESTING_MAX: Final = 128
"""Levels of a JSON body, as in serde_json."""

JSON_ITEMS_MAX: Final = 131_072
"""Commas, and opening brackets, of a JSON body, before it is decoded: 64 MiB of tiny members would
become gigabytes of objects. Above `REQUEST_TOPICS_MAX`, `REQUEST_LOGS_MAX` and
`REQUEST_BLOBS_MAX` together."""

REQUEST_BLOBS_MAX: Final = 16_384
"""Blobs of one store request: they are planned in one turn of the loop."""

REQUEST_TOPICS_MAX: Final = 4_096
"""Topics of one request: far above what one phone follows."""

REQUEST_LOGS_MAX: Final = 65_536
"""(topic, author) pairs of one request."""

MISSING_MAX: Final = 10_000
"""Missing sequence numbers listed a log and answer, as in the apps' own server."""

MISSING_TOTAL_MAX: Final = 10_000
"""Missing sequence numbers listed in one answer: a client uploads exactly these in one request."""

FETCH_BYTES_MAX: Final = 4 * MIB
"""Bytes of blobs in one answer page, unless a single blob is larger (design.md 6)."""

FETCH_BLOBS_MAX: Final = 1_000
"""Blobs in one answer page: 10,000 would hold the loop for 10 to 30 ms."""

BODY_SMALL_BYTES_MAX: Final = 64 * KIB
"""Bytes of a body or answer that needs no leave: with `CONNECTIONS_MAX` 64 MiB in all."""

BODIES_IN_FLIGHT_BYTES_MAX: Final = 192 * MIB
"""Bytes of larger bodies that are received at one time, with what they decode to."""

ANSWERS_IN_FLIGHT_BYTES_MAX: Final = 128 * MIB
"""Bytes of larger answers that are sent at one time, with the blobs that they are made from."""

BODY_BYTES_PER_S_MIN: Final = 32 * KIB
"""Bytes a second below which a sender or reader of a body is cut off, after `BODY_MS_MIN`; the
apps' own time-out for uploads is reckoned with the same."""

BODY_MS_MIN: Final = 30_000
"""Milliseconds that any body may take, to send or to read: longer than the apps wait (20 s)."""

BODY_LEAVE_MS_MAX: Final = 5_000
"""Milliseconds that a large body waits for memory before the client is told to try again."""

BODY_UNREAD_MS_MAX: Final = 5_000
"""Milliseconds for which the rest of a refused body is read and dropped: a connection closed with
unread bytes is reset, and the answer lost with it (RFC 9112, 9.6)."""

HTTP_HEAD_MS_MAX: Final = 10_000
"""Milliseconds from the first byte of a request, or from connecting, to the end of its header."""

HTTP_IDLE_MS_MAX: Final = 75_000
"""Milliseconds that a connection may wait for its next request: the apps poll every 2 to 30 s."""

DRAIN_MS_MAX: Final = 5 * 60_000
"""Milliseconds that a node may serve on after it was told to stop: a load balancer that asks every
half a minute has noticed by then, and whoever wants the machine down has not lost patience."""

CERTIFICATE_BYTES_MAX: Final = 256 * KIB
"""Bytes of a certificate's file that are read: chains have 4 to 10 kB."""

HTTP_HEAD_BYTES_MAX: Final = 16 * KIB
"""Bytes of a request's target and header lines together, as in Node.js, and of a chunk's header."""

HTTP_HEADERS_MAX: Final = 64
"""Header lines of a request."""

HTTP_SLICE_BYTES_MAX: Final = 16 * KIB
"""Bytes of a connection that are parsed at once: so many hold some 500 of the shortest requests,
which wait in memory until they are answered."""

IDLE_POLLS_COUNT_MAX: Final = 4_096
"""Polls with nothing new whose answers are remembered, of each API generation: the phones of a
campus, which ask with the same bytes until there is something."""

IDLE_POLLS_BYTES_MAX: Final = 8 * MIB
"""About the bytes of memory of all of them, of each API generation."""

IDLE_POLL_BYTES_MAX: Final = 16 * KIB
"""Bytes of a poll whose answer may be remembered: a hundred logs and more."""

LOG_KEYS_REMEMBERED: Final = 4_096
"""Logs whose key is not computed anew: 2 MiB with names as long as they may be."""

IDLE_POLL_LOGS_MAX: Final = 500
"""Logs of such a poll: comparing them takes less than a millisecond."""

CONNECTIONS_MAX: Final = 1_024
"""HTTP connections at a time, all listeners together; for a newcomer the longest idle one goes."""

WAIT_MS_MAX: Final = 50_000
"""Milliseconds that a fetch with `?wait=` waits at most: below the 60 s after which proxies cut."""

WAIT_LOOK_MS: Final = 5_000
"""Milliseconds after which a fetch that waits looks again although nothing was stored: what was
held back (design.md 4.12) may be given out once that is over, after `FILLING_GAIN_MS`."""

WAITERS_MAX: Final = 512
"""Fetches that wait at a time: half of `CONNECTIONS_MAX`, so that there is always room to ask."""

WAITED_NAMES_MAX: Final = 131_072
"""Topics and authors that all of them name together: about 32 MB."""

BACKLOG_CONNECTIONS: Final = 1_024
"""TCP connections a listener that the kernel keeps until they are accepted: a burst of a whole
campus polling (it takes at most its somaxconn)."""

REPORT_IDS_MAX: Final = 1_000
"""Devices named in one report, as in the apps' own server."""

REPORT_SKEW_MS_MAX: Final = 60 * 60_000
"""Milliseconds between a report's time and ours, as in the apps' own server."""

MESSAGES_TOPICS_KEPT: Final = 4_096
"""Topics whose next message number is remembered; for others it is looked up."""

MESSAGES_SIFTED_MAX: Final = 4_000
"""Message headers looked at to find the newest `FETCH_BLOBS_MAX` of a topic."""

COMMIT_BLOBS_MAX: Final = 1_000
"""Blobs of one group commit, unless one request alone has more."""

COMMIT_BYTES_MAX: Final = 4 * MIB
"""Bytes of one group commit, unless one request alone has more."""

PENDING_BLOBS_MAX: Final = 65_536
"""Blobs that wait for a commit; above it a request is told to try again."""

PENDING_BYTES_MAX: Final = 192 * MIB
"""Bytes that wait for a commit; above it a request is told to try again."""

EPOCHS_KEPT: Final = 16
"""Former epochs whose cursors are still honoured (design.md 2)."""

CURSORS_KEPT: Final = 4
"""Cursors kept a peer and epoch, and epochs a peer (design.md 5)."""

PEERS_KEPT_MAX: Final = 4_096
"""Peers whose cursors are kept; the one quiet for longest is forgotten, and reconciles again."""

NOTE_KEEPER_BYTES: Final = 16
"""Bytes that name whose a note is."""

NOTE_BYTES_MAX: Final = 4 * KIB
"""Bytes of one note on a log: three sets of `REMEMBERED_RANGES_MAX` ranges of high numbers."""

REFILL_LOGS_MAX: Final = 65_536
"""Logs on the list of those to be asked for by name (design.md 4.7): 3 MB. The oldest go first."""

CURSOR_BYTES_MAX: Final = 256
"""Bytes of another node's opaque cursor."""

SWEEP_LOGS_MAX: Final = 128
"""Logs of one slice of the sweep: 2,000 held the loop for 128 ms."""

EVICT_READ_BLOBS_MAX: Final = 256
"""Blobs whose headers one slice of making room reads: about 2 ms."""

EVICT_READ_BYTES_MAX: Final = 4 * MIB
"""Bytes of blobs that one slice of making room reads with their headers."""

FRAME_BYTES_MAX: Final = 256 * KIB
"""Bytes of one sync frame's blobs: larger frames hold the loop and gain nothing measurable."""

FRAME_BYTES_LIMIT: Final = 1 * MIB
"""Bytes of the largest sync frame read at all: a frame's blobs with their headers, or a page of
offers at its bounds."""

FRAME_BLOBS_MAX: Final = 256
"""Blobs of one sync frame."""

NAMES_MAX: Final = 4_096
"""Names of logs, and of origins, that a direction of a session remembers: about 1 MB a peer."""

SKETCH_SYMBOLS_MAX: Final = 8_192
"""Symbols of a sketch, 96 KiB: they tell about 6,000 differing logs. A listing of more costs
little beside their blobs."""

SUMMARY_LOGS_MAX: Final = 262_144
"""Logs that are compared by sketch: 10 MB and about a second; who holds more lists them."""

PAGE_LOGS_MAX: Final = 256
"""Logs of one page of offers."""

PAGE_RUNS_MAX: Final = 4_096
"""Runs of one page of offers, unless its only log has more (at most `LOG_RANGES_MAX`)."""

PAGES_UNSETTLED_MAX: Final = 4
"""Pages of offers that a peer may leave unsettled; bounds what a session remembers."""

FRESH_PAGES_UNSETTLED_MAX: Final = 4
"""Fresh pages that a peer may leave unsettled, beside those of the feed."""

CARRIED_TOPICS_MAX: Final = 1_024
"""Topics that a node may name as those that it carries: its hello has 8 KiB of them."""

FRESH_AFTER_MS: Final = 200
"""Milliseconds without room for a page of the feed after which changes are offered in fresh pages:
with two ticks, half of the second in which a message should arrive, and longer than the commits of
a busy LAN."""

FRESH_SEQS_MAX: Final = 1_024
"""Sequence numbers in flight a peer for fresh pages, and for blobs in parts, beside the feed's."""

FRESH_BYTES_MAX: Final = 1 * MIB
"""Bytes in flight a peer for fresh pages, beside the feed's."""

FRESH_SEQS_LOG_MAX: Final = 64
"""Lacking sequence numbers up to which a log is fresh: one that lacks more is backlog, and comes in
the feed's order, so that it does not fill the fresh pages."""

CLAIMED_RANGES_MAX: Final = 8_192
"""Ranges remembered of what a peer offered, so as not to offer it back: about 1 MB a session, and
more than all its unsettled pages have, but for logs with many holes."""

CURSOR_OWED_MS: Final = 1_000
"""Milliseconds after which a peer is given the cursor behind changes that were all its own: those
of so long share one, since each costs the peer a write to disk."""

RELAYS_WAIT_MS: Final = 200
"""Milliseconds that what a peer brought is kept from other peers that get it from there themselves,
by the side that dialled."""

RELAYS_WAIT_LONG_MS: Final = 600
"""The same for the side that was dialled, which has been told by then: less than the second in
which a blob should be everywhere, should they get it no more."""

RELAYS_VAIN: Final = 3
"""Pages of what peers brought, settled in a row without a want, after which the next one waits."""

WANT_SEQS_LOG_MAX: Final = 1_024
"""Sequence numbers in flight a log and peer (design.md 9)."""

WANT_SEQS_MAX: Final = 4_096
"""Sequence numbers in flight a peer for pages of the feed: what is new waits for the commits of as
many, and with twice as many 10^5 blobs of 1 KB were not caught up on any faster."""

WANT_BYTES_MAX: Final = 8 * MIB
"""Bytes in flight a peer by what its offers say, unless a single blob is larger; and as much for
blobs in parts."""

CREDIT_BYTES_MAX: Final = 64 * MIB
"""Bytes of blobs in parts that a peer is allowed at a time; `WANT_BYTES_MAX` is what is used."""

WANT_RANGES_MAX: Final = 4_096
"""Ranges of one want or gone frame."""

GONE_PROMISES_MAX: Final = 4_096
"""Gone answers (ranges) that a session bears before its offers count as broken promises; what
expires or is evicted while a page is open is legitimately gone, a page at a time."""

FRAMES_UNWRITTEN_MAX: Final = 1_024
"""Sync frames that wait for a peer to read; an honest one has the answers of one read and a few
pages before it, about 100."""

RECEIVED_BYTES_MAX: Final = 8 * MIB
"""Bytes of blobs received from a peer and not committed, unless a single blob is larger: above it
its stream is not read. As `WANT_BYTES_MAX`, which goes by what the offers say."""

RECEIVED_BYTES_ALL_MAX: Final = 64 * MIB
"""Bytes of blobs received from all peers and not committed, above which no stream is read but of a
peer of which nothing is: with a thousand peers `RECEIVED_BYTES_MAX` of each is too much."""

PARTS_BYTES_MAX: Final = 64 * MIB
"""Bytes of blobs in parts that all peers together may be sending: one of the largest, and several
photographs beside it (core/turns.py)."""

PARTS_TURN_MS: Final = 30_000
"""Milliseconds after which a peer is asked for nothing more in parts while others wait; after twice
as many its session ends. As long as `WANT_STALL_MS`, so that one who trickles gains nothing."""

BEGINNINGS_MAX: Final = 64
"""Blobs in parts of which a node keeps what came before a cut, and that one want names."""

BEGINNINGS_BYTES_MAX: Final = BLOB_BYTES_MAX
"""Bytes of all of them together: any one blob can be kept. In memory, beside what is on its way."""

BEGINNINGS_KEPT_MS: Final = 24 * 3_600_000
"""Milliseconds without a further part after which a beginning is forgotten: a place that has
internet for an hour a day goes on tomorrow."""

CURSORS_OFFERED_MAX: Final = 4
"""Cursors of one resume frame: one an epoch kept."""

HANDSHAKE_MS_MAX: Final = 10_000
"""Milliseconds from the stream's start to both sides proven: connection, TLS and hello go there
and back three times, which takes six seconds where each does two."""

WANT_PATIENCE_MS: Final = 2_000
"""Milliseconds without an answer after which another holder is asked (design.md 9)."""

WANT_TYPICAL_TIMES: Final = 4
"""Times the usual time of the next holder, or its own, that an owner of a log may be silent, where
that is more than `WANT_PATIENCE_MS`."""

WANT_PATIENCE_SLOW_MS: Final = 8_000
"""Milliseconds without an answer that an owner has at most because it usually takes long, or says
other things meanwhile: below the 10 s within which another takes over from one that hangs."""

WANT_STALL_MS: Final = 30_000
"""Milliseconds without any answer after which the session is ended as stalled."""

GAINED_LOGS_MAX: Final = 4_096
"""Logs of which it is known that they gained while records were being read; of others it is
assumed."""

FILLING_GAIN_MS: Final = 5_000
"""A log that gained nothing for so long no longer holds fetches back (design.md 4.12)."""

FILLING_HOLD_MS_MAX: Final = 10 * 60_000
"""Milliseconds that one log may hold fetches back in a day (design.md 4.12)."""

FILLING_DAY_MS: Final = 24 * 3_600_000
"""The day of `FILLING_HOLD_MS_MAX`, in milliseconds."""

FILLING_LOGS_MAX: Final = 16_384
"""Logs whose holding back is remembered for the day; the oldest is forgotten first."""

ADDRESS_ENDPOINTS_MAX: Final = 16
"""Hosts of one peer address: every interface of a machine, and a name or two."""

ADDRESS_LENGTH_MAX: Final = 2_048
"""Characters of one peer address: 16 IPv6 addresses with zones, and still one QR code (2,331)."""

DISCOVERED_PEERS_MAX: Final = 1_024
"""Names remembered a browsed mDNS service: four times the hosts of a /24 network."""

DISCOVERED_STRANGERS_MAX: Final = 32
"""Discovered names believed before they were heard twice; beyond these somebody is inventing."""

INTRODUCED_MAX: Final = 64
"""Discovered nodes that are dialled at a time without ever having proven their key."""

TOLD_FRAME_MAX: Final = 64
"""Peers of which one frame tells where they are: about 3 kB."""

TOLD_BY_MAX: Final = 64
"""Peers remembered of whom one peer told and nobody before it."""

TOLD_MAX: Final = 512
"""Peers remembered of whom others told; for a newcomer goes one of whoever told of most."""

TOLD_ENDPOINTS_MAX: Final = 4
"""Addresses kept of a peer of whom others told, the one that was told first among them."""

TOLD_DIALLED_MAX: Final = 8
"""Peers of whom others told that are dialled at a time without ever having proven their key: a liar
then has us knock at about one address in a second."""

DISCOVERED_ENDPOINTS_MAX: Final = 16
"""Addresses kept of one discovered peer, all names that claim its id together."""

DISCOVERY_TXT_BYTES_MAX: Final = 1_024
"""Bytes of a TXT record that are looked at; our own has about 100 (RFC 6763, 6.2: up to 1,300)."""

DISCOVERY_RECORDS_MAX: Final = 1_500
"""New mDNS records after which those of strangers are dropped; zeroconf holds 10,000 in all."""

DISCOVERY_KNOWN_MAX: Final = 64
"""Known answers in one mDNS question: about 5 kB; whoever is not among them answers once more."""

DISCOVERY_LOOKUPS_MAX: Final = 16
"""mDNS names whose missing records are asked for at one time; the rest waits for the next round."""

DISCOVERY_OWN_CLAIMS_MAX: Final = 4
"""TXT records of our own name that are read at a time: ours, and the newest of clones and liars."""

DISCOVERY_ROUND_NAMES_MAX: Final = 256
"""mDNS names read again in one round: about 10 ms of the loop."""

DISCOVERY_REACHES_MAX: Final = 64
"""Things found that `meshbox find` dials at one time; forged ones wait as the others do."""

SWARM_PACKET_BYTES_MAX: Final = 1_472
"""Bytes of a packet of the swarm dialect; the apps read no more (an Ethernet frame's UDP data)."""

SWARM_RECORDS_MAX: Final = 64
"""Records and questions of a packet of the swarm dialect: a mailbox of many addresses has 18."""

SWARM_PACKETS_MAX: Final = 64
"""Packets of the swarm dialect read in one turn of the event loop: about 2 ms."""

SWARM_SIZE_MAX: Final = 64
"""Mailboxes of the swarm dialect that set our pace; more would have us answer after 3 s."""

MESH_NAME_BYTES_MAX: Final = 53
"""Bytes of a mesh name: with `_dashchat-` before it a DNS label (63 bytes, RFC 1035) is full."""

SOFTWARE_LENGTH_MAX: Final = 128
"""Characters of a peer's software name; what is longer is cut."""

REASON_LENGTH_MAX: Final = 512
"""Characters of a peer's reason and detail; what is longer is cut."""

SYNC_RATE_BYTES_PER_S_MIN: Final = 128 * KIB
"""Bytes a second that an operator may bound sync to at the least: one frame then takes 2 seconds,
after which a peer that waits for it would ask another."""

WAY_OUT_SHARERS_MAX: Final = 64
"""Nodes of a LAN that are counted as having the same way out; those with the lowest ids."""

WAYS_OUT_MAX: Final = 16
"""Internet mailboxes of one node: each has a connection, and a word in the hello."""

SYNC_STREAMS_MAX: Final = 2_048
"""Sync connections and streams at a time: of an internet mailbox for a thousand islands, each of
which may be here twice for a while. One costs 0.2 MB (docs/scale.md)."""

SYNC_WINDOW_BYTES: Final = MIB
"""Bytes that a peer may have sent and we not read (HTTP/2's window): 10 MB/s on a line of 100 ms.
What a slow line takes is bounded by what is asked for (core/session/pacing.py)."""

PEERS_MAX: Final = 1_024
"""Peers remembered; an unconnected one that nobody configured is forgotten first."""

HEIGHT_LEAP: Final = 10_000
"""Numbers by which a height that a mailbox server is asked with may be above what it has without a
hole: it makes a list of all that it misses up to there, and dies of a long one."""

REMEMBERED_RANGES_MAX: Final = 64
"""Ranges of one set that is remembered of a log at a mailbox server."""

BRIDGED_TOPICS_MAX: Final = 65_536
"""Topics that mailbox servers are asked about: about 20 MB."""

BRIDGED_LOGS_MAX: Final = 16_384
"""Logs that are named in one request to a mailbox server: those of 0.18 take 2 MiB."""

PASSED_LOGS_MAX: Final = 4_096
"""Logs of a mailbox server whose blobs came in vain, each remembered for some minutes."""

BROUGHT_BLOBS_MAX: Final = 500
"""Blobs brought to a mailbox server in one request, which it stores in one transaction."""

BROUGHT_BYTES_MAX: Final = 1 * MIB
"""Bytes of them, unless a single blob has more: the servers of 0.18 take 2 MiB of JSON."""

SERVER_ANSWER_BYTES_MAX: Final = 64 * MIB
"""Bytes of one answer of a mailbox server, which knows no pages: what its own bodies may have."""

SERVER_PAGE_BYTES_MAX: Final = 64 * KIB
"""Bytes of its answers to anything but a get: its own have less than one."""

SERVER_MS_MIN: Final = 30_000
"""Milliseconds that a mailbox server may take to begin its answer, and again to end it."""

SERVER_BYTES_PER_S_MIN: Final = 1 * KIB
"""Bytes a second that are added to both: an eighth of a link of 64 kbit/s."""

RETRY_AFTER_S_MAX: Final = 3_600
"""Seconds for which a mailbox server may ask us to stay away at a time."""
