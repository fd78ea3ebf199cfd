"""A decoding process whose service goes away ends without a word: a traceback would look like a bug."""

import socket

import pytest

from bonafide.decoders.frames import packed
from bonafide.decoders.worker import serve

HEADER = {"do": "none", "memory": 2**50}
STEP = packed(HEADER, 0)
FILE = packed(HEADER, 3) + b"abc"


@pytest.mark.parametrize("unread", [b"", b"a reply: the kernel then resets the connection"], ids=["read", "unread"])
@pytest.mark.parametrize(
    "sent", [STEP[:size] for size in range(len(STEP))] + [FILE[:size] for size in range(len(FILE))]
)
def test_a_message_that_breaks_off(sent: bytes, unread: bytes) -> None:
    ours, theirs = socket.socketpair()
    theirs.sendall(unread)
    ours.sendall(sent)
    ours.close()
    serve(theirs)
