"""A burst that goes on until the standard input ends, for a server that does not accept."""

import select
import sys

from load import counter, knocking, server

listener = server(8)
waiting = knocking(listener.getsockname(), 20)
while not select.select([sys.stdin], [], [], 0.02)[0]:
    for client in knocking(listener.getsockname(), 2):
        client.close()
    if counter("ListenOverflows"):
        print("overflows", flush=True)
