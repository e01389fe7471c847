#!/usr/bin/env python3
"""What a goscon that is being replaced starts in place of a new one: it keeps to the steps until one, and then ends or hangs.

UNTIL and THEN are put in by the test.
"""
import json
import os
import signal
import socket
import struct
import sys

UNTIL = "@UNTIL@"
THEN = "@THEN@"

channel = socket.socket(socket.AF_UNIX)
rest = b""


def stop():
    if THEN == "hang":
        signal.pause()
    if THEN == "crash":
        os.kill(os.getpid(), signal.SIGKILL)
    sys.exit(int(THEN))


def say(step, **more):
    if UNTIL == step:
        stop()
    text = json.dumps({"step": step, **more}).encode()
    channel.sendall(struct.pack(">III", len(text), 0, 0) + text)


def take(count):
    global rest
    while len(rest) < count:
        data, descriptors, _, _ = socket.recv_fds(channel, 65536, 253)
        for descriptor in descriptors:
            os.close(descriptor)
        if not data:
            sys.exit(9)
        rest += data
    taken, rest = rest[:count], rest[count:]
    return taken


def hear(step):
    held = taken = 0
    while True:
        text, more, _ = struct.unpack(">III", take(12))
        said = json.loads(take(text))
        take(more)
        if said["step"] == step:
            return
        if said["step"] == "session":
            held += 1
            if UNTIL == f"held {held}":
                stop()
            say("held")
        if said["step"] == "go on":
            taken += 1
            if UNTIL == f"taken {taken}":
                stop()
            say("taken")


if UNTIL == "enter":
    stop()
channel.connect(os.environ["GOSCON_UPGRADE"])
say("started", format=3, version="stub")
hear("hello")
say("read")
hear("listeners")
say("ready")
hear("take over")
say("serving")
hear("done")
say("done")
stop()
