"""Thirty connections that this side closes first."""

import socket

from load import counter, seen, server, tell, until

listener = server(64)
for _ in range(30):
    client = socket.create_connection(listener.getsockname())
    served = listener.accept()[0]
    client.close()
    assert served.recv(1) == b""
    served.close()
until(lambda: counter("TW") + counter("TCPTimeWaitOverflow") >= 30, "all are closed")
seen()
tell(skipped=counter("TCPTimeWaitOverflow"))
