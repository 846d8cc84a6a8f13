"""Verifies an audit log without raito: only Python and openssl (3.0 or later) are needed.

usage: verify_audit.py LOG KEY ANCHOR...
LOG is log.jsonl, KEY what `raito audit key` printed, each ANCHOR a file with signed checkpoints that was kept elsewhere, or
SIZE:ROOT as a run printed it at its end, which needs no signature: who wrote it down knows where it is from.
The formats are those of RFC 6962, c2sp.org/signed-note and c2sp.org/tlog-checkpoint."""
import base64, hashlib, json, pathlib, re, subprocess, sys, tempfile

NOTE = re.compile(r"((.+)\n(\d+)\n(.+)\n(?:.+\n)*)\n((?:\u2014 .+\n)+)")

def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()

def signed(note, key):
    """Tree size and root hash of a checkpoint, after its signature was verified."""
    text, origin, size, root, signatures = note
    public = base64.b64decode(key.split("+", 2)[2])
    key_id = sha256(origin.encode(), b"\n", public)[:4]
    lines = [line.split(" ") for line in signatures.splitlines()]
    ours = [base64.b64decode(sig) for _, name, sig in lines if name == origin == key.split("+")[0]]
    ours = [sig[4:] for sig in ours if sig[:4] == key_id]
    with tempfile.TemporaryDirectory() as folder:
        files = [pathlib.Path(folder, name) for name in ("key", "text", "signature")]
        prefix = bytes.fromhex("302a300506032b6570032100")  # RFC 8410: SubjectPublicKeyInfo of Ed25519
        for file, data in zip(files, [prefix + public[1:], text.encode(), ours[0] if ours else b""]):
            file.write_bytes(data)
        command = "openssl pkeyutl -verify -pubin -keyform DER -rawin -inkey {} -in {} -sigfile {}"
        if subprocess.run(command.format(*files).split(), capture_output=True).returncode:
            sys.exit(f"the checkpoint of {size} lines is not signed by {key}")
    return int(size), base64.b64decode(root)

def check_log(lines, anchors):
    trees, prev = [], "0" * 64  # (leaves, root) of whole subtrees, the largest first
    for seq, line in enumerate(lines, 1):
        event = json.loads(line)
        if event["prev"] != prev or event["seq"] != seq:
            sys.exit(f"line {seq} does not follow the line before")
        prev, leaves, node = hashlib.sha256(line).hexdigest(), 1, sha256(b"\0", line)
        while trees and trees[-1][0] == leaves:
            leaves, node = 2 * leaves, sha256(b"\1", trees.pop()[1], node)
        trees.append((leaves, node))
        roots = [root for size, root in anchors if size == seq]
        for _, left in reversed(trees[:-1] if roots else []):
            node = sha256(b"\1", left, node)
        if any(root != node for root in roots):
            sys.exit(f"the first {seq} lines are not those that the anchor signs")
    most = max(size for size, _ in anchors)
    if most > len(lines):
        sys.exit(f"the log ends with line {len(lines)}, and an anchor has {most}: its end was cut off")
    print(f"{len(lines)} lines hang together; the first {most} are those that the anchor signs")

if __name__ == "__main__":
    log, key, anchors = pathlib.Path(sys.argv[1]), sys.argv[2], []
    for given in sys.argv[3:]:
        if root := re.fullmatch(r"(\d+):([A-Za-z0-9+/]{43}=)", given):
            anchors.append((int(root[1]), base64.b64decode(root[2])))
        else:
            anchors += [signed(note, key) for note in NOTE.findall(pathlib.Path(given).read_text() + "\n")]
    check_log(log.read_bytes().split(b"\n")[:-1], anchors or sys.exit("there is no anchor"))
