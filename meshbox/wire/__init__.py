"""What goes over the wire: generated protobuf and the JSON shapes of the HTTP API."""
