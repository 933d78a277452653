#!/usr/bin/env python3
"""Verifies audit trails in NDJSON: docs/formats.md, sections 1 to 3. Needs Python 3.9 and the openssl command alone.
Ends with 0 (verified), 1 (findings) or 2 (nothing to verify)."""

import argparse, base64, fileinput, functools, gzip, hashlib, json, pathlib, re, subprocess, sys, tempfile

def digest(*parts):
    return hashlib.sha256(b"".join(parts)).digest()

def append(tree, size, leaf):
    """Adds a leaf to a tree of this size, kept as the roots of its perfect subtrees, the largest first."""
    tree.append(leaf)
    while size % 2:
        tree[-2:], size = [digest(b"\1", *tree[-2:])], size // 2

def root_of(tree):
    return functools.reduce(lambda right, left: digest(b"\1", left, right), reversed(tree)) if tree else None

def parse_key(text):  # NAME+ID+BASE64
    name, key_id, encoded = text.split("+", 2)
    raw = base64.b64decode(encoded, validate=True)
    if len(raw) != 33 or raw[0] != 1 or digest(name.encode(), b"\n", raw)[:4].hex() != key_id:
        raise ValueError(f"{text} is no verifier key")
    return name, key_id, bytes.fromhex("302a300506032b6570032100") + raw[1:]

def has_signed(der, text, signature):
    with tempfile.TemporaryDirectory() as folder:
        for name, content in (("key", der), ("text", text.encode()), ("signature", signature)):
            pathlib.Path(folder, name).write_bytes(content)
        command = "openssl pkeyutl -verify -pubin -keyform DER -inkey key -rawin -in text -sigfile signature"
        return subprocess.run(command.split(), cwd=folder, capture_output=True).returncode == 0

def open_note(note, stream, keys):
    """Size and root of a checkpoint of this stream that a key has signed; else ValueError(verdict, reason)."""
    text, signatures = note[: note.rfind("\n\n") + 1], note[note.rfind("\n\n") + 2 :]
    head = re.fullmatch(r"([^\n]+)/([^/\n]+)\n(0|[1-9][0-9]{0,15})\n([A-Za-z0-9+/]{43}=)\n", text)
    lines = re.findall(r"^— ([^ \n]+) ([A-Za-z0-9+/]+=*)\n", signatures, re.M)
    if not head or signatures.count("\n") != len(lines) or len(lines) > 100 or re.search(r"[\0-\t\v-\x1f]", note):
        raise ValueError("BAD_SIGNATURE", "the note is malformed")
    is_trusted = False
    for name, signature in ((name, base64.b64decode(encoded)) for name, encoded in lines):
        for der in (der for known, key_id, der in keys if (known, key_id) == (name, signature[:4].hex())):
            if not has_signed(der, text, signature[4:]):
                raise ValueError("BAD_SIGNATURE", f"{name} has not signed it")
            is_trusted = is_trusted or name == head[1]
    if head[2] != stream or not is_trusted:
        verdict = "BAD_SIGNATURE" if head[2] == stream else "WRONG_ORIGIN"
        raise ValueError(verdict, f"no key that you gave has signed it for {head[1]}/{stream}")
    return int(head[3]), base64.b64decode(head[4])

class Trail:
    def __init__(self, keys, is_partial=False):
        self.keys, self.is_partial, self.streams, self.found = keys, is_partial, {}, set()

    def say(self, verdict, where, detail):
        print(f"{verdict} {where}: {detail}")
        self.found.add(verdict)

    def take(self, line, where):
        try:
            members = json.loads(line)
            name, sequence, leaf = members["stream"], members["seq"], digest(b"\0", line.removesuffix(b"\n"))
            if type(name) is not str or type(sequence) is not int or sequence < 1:
                raise ValueError("no stream, or no sequence")
        except (ValueError, KeyError, TypeError, RecursionError):
            return self.say("INSERTED" if line.endswith(b"\n") else "UNREADABLE", where, "this is no record")
        records, controls = self.streams.setdefault(name, ({}, []))
        if sequence in records:
            same = records[sequence][0] == leaf
            return self.say("DUPLICATE_DELIVERY" if same else "FORKED", f"{name} {sequence}", f"once more in {where}")
        if sequence < (before := next(reversed(records), 0)):
            self.say("REORDERED", f"{name} {sequence} and {before}", f"in this order, at {where}")
        records[sequence] = leaf, members.get("prev")
        if isinstance(members.get("details"), dict) and str(members.get("event_type")).startswith("audit."):
            controls.append((sequence, members["event_type"], members["details"]))

    def judge(self):
        for name, (records, controls) in self.streams.items():
            self.judge_links(name, records)
            self.judge_checkpoints(name, records, controls)
            for _, kind, details in controls:
                if kind == "audit.stream.opened" and "predecessor" in details:
                    self.join(name, details["predecessor"], details.get("ahead", {}))

    def judge_links(self, name, records):
        last = 0
        for sequence, (_, named) in sorted(records.items()):
            if sequence > last + 1 and not (last == 0 and self.is_partial):
                self.say("MISSING", f"{name} {last + 1} to {sequence - 1}", "not in this copy")
            if sequence == last + 1 and named != (records[last][0].hex() if last else None):
                self.say("LINK_BROKEN", f"{name} {last} and {sequence}", f"{sequence} names another hash, {named}")
            last = sequence

    def judge_checkpoints(self, name, records, controls):
        """How far signatures reach. Behind each checkpoint the tree is the signed one, so that damage is named once."""
        tree, grown, covered, is_proven = [], 0, 0, False
        notes = {sequence: details for sequence, kind, details in controls if kind == "audit.checkpoint"}
        for sequence, details in sorted(notes.items()):
            try:
                size, root = open_note(details["note"], name, self.keys)
                signed = [base64.b64decode(text) for text in details["frontier"]]
                if size >= sequence or len(signed) != bin(size).count("1") or root_of(signed) != root:
                    raise ValueError("BAD_SIGNATURE", "its frontier does not fold to the signed root")
            except (KeyError, TypeError, ValueError) as problem:
                verdict, why = problem.args if len(problem.args) == 2 else ("BAD_SIGNATURE", "it is malformed")
                self.say(verdict, f"{name} {sequence}", f"the checkpoint proves nothing: {why}")
                continue
            if size <= covered:  # a replay covers nothing
                continue
            while grown < size and grown + 1 in records:
                append(tree, grown, records[grown + 1][0])
                grown += 1
            if grown == size and root_of(tree) != root:
                self.say("CONTENT_TAMPERED", f"{name} {covered + 1} to {size}", "not the records that were signed")
            is_proven, tree, grown, covered = is_proven or grown == size, signed, size, size
        last = max(records)
        if not is_proven:
            self.say("UNANCHORED", name, "no signed checkpoint proves any of it")
        elif last > covered + 1 or last == covered + 1 and last not in notes:
            self.say("OPEN_TAIL", f"{name} {covered + 1} to {last}", "linked, but not signed yet")

    def join(self, name, named, ahead):
        """A stream names the end of the one before it, and what a destination held of that, if something else."""
        for end in (named, {**named, **ahead}):
            records, _ = self.streams.get(end["stream"], ({}, []))
            if end["seq"] in records and records[end["seq"]][0].hex() == end["hash"]:
                return
        if records or not self.is_partial:
            verdict = "FORKED" if end["seq"] in records else "TRUNCATED" if records else "STREAM_MISSING"
            self.say(verdict, f"{end['stream']} {end['seq']}", f"{name} continues it from there")

def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("trail", nargs="+", help="NDJSON files, the oldest first; - for standard input")
    arguments.add_argument("--vkey", required=True, type=argparse.FileType(), help="verifier keys, one a line")
    arguments.add_argument("--allow-partial", action="store_true", help="the copy is known to begin later")
    given = arguments.parse_args()
    trail = Trail([parse_key(key) for key in re.findall(r"^[^#\s]\S*", given.vkey.read(), re.M)], given.allow_partial)
    lines = fileinput.input(given.trail, mode="rb", openhook=lambda at, m: {".gz": gzip.open}.get(at[-3:], open)(at, m))
    for line in lines:
        trail.take(line, f"{lines.filename()}, line {lines.filelineno()}")
    trail.judge()
    damage = trail.found - {"DUPLICATE_DELIVERY", "OPEN_TAIL"}
    count = sum(len(records) for records, _ in trail.streams.values())
    verdict = " ".join(sorted(damage)) or max(trail.found, default="INTACT")
    print(f"{verdict if count else 'NO_RECORDS'}: {count} records in {len(trail.streams)} streams")
    return 2 if damage == {"UNREADABLE"} or not count else 1 if damage else 0

if __name__ == "__main__":
    sys.exit(main())
