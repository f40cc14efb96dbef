"""Forty SYNs of strangers that never answer, for a server whose SYN queue has room for nine."""

import socket
import struct

from load import counter, seen, server, tell, until


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def syn(source, port, target, listening):
    ends = socket.inet_aton(source) + socket.inet_aton(target)
    fields = [port, listening, 1, 0, 5 << 4, 2, 65535, 0, 0]
    pseudo = ends + struct.pack("!BBH", 0, socket.IPPROTO_TCP, 20)
    fields[7] = checksum(pseudo + struct.pack("!HHIIBBHHH", *fields))
    tcp = struct.pack("!HHIIBBHHH", *fields)
    return struct.pack("!BBHHHBBH", 0x45, 0, 40, 0, 0, 64, socket.IPPROTO_TCP, 0) + ends + tcp


listener = server(8)
target, listening = listener.getsockname()
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
for number in range(40):
    # The route of these addresses leads nowhere: no answer comes, and no refusal.
    raw.sendto(syn(f"192.0.2.{number + 1}", 10000 + number, target, listening), (target, 0))
until(lambda: counter("SyncookiesSent") + counter("TCPReqQFullDrop") >= 31, "every other SYN met a full queue")
with open("/proc/self/net/tcp") as file:
    half_open = sum(line.split()[3] == "03" for line in file)
seen()
tell(address=f"{target}:{listening}", half_open=half_open, overflows=counter("ListenOverflows"))
