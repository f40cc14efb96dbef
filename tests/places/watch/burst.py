"""Forty clients at once, for a server that has room for nine and does not accept. Ends with the code that it is given."""

import sys

from load import counter, knocking, seen, server, tell, until

listener = server(8)
clients = knocking(listener.getsockname(), 40)
until(lambda: counter("ListenOverflows") >= 31, "every other client was refused")
seen()
tell(address="%s:%d" % listener.getsockname())
sys.exit(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
