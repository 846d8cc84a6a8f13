"""Verifies that a line stands in an audit log, without raito and without the log.

usage: verify_proof.py PROOF KEY
PROOF is a file with what `raito audit prove --seq` printed (c2sp.org/tlog-proof), KEY what `raito audit key` printed."""
import base64, pathlib, sys

from verify_audit import NOTE, sha256, signed

def check(head, size, root):
    """Follows the proof from the leaf to the root (RFC 9162, section 2.1.3.2)."""
    form, extra, index, *path = head.splitlines()
    line, index = base64.b64decode(extra.removeprefix("extra ")), int(index.removeprefix("index "))
    if form != "c2sp.org/tlog-proof@v1" or not 0 <= index < size:
        sys.exit("this proves no line that the checkpoint covers")
    node, at, last = sha256(b"\0", line), index, size - 1
    for beside in map(base64.b64decode, path):
        if last == 0:
            sys.exit("the proof goes on behind the root")
        right = at % 2 == 1 or at == last
        while right and at % 2 == 0 and at > 0:
            at, last = at >> 1, last >> 1
        node = sha256(b"\1", beside, node) if right else sha256(b"\1", node, beside)
        at, last = at >> 1, last >> 1
    if node != root or last != 0:
        sys.exit("the proof does not lead to the checkpoint")
    print(f"line {index + 1} of {size}: {line.decode()}")

head, note = pathlib.Path(sys.argv[1]).read_text().split("\n\n", 1)
check(head, *signed(NOTE.fullmatch(note).groups(), sys.argv[2]))
