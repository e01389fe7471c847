"""An example client of SCP version 2, on POSIX, for listeners of dialect plain: scp2_client.py HOST PORT [TARGET]
copies stdin to a session and the session to stdout over as many connections as it takes. Exit status 0: all is done."""
import hashlib, hmac, math, os, random, secrets, select, socket, struct, sys, time
from base64 import b64decode, b64encode
from cryptography.hazmat.primitives.asymmetric.ec import ECDH, SECP256R1, EllipticCurvePublicKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

WINDOW = 256 * 1024  # The most bytes that wait for stdout.
TICK, PING_INTERVAL, PING_TIMEOUT, HANDSHAKE_TIMEOUT = 0.5, 15, 10, 10  # Seconds.
DATA, ACK, PING, PONG, FIN, CLOSE, MOVE = range(1, 8)

def sign(key, text): return b64encode(hmac.digest(key, text.encode(), "sha256")).decode()
def record(content): return struct.pack(">H", len(content)) + content
class Ended(Exception): """The session is over: a code of section Ends, and why."""
class Broken(Ended): """The same, found on this side: the server has to be told."""

class Client:
    """A session. Positions wrap only on the wire. FIN counts as a byte: in `cache` and `buffer` it is one, the last."""
    def __init__(self, target=""):
        self.private, old_key = generate_private_key(SECP256R1()), secrets.token_bytes(8)  # That is of version 1.
        point = self.private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        self.request = b"0\n%b\n%b\n2\n2 %b %d" % (b64encode(old_key), target.encode(), b64encode(point), WINDOW)
        self.id, self.index, self.window, self.is_live = None, 0, 0, False
        self.cache, self.acked, self.sent, self.ended = bytearray(), 0, 0, False  # `cache` begins at `acked`.
        self.buffer, self.consumed, self.peer_ended = bytearray(), 0, False  # `buffer` begins at `consumed`.

    def room(self): return 0 if self.ended else self.window - len(self.cache)
    def read_number(self, size): return int.from_bytes(self.read(size), "big")
    def read(self, size):
        """So many bytes of the connection. Until they have come, all else goes on."""
        while len(self.input) < size: self.step()
        data, self.input = bytes(self.input[:size]), self.input[size:]
        return data

    def serve(self, sock):
        """Goes on over that connection until it is lost: an OSError."""
        self.sock, self.input, self.due, self.deadline = sock, bytearray(), {}, time.monotonic() + HANDSHAKE_TIMEOUT
        self.out = record(self.resume_request() if self.id else self.request)
        answer = self.read(self.read_number(2))
        try: (self.resume if self.id else self.begin)(answer, answer.decode("ascii").split("\n"))
        except (ValueError, LookupError) as error: raise ConnectionError(f"{error!r} in {answer}")
        self.deadline, self.is_live = math.inf, True
        try:
            while True: self.take_frame(self.read(1)[0])
        except Broken as end:
            sock.sendall(self.out + struct.pack(">BHB", CLOSE, end.args[0], 0))
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(16384): pass  # A reset could destroy what was said.
            raise

    def begin(self, answer, lines):
        if len(lines) < 3: raise ValueError("refused, or the server has version 1 only")
        version, point, window, ping, reuse = lines[2].split(" ")[:5]
        if version != "2" or not 4096 <= int(window) <= 2**24: raise ValueError("line 3")
        secret = self.private.exchange(ECDH(), EllipticCurvePublicKey.from_encoded_point(SECP256R1(), b64decode(point)))
        salt = hashlib.sha256(record(self.request) + record(answer)).digest()
        self.key = hmac.digest(hmac.digest(salt, secret, "sha256"), b"SCP/2 resume\1", "sha256")  # HKDF of one block.
        self.id, self.window, self.reuse = int(lines[0]), int(window), int(reuse) / 1000
        self.interval = min(PING_INTERVAL, int(ping) / 1000 or PING_INTERVAL)

    def resume_request(self):
        self.index, position = self.index + 1, self.consumed + len(self.buffer)
        mac = sign(self.key, f"resume\n{self.id}\n{self.index}\n{position}\n")
        return f"{self.id}\n{self.index}\n{position % 2**32}\nAAAAAAAAAAA=\n2 {position} {mac}".encode()

    def resume(self, _, lines):
        """Only what is signed is believed. What follows the position is sent again. Nothing is freed."""
        code, (version, value, mac) = lines[1].split(" ")[0], lines[2].split(" ")[:3]
        expected = sign(self.key, f"{'resumed' if code == '200' else 'gone'}\n{self.index}\n{code}\n{value}\n")
        if version != "2" or not hmac.compare_digest(mac, expected): raise ValueError("not signed by the server")
        if code != "200": raise Ended(int(value), "it was over before")
        if not self.acked <= int(value) <= self.sent: raise Ended(4, "a wrong position")
        self.sent = int(value)

    def take_frame(self, kind):
        if kind in (DATA, FIN):
            size = self.read_number(2) if kind == DATA else 1
            if self.peer_ended or not 0 < size <= WINDOW - len(self.buffer): raise Broken(4, "DATA or FIN")
            self.buffer += self.read(size) if kind == DATA else b"\0"
            self.peer_ended = kind == FIN
        elif kind == ACK:
            count = (self.read_number(4) - self.acked) % 2**32
            if count > self.sent - self.acked: raise Broken(4, "ACK of what was never sent")
            del self.cache[:count]
            self.acked += count
        elif kind == PING: self.due[PONG] = self.read_number(4)
        elif kind == PONG: self.read(4)
        elif kind == CLOSE: raise Ended(self.read_number(2), self.read(self.read_number(1)).decode(errors="replace"))
        elif kind == MOVE: raise ConnectionError("the server wants another connection")
        elif kind >= 128: self.read(self.read_number(2))
        else: raise Broken(4, f"a frame of type {kind}")

    def step(self):
        """Says what is due, when all before has gone; waits until something can be done, or for TICK; and does it."""
        now, is_waiting = time.monotonic(), self.sent > self.acked
        if now > self.deadline: raise TimeoutError("nothing was heard")
        if self.deadline == math.inf and now > self.heard + min(self.interval, 5 if is_waiting else math.inf):
            self.due[PING], self.deadline = 0, now + PING_TIMEOUT
        if self.is_live and not self.out: self.speak()
        readers = [self.sock] + [0] * (self.room() > 0)
        writers = [self.sock] * bool(self.out) + [1] * bool(self.buffer)
        readable, writable, _ = select.select(readers, writers, [], TICK)
        if self.sock in readable:
            data = self.sock.recv(16384)
            if not data: raise ConnectionError("the connection ended")
            self.input += data
            self.heard, self.deadline = time.monotonic(), math.inf if self.is_live else self.deadline
            if len(self.input) > 5: self.due[ACK] = self.consumed % 2**32  # After an answer, and while a DATA comes.
        if self.sock in writable: self.out = self.out[self.sock.send(self.out):]
        self.copy(readable, writable)

    def speak(self):
        start, end = self.sent - self.acked, len(self.cache) - self.ended
        data = self.cache[start:min(start + 16384, end)]
        is_fin = self.ended and start + len(data) == end
        self.out = b"".join(struct.pack(">BI", kind, number) for kind, number in self.due.items())
        if data: self.out += struct.pack(">BH", DATA, len(data)) + data
        if is_fin: self.out += bytes([FIN])
        self.sent, self.due = self.sent + len(data) + is_fin, {}

    def copy(self, readable, writable):
        try:
            if 0 in readable:
                data = os.read(0, self.room())
                self.ended = not data
                self.cache += data or b"\0"
            if 1 in writable:
                size = min(len(self.buffer) - self.peer_ended, select.PIPE_BUF)  # So much goes without waiting.
                if size == 0: os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Ends stdout. What stands for FIN is lost.
                count = os.write(1, self.buffer[:max(size, 1)])
                del self.buffer[:count]
                self.consumed += count
                self.due[ACK] = self.consumed % 2**32
        except OSError as error: raise Broken(7, str(error))

def main(host, port, target=""):
    client, pause, lost_at = Client(target), 0.5, 0
    while True:
        try:
            with socket.create_connection((host, port), HANDSHAKE_TIMEOUT) as sock: client.serve(sock)
        except Ended as end:
            while client.buffer and end.args[0] != 7: client.copy([], [1])  # What came before the end is good.
            sys.exit("scp2: ended with {}: {}".format(*end.args) if end.args[0] else 0)
        except OSError as error:
            if client.is_live: client.is_live, lost_at, pause = False, time.monotonic(), 0.5
            if not client.id or time.monotonic() > lost_at + client.reuse: sys.exit(f"scp2: given up: {error}")
        time.sleep(random.uniform(0, pause))
        pause = min(2 * pause, 5)

if __name__ == "__main__": main(*sys.argv[1:])
