"""What goes over the wire: frames as protobuf (`v1` is generated), and the JSON bodies of the HTTP
APIs.

Knows every bound of what comes in. Must not know what a frame or a body means now.
Others use `decoding`, `encoding`, `json_base64`, `json_logs`, `json_media`, `json_messages`,
`json_server`, `statuses`, `v1.sync_pb2`.
"""
