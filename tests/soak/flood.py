#!/usr/bin/env python3
"""Sends datagrams of addresses of chance, all in 127.0.0.0/8, to a port of UDP: PORT, so many a second, SECONDS, SEED,
and how many TIMES each.

Half of them would begin a conversation of KCP, half of those with a request for a session; a quarter are of one that there is not, and a
quarter are no segments. What is answered is not read. At the end it prints how many it sent.
"""
import random
import socket
import struct
import sys
import time

PUSH, ACK = 81, 82
IP_PKTINFO = 8  # which the module does not name
BATCH = 200
REQUEST = b"0\n782riWdFIwE=\n\n0"
REQUEST = struct.pack(">H", len(REQUEST)) + REQUEST

port, rate, seconds, seed, times = (int(word) for word in sys.argv[1:])
chance = random.Random(seed)
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sender.bind(("0.0.0.0", 0))
target = ("127.0.0.1", port)


def segment(command, sn, data=b""):
    return struct.pack("<IBBHIIII", chance.getrandbits(32), command, 0, 128, chance.getrandbits(32), sn, 0, len(data)) + data


def datagram():
    kind = chance.random()
    if kind < 0.5:
        return segment(PUSH, 0, REQUEST if kind < 0.25 else chance.randbytes(20))
    if kind < 0.75:
        return segment(chance.choice([PUSH, ACK]), chance.getrandbits(8) + 1)
    return chance.randbytes(chance.randrange(1, 100))


begun = time.monotonic()
sent = 0
while (passed := time.monotonic() - begun) < seconds:
    if sent >= passed * rate:
        time.sleep(0.0005)
        continue
    for _ in range(BATCH):
        source = struct.pack("I4s4s", 0, bytes([127, *chance.randbytes(2), chance.randrange(1, 255)]), bytes(4))
        bytes_of_it = datagram()
        for _ in range(times):
            sender.sendmsg([bytes_of_it], [(socket.IPPROTO_IP, IP_PKTINFO, source)], 0, target)
    sent += BATCH * times
print(sent)
