"""What the loads have in common: they wait for readings and counters, never for a time."""

import json
import os
import socket
import time


def until(holds, what):
    end = time.monotonic() + 30
    while not holds():
        if time.monotonic() > end:
            raise SystemExit(f"not within 30 s: {what}")
        time.sleep(0.005)


# Open from the start: a load may use up every descriptor and wait all the same.
READINGS = open(os.environ.get("READINGS", os.devnull), "rb")


def readings():
    READINGS.seek(0)
    return READINGS.read().count(b"\n")


def seen():
    """Until a reading is told that began after this call: the first one to come may have begun before."""
    enough = readings() + 2
    until(lambda: readings() >= enough, "readings")


def counter(name):
    """A counter of TcpExt in this network namespace."""
    with open("/proc/self/net/netstat") as file:
        names, values = [line.split() for line in file if line.startswith("TcpExt:")]
    return int(values[names.index(name)])


def server(backlog, family=socket.AF_INET, host="127.0.0.1", port=0):
    listener = socket.socket(family)
    listener.bind((host, port))
    listener.listen(backlog)
    return listener


def knocking(address, count):
    """Clients that do not wait for an answer."""
    clients = [socket.socket() for _ in range(count)]
    for client in clients:
        client.setblocking(False)
        client.connect_ex(address)
    return clients


def tell(**what):
    print(json.dumps(what), flush=True)
