"""Sockets that are bound to an address before they connect to one of ten servers, until no port is left to bind."""

import errno
import socket

from load import seen, server, tell

servers = [server(200, host=f"127.0.0.{last}", port=30000) for last in range(10, 20)]
ends = []
error = None
while error is None:
    listener = servers[len(ends) % len(servers)]
    client = socket.socket()
    try:
        client.bind(("127.0.0.1", 0))
        client.connect(listener.getsockname())
        ends.append((client, listener.accept()[0]))
    except OSError as refused:
        error = errno.errorcode[refused.errno]
seen()
tell(connected=len(ends), error=error)
