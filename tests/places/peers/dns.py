"""A name server for a few names, over UDP and TCP. Some answers are for somebody else first, or too long."""
import socket
import struct
import threading

HERE = ("127.0.0.53", 53)
A, AAAA = 1, 28
NAMES = {
    "peer.test.example": {A: ["127.0.0.1", "127.0.0.2"], AAAA: ["::1"]},
    "routes.test": {A: ["127.0.0.1"], AAAA: ["2001:db8::7"]},
    "long.test": {A: ["127.0.1.%d" % n for n in range(1, 41)], AAAA: []},
    "alias.test": {A: ["127.0.0.3"], AAAA: []},
    "only.six.test": {A: [], AAAA: ["::1"]},
}


def parts(query):
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode())
        at += query[at] + 1
    return ".".join(labels), struct.unpack("!H", query[at + 1 : at + 3])[0], query[12 : at + 5]


def record(owner, kind, data):
    return owner + struct.pack("!HHIH", kind, 1, 60, len(data)) + data


def answer(query, most):
    name, kind, question = parts(query)
    known = NAMES.get(name.lower())
    records, owner = [], b"\xc0\x0c"
    if name == "alias.test":
        records.append(record(owner, 5, b"\x04real\xc0\x0c"))
        owner = b"\x04real\xc0\x0c"
    for address in (known or {}).get(kind, []):
        family = socket.AF_INET if kind == A else socket.AF_INET6
        records.append(record(owner, kind, socket.inet_pton(family, address)))
    flags = 0x8180 if known else 0x8183
    if name == "refused.test":
        flags = 0x8185
    if name.endswith(".broken.example"):
        flags = 0x8182
    body = question + b"".join(records)
    if len(body) + 12 > most:
        flags, records, body = flags | 0x0200, [], question
    return query[:2] + struct.pack("!HHHHH", flags, 1, len(records), 0, 0) + body


def datagrams():
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(HERE)
    while True:
        query, client = server.recvfrom(512)
        if parts(query)[0].endswith(".silent.example"):
            continue
        right = answer(query, 512)
        # An answer to another question, and none at all, come first.
        server.sendto(bytes([right[0] ^ 1]) + right[1:], client)
        server.sendto(b"what", client)
        server.sendto(right, client)


def streams():
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(HERE)
    server.listen()
    while True:
        client, _ = server.accept()
        head = client.recv(2)
        # One that only looked whether anybody is there sends nothing.
        if len(head) == 2:
            told = answer(client.recv(struct.unpack("!H", head)[0]), 65535)
            for part in [struct.pack("!H", len(told)), told[:7], told[7:]]:
                client.sendall(part)
        client.close()


# One that takes every question and answers none.
silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
silent.bind(("127.0.0.10", 53))
threading.Thread(target=streams, daemon=True).start()
datagrams()
