#!/usr/bin/env python3
"""What a goscon that is being replaced starts in place of a new one: it keeps to the steps until one, and then ends or hangs.

UNTIL and THEN are put in by the test: a step, or `session N`, when so many have come, or `took N`, when it has said of so many that it has them.
"""
import json
import os
import select
import signal
import socket
import struct
import sys

UNTIL = "@UNTIL@"
THEN = "@THEN@"


def stop():
    if THEN == "hang":
        signal.pause()
    if THEN == "crash":
        os.kill(os.getpid(), signal.SIGKILL)
    sys.exit(int(THEN))


class Parcel:
    """A channel, as `parcel.ts` has it."""

    def __init__(self, sock):
        sock.setblocking(True)
        self.sock = sock
        self.rest = b""
        self.descriptors = []

    def send(self, message):
        text = json.dumps(message).encode()
        self.sock.sendall(struct.pack(">III", len(text), 0, 0) + text)

    def receive(self):
        """A message and its descriptors; None: there are no more."""
        header = self.take(12)
        if header is None:
            return None
        text, more, count = struct.unpack(">III", header)
        message = json.loads(self.take(text))
        self.take(more)
        descriptors, self.descriptors = self.descriptors[:count], self.descriptors[count:]
        return message, descriptors

    def take(self, count):
        while len(self.rest) < count:
            data, descriptors, _, _ = socket.recv_fds(self.sock, 65536, 253)
            self.descriptors += descriptors
            if not data:
                return None
            self.rest += data
        taken, self.rest = self.rest[:count], self.rest[count:]
        return taken


channel = Parcel(socket.socket(socket.AF_UNIX))
lanes = []
sessions = 0


def say(step, **more):
    if UNTIL == step:
        stop()
    channel.send({"step": step, **more})


def take_session(lane):
    global sessions
    came = lane.receive()
    if came is None:
        return lanes.remove(lane)
    for descriptor in came[1]:
        os.close(descriptor)
    sessions += 1
    if UNTIL == f"session {sessions}":
        stop()
    lane.send({"step": "taken"})
    if UNTIL == f"took {sessions}":
        stop()
    lane.send({"step": "goes on", "stoodStill": 1})


def ready():
    """Waits, and takes what comes over lanes, until there is a message."""
    while not channel.rest:
        heard, _, _ = select.select([channel.sock, *[lane.sock for lane in lanes]], [], [])
        for lane in [lane for lane in lanes if lane.sock in heard]:
            take_session(lane)
            while lane.rest:
                take_session(lane)
        if channel.sock in heard:
            return


def hear(step):
    while True:
        ready()
        came = channel.receive()
        if came is None:
            sys.exit(9)
        said, descriptors = came
        if said["step"] == "lane":
            lanes.append(Parcel(socket.socket(fileno=descriptors.pop())))
        for descriptor in descriptors:
            os.close(descriptor)
        if said["step"] == step:
            return
        if said["step"] == "session":
            say("held")
        if said["step"] == "go on":
            say("taken")


if UNTIL == "enter":
    stop()
channel.sock.connect(os.environ["GOSCON_UPGRADE"])
say("started", format=4, version="stub")
hear("hello")
say("read")
hear("listeners")
say("ready")
hear("take over")
say("serving", layout={"threadBits": 0, "slotBits": 0, "epochBits": 0})
hear("done")
say("done")
stop()
