"""Thirty connections that stay open."""

import socket

from load import seen, server, tell

listener = server(64)
ends = [(socket.create_connection(listener.getsockname()), listener.accept()[0]) for _ in range(30)]
seen()
with open("/proc/sys/net/netfilter/nf_conntrack_count") as file:
    tell(tracked=int(file.read()))
