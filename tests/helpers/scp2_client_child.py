"""Run with the directory of scp2_client.py: what its `Client` makes of scp2_vectors.json, on stdin, as JSON."""
import base64, json, os, socket, sys
from cryptography.hazmat.primitives.asymmetric import ec

sys.path.insert(0, sys.argv[1])
import scp2_client as scp

vectors = json.load(sys.stdin)
NEAR_2_32 = 2**32 - 7  # Both directions begin there, so that they pass 2^32.

# The client's stdin is silent, and its stdout takes nothing; the answer goes to the stdout that there was.
ANSWER = os.fdopen(os.dup(1), "w")
SILENCE, FULL = os.pipe(), os.pipe()
os.dup2(SILENCE[0], 0)
os.dup2(FULL[1], 1)
os.set_blocking(1, False)
try:
    while os.write(1, bytes(4096)): pass
except BlockingIOError:
    pass

KEY = base64.b64decode(vectors["new_request_content"].split("\n")[1])
PRIVATE = ec.derive_private_key(int(vectors["client_private"], 16), ec.SECP256R1())
scp.generate_private_key = lambda curve: PRIVATE
scp.secrets.token_bytes = lambda size: KEY[:size]


def outcome(action):
    """The name and the arguments of what is thrown."""
    try:
        action()
    except Exception as error:
        return [type(error).__name__, *map(str, error.args)]


class ByteByByte(socket.socket):
    """A connection of which each byte comes for itself."""

    def recv(self, size):
        return super().recv(1)


def served(client, answer, frames=""):
    """Over a connection on which those come, and its end: the request, what else was said, and what is thrown."""
    ours, theirs = socket.socketpair()
    theirs.sendall(scp.record(answer.encode()) + bytes.fromhex(frames))
    theirs.shutdown(socket.SHUT_WR)
    with ByteByByte(fileno=ours.detach()) as sock, theirs, theirs.makefile("rb") as reader:
        sock.settimeout(10)
        end = outcome(lambda: client.serve(sock))
        sock.shutdown(socket.SHUT_WR)
        size = int.from_bytes(reader.read(2), "big")
        request, said = reader.read(size).decode(), reader.read()
    return request, said, None if end == ["ConnectionError", "the connection ended"] else end


def begun(answer=vectors["new_answer_content"]):
    """A session with the private keys of the vectors, after its first connection."""
    client = scp.Client("game")
    request, _, end = served(client, answer)
    client.is_live = False
    return client, request, end


def resumed(answer, index=1):
    client, _, _ = begun()
    client.consumed = int(vectors["resume"]["received"])
    client.sent = int(vectors["resumed"]["received"]) + 1
    client.index = index - 1
    request, _, end = served(client, answer)
    return {"request": request, "end": end, "sent": str(client.sent), "live": client.is_live}


def at_2_32():
    client, _, _ = begun()
    client.acked = client.sent = client.consumed = NEAR_2_32
    return client


def encoded():
    """What is said when everything is to be said."""
    client = at_2_32()
    client.due = {scp.PONG: 7, scp.PING: 7, scp.ACK: 5}
    client.cache += b"hello\0"
    client.ended = True
    client.speak()
    return client.out.hex()


def decoded(frames):
    """What comes of frames after a resume at which twelve bytes are sent again; there is room for sixteen."""
    client = at_2_32()
    client.cache += b"twelve bytes"
    client.sent += 12
    scp.WINDOW = 16
    mac = scp.sign(client.key, f"resumed\n1\n200\n{NEAR_2_32}\n")
    _, said, end = served(client, f"{NEAR_2_32}\n200\n2 {NEAR_2_32} {mac}", frames)
    return {
        "buffer": client.buffer[:len(client.buffer) - client.peer_ended].decode(),
        "received": client.consumed + len(client.buffer) - NEAR_2_32,
        "acked": client.acked - NEAR_2_32,
        "unacked": client.cache.decode(),
        "said": said.hex(),
        "fin": client.peer_ended,
        "end": end,
    }


first, request, _ = begun()
json.dump({
    "request": request,
    "key": first.key.hex(),
    "refusals": [begun(answer)[2] for answer in vectors["bad_answers"]],
    "resumed": resumed(vectors["resumed"]["answer_content"]),
    "gone": resumed(vectors["gone"]["answer_content"]),
    "forged": [resumed(answer, index) for answer, index in vectors["forged"]],
    "encoded": encoded(),
    "decoded": [decoded(frames) for frames in vectors["streams"]],
}, ANSWER)
ANSWER.flush()
