#!/usr/bin/env python3
"""Checks a bundle of otel-audit evidence: that each record stands, as it is here, in a tree that your keys have signed.
Needs verify.py beside it. Ends with 0 (proven), 1 (findings) or 2 (nothing to check)."""

import argparse, base64, functools, json, pathlib, re, sys
import verify

def root_from(leaf, index, size, path):
    """The root that a leaf and its path lead to (RFC 9162, section 2.1.3.2); None where the path does not fit."""
    last = size - 1
    for other in path:
        if last == 0 or len(other) != 32:
            return None
        if index % 2 or index == last:
            leaf = verify.digest(b"\1", other, leaf)
            while index % 2 == 0 and index:
                index, last = index // 2, last // 2
        else:
            leaf = verify.digest(b"\1", leaf, other)
        index, last = index // 2, last // 2
    return leaf if last == 0 else None

def check(line, proof, open_note):
    """What is wrong with a record and its proof; None when it is proven."""
    members = json.loads(line)
    head, _, note = proof.partition("\n\n")
    form = r"c2sp\.org/tlog-proof@v1\n(?:extra \S+\n)?index (0|[1-9][0-9]{0,15})((?:\n[A-Za-z0-9+/]{43}=)*)"
    parsed = re.fullmatch(form, head)
    if not parsed or int(parsed[1]) != members["seq"] - 1:
        return "the proof is not one of this record"
    try:
        size, root = open_note(note, members["stream"])
    except ValueError as problem:
        return f"the checkpoint proves nothing: {problem.args[-1]}"
    path = [base64.b64decode(each) for each in parsed[2].split()]
    if int(parsed[1]) >= size or root_from(verify.digest(b"\0", line), int(parsed[1]), size, path) != root:
        return "the record and its path do not lead to the signed root"

def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("folder", nargs="?", default=".", help="where the bundle was unpacked")
    arguments.add_argument("--vkey", required=True, type=argparse.FileType(), help="verifier keys, one a line")
    given = arguments.parse_args()
    keys = [verify.parse_key(key) for key in re.findall(r"^[^#\s]\S*", given.vkey.read(), re.M)]
    open_note = functools.lru_cache(None)(lambda note, stream: verify.open_note(note, stream, keys))
    streams, findings, proven = {}, 0, set()
    records = pathlib.Path(given.folder, "records.ndjson").read_bytes().split(b"\n")[:-1]
    for number, line in enumerate(records, 1):
        try:
            members = json.loads(line)
            stream, sequence = re.fullmatch(r"[0-9a-f-]{36}", members["stream"])[0], int(members["seq"])
            file = pathlib.Path(given.folder, "proofs", stream, f"{sequence}.tlog-proof")
            problem = check(line, file.read_bytes().decode(), open_note) if file.exists() else "there is no proof of it"
            streams.setdefault(stream, []).append(sequence)
            proven.add(file)
        except (ValueError, KeyError, TypeError):
            problem = "this is no record"
        if problem:
            findings += 1
            print(f"records.ndjson, line {number}: {problem}")
    for file in sorted(set(pathlib.Path(given.folder, "proofs").glob("*/*")) - proven):
        findings += 1
        print(f"{file}: the record of this proof is not here")
    for stream, numbers in sorted(streams.items()):
        is_whole = sorted(numbers) == list(range(min(numbers), max(numbers) + 1))
        what = "no number is missing" if is_whole else "a selection"
        print(f"stream {stream}: {len(numbers)} records, {min(numbers)} to {max(numbers)}, {what}")
    print("NO_RECORDS" if not streams else "NOT_PROVEN" if findings else "PROVEN")
    return 2 if not streams else 1 if findings else 0

if __name__ == "__main__":
    sys.exit(main())
