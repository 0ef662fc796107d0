COPY events (pk, at_ms, id, kind, source, received_ms, flags, data) FROM STDIN BINARY
