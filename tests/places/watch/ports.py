"""Connections to one destination until the last local port is taken."""

import errno
import socket
import sys

from load import seen, server, tell

host = sys.argv[1]
family = socket.AF_INET6 if ":" in host else socket.AF_INET
# Outside the range, of which it would take one.
listener = server(1000, family, host, 30000)
ends = []
failed = 0
while not failed:
    client = socket.socket(family)
    failed = client.connect_ex(listener.getsockname())
    ends.append((client, None if failed else listener.accept()[0]))
seen()
address = f"[{host}]" if ":" in host else host
tell(address=f"{address}:{listener.getsockname()[1]}", connected=len(ends) - 1, error=errno.errorcode[failed])
