#!/usr/bin/env python3
"""Makes the spools of this folder from the text of docs/formats.md section 5. Shares no code with otel-audit.

    python3 make.py DIRECTORY          writes spools/, expected/ and expected.json there
    python3 make.py --example          prints the worked example of docs/formats.md as JSON

The files beside this program are frozen: they were made by it once and checked by hand against the tables. No test
runs it. To check it, run it into an empty directory and compare with `diff -r`.
"""

import hashlib
import json
import os
import struct
import sys
import uuid
import zlib

VERSION = 1
SPOOL_ID = "0b7a54d2-93f6-4e1b-8c05-71d6a2e84f90"
STREAM = "6f1c2b7e-0d3a-4c58-9a41-5be2d07c9f13"
SECOND = "a3d90f16-54c2-4f7e-8b1d-e20c6d7b4a85"
BOOT = "7f0f9dd0-2c1f-4c0e-9d6f-0a3c5d1e2b48"
START_MS = 1767323045000  # 2026-01-02T03:04:05Z
HEADER = 4096


def crc(data):
    return zlib.crc32(data) & 0xFFFFFFFF


def leaf_hash(record):
    return hashlib.sha256(b"\0" + record).digest()


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def frontier_of(leaves):
    """Roots of the perfect subtrees, largest first."""
    roots, start, rest = [], 0, len(leaves)
    while rest:
        size = 1 << (rest.bit_length() - 1)
        level = leaves[start : start + size]
        while len(level) > 1:
            level = [hashlib.sha256(b"\1" + a + b).digest() for a, b in zip(level[::2], level[1::2])]
        roots.append(level[0])
        start, rest = start + size, rest - size
    return roots


def segment_header(segment):
    head = b"OAUDSEG\xff" + struct.pack("<HHI", segment.version, 1, 2 if segment.explicit else 1)
    head += uuid.UUID(SPOOL_ID).bytes + uuid.UUID(segment.stream).bytes
    head += struct.pack("<IIII", segment.number, segment.salt, segment.epoch, segment.previous)
    head += struct.pack("<QQQ", segment.base, segment.previous_length, segment.published_length)
    head += segment.previous_hash + struct.pack("<Q", segment.created_ms)
    head = head.ljust(508, b"\0")
    return head + struct.pack("<I", crc(head))


def frontier_block(base, previous_hash, roots, link, written_ms):
    block = b"FRON\0\0\0\0" + struct.pack("<Q", base) + previous_hash
    block += struct.pack("<IIQ", len(roots), link, written_ms) + b"".join(roots)
    return block + struct.pack("<I", crc(block))


def frame(salt, number, sequence, record, link, known, flags=0, attachment=b""):
    """The bytes of a frame, and the CRC of its header."""
    body = record + attachment
    body += b"\0" * (-(56 + len(body) + 1) % 8) + b"\xa5"
    head = b"\xffFR\xa5" + struct.pack("<HHII", 56, flags, salt, number) + struct.pack("<Q", sequence)
    head += struct.pack("<III", len(record), len(attachment), link) + struct.pack("<II", *known)
    head += struct.pack("<II", crc(body), 0)
    return head + struct.pack("<I", crc(head)) + body, crc(head)


def slot(generation, members, version=VERSION):
    text = json.dumps(members, separators=(",", ":")).encode()
    data = b"OAUDSLOT" + struct.pack("<HHI", version, 0, len(text)) + struct.pack("<Q", generation) + text
    data = data.ljust(4092, b"\0")
    return data + struct.pack("<I", crc(data))


class Segment:
    """One file. `spool` gives chain, tree and the link to the frame before."""

    def __init__(self, spool, number, previous=0, explicit=False, previous_length=0, carried=(), salt=None):
        self.spool, self.number, self.previous, self.explicit = spool, number, previous, explicit
        self.version, self.stream, self.epoch = VERSION, spool.stream, spool.epoch
        self.salt = salt if salt is not None else 0x1D2C3B00 + number
        self.created_ms = START_MS + 1000 * number
        self.base = spool.next_sequence if explicit else 0
        self.previous_length = previous_length
        self.previous_hash = spool.hash if explicit else bytes(32)
        load = sum(len(frame(0, 0, 0, record, 0, (0, 0))[0]) for record in carried)
        self.published_length = HEADER + load if explicit else 0
        self.data = bytearray(segment_header(self))
        if explicit:
            spool.link = struct.unpack("<I", self.data[508:512])[0]
        block = frontier_block(
            spool.next_sequence, spool.hash, frontier_of(spool.leaves), spool.link, self.created_ms + 500
        )
        self.data = bytearray((self.data + block).ljust(HEADER, b"\0"))
        self.frames = 0
        for record in carried:
            self.append(record)
        spool.files[f"seg-{number:08d}.wal"] = self.data

    def append(self, record, flags=0, attachment=b""):
        spool = self.spool
        self.frames += 1
        data, link = frame(
            self.salt, self.frames, spool.next_sequence, record, spool.link, spool.durable[:2], flags, attachment
        )
        at = len(self.data)
        self.data += data
        spool.took(record, link)
        return at

    def event(self, action="invoice.delete", flags=0, attachment=b"", **members):
        return self.append(self.spool.seal(action, **members), flags, attachment)

    def sync(self):
        """Everything so far is durable; the next frame starts in a new sector."""
        self.spool.durable = (self.number, len(self.data), self.spool.next_sequence)

    def sector(self):
        self.data += b"\0" * (-len(self.data) % 512)


class Spool:
    def __init__(self, about):
        self.about, self.files, self.epoch = about, {}, 1
        self.all, self.facts = [], {}
        self.durable = (0, 0, 1)
        self.start(STREAM)

    def start(self, stream):
        self.stream, self.next_sequence, self.hash, self.leaves, self.recorded = stream, 1, bytes(32), [], None

    def seal(self, action="invoice.delete", **members):
        self.recorded = f"2026-01-02T03:04:{5 + self.next_sequence:02d}.000000000Z"
        record = {
            "action": action, "epoch": self.epoch, "event_type": action if action.startswith("audit.") else "audit",
            "id": f"019b7ca9-8c88-7000-8000-{(len(self.all) + 1):012d}", "recorded": self.recorded, "schema": "1",
            "seq": self.next_sequence, "service": "invoicing", "stream": self.stream, "timestamp": self.recorded,
            "v": "1", **members,
        }
        if self.next_sequence > 1:
            record["prev"] = self.hash.hex()
        return canonical(record)

    def took(self, record, link):
        self.link, self.hash = link, leaf_hash(record)
        self.leaves.append(self.hash)
        self.next_sequence += 1
        self.all.append(record)

    def mark(self):
        return self.link, self.hash, self.leaves[:], self.next_sequence, self.recorded, len(self.all)

    def back_to(self, mark):
        """Takes back what was sealed since, and returns it."""
        self.link, self.hash, self.leaves, self.next_sequence, self.recorded, count = mark
        taken, self.all = self.all[count:], self.all[:count]
        return taken

    def watermark(self, segment):
        members = {
            "segment": segment.number, "offset": len(segment.data), "frameNumber": segment.frames,
            "frameCrc": self.link, "nextSequence": self.next_sequence,
        }
        if self.next_sequence > 1:
            members.update(hash=self.hash.hex(), recorded=self.recorded)
        return members

    def control(self, watermark, clean=False, first=1, published=None, **members):
        state = {
            "spoolId": SPOOL_ID, "deployment": "prod", "stream": self.stream, "epoch": self.epoch, "bootId": BOOT,
            "firstSegment": first, "clean": clean, "watermark": watermark, **members,
        }
        old = {**state, "clean": False}
        position = published or self.durable
        told = dict(zip(("segment", "offset", "nextSequence"), position), epoch=self.epoch)
        self.files["control"] = bytearray(slot(4, old) + slot(5, state) + slot(5, told))
        self.expect(durable=dict(zip(("segment", "offset", "nextSequence"), position)))

    def cursor(self, name, **members):
        self.files[f"cursor-{name}"] = bytearray(slot(2, members) + slot(1, {}))

    def flip(self, name, at, bit=0x04):
        self.files[name][at] ^= bit

    def expect(self, **facts):
        self.facts.update(facts)


spools = {}


def vector(make):
    spool = Spool(make.__doc__)
    make(spool)
    spools[make.__name__.replace("_", "-")] = spool
    return make


def whole(spool, tail=0, torn=0, **more):
    """Everything durable is read; `tail` more records stand above it; a start finds no damage."""
    carried = more.pop("carried", tail)
    spool.expect(readable=len(spool.all) - tail, inspect={"carried": carried, "tornBytes": torn}, **more)


def damaged(spool, sequence, readable, reader=None, inspect=None):
    """The record of this sequence is lost. A reader gives what stands before it, then refuses with `reader`; a start
    refuses with `inspect`, unless it has no reason to look there."""
    spool.all = [record for record in spool.all if json.loads(record)["seq"] != sequence]
    spool.expect(readable=readable, inspect=inspect or {"carried": 0, "tornBytes": 0})
    if reader:
        spool.expect(reader=reader)


def refused(spool, refusal):
    """Whoever opens it, for whatever, refuses."""
    spool.all = []
    spool.expect(refusal=refusal)


def corrupt(says):
    return {"error": "SPOOL_CORRUPT", "says": says}


def newer(says):
    return {"error": "SPOOL_VERSION", "says": says}


def first_segment(spool, events=3):
    one = Segment(spool, 1, explicit=True)
    one.event("audit.stream.opened", details={"deployment": "prod", "previous_end": "none"})
    for _ in range(events - 1):
        one.event()
    one.sync()
    return one


# Spools that a reader must accept


@vector
def empty(spool):
    """A spool that was created and then closed by nobody: no record yet."""
    one = Segment(spool, 1, explicit=True)
    one.sync()
    spool.control(spool.watermark(one))
    whole(spool)


@vector
def one_segment(spool):
    """One segment, closed."""
    one = first_segment(spool)
    spool.control(spool.watermark(one), clean=True)
    whole(spool)


@vector
def rolled(spool):
    """Two rolls: planned segments whose first frame links to the last before it; the third is still empty.

    The watermark lags behind; the published position is further."""
    one = first_segment(spool)
    mark = spool.watermark(one)
    two = Segment(spool, 2, previous=1)
    two.event()
    two.event()
    two.sync()
    Segment(spool, 3, previous=2)
    spool.control(mark)
    whole(spool, carried=2)


@vector
def sector_aligned(spool):
    """A sync after each group: the next frame starts at the next multiple of 512.

    The rest of a sector is once shorter than a frame header, and once nothing at all."""
    one = Segment(spool, 1, explicit=True)
    one.event("audit.stream.opened")
    one.sync()
    one.sector()
    for rest in (48, 0, 8, 200):
        bare = len(frame(0, 0, 0, spool.seal(reason=""), 0, (0, 0))[0])
        one.event(reason="x" * ((-rest - bare) % 512))
        assert -len(one.data) % 512 == rest, (rest, len(one.data))
        one.sync()
        one.sector()
    one.event()
    one.sync()
    spool.control(spool.watermark(one))
    whole(spool)


@vector
def failover(spool):
    """A sync of segment 1 failed: what it holds above its durable length is void, and so is segment 2, which went on
    from there. Segment 3 says where 1 ends and holds the same records again. The void frames are whole: only the
    explicit length tells."""
    one = first_segment(spool)
    durable, mark = len(one.data), spool.mark()
    one.sector()
    one.event()
    one.event()
    two = Segment(spool, 2, previous=1)
    two.event()
    again = spool.back_to(mark)
    three = Segment(spool, 3, previous=1, explicit=True, previous_length=durable)
    for record in again:
        three.append(record)
    three.event()
    three.sync()
    spool.control(spool.watermark(three))
    whole(spool)


@vector
def recovered(spool):
    """A crash, then an opening: segment 2 was published with two records that segment 1 holds above the watermark,
    and segment 1 ends at its durable length. Epoch 2."""
    one = first_segment(spool)
    durable, mark = len(one.data), spool.mark()
    one.sector()
    one.event()
    one.event()
    one.data += b"\xffFR\xa5 torn"
    carried = spool.back_to(mark)
    spool.epoch = 2
    two = Segment(spool, 2, previous=1, explicit=True, previous_length=durable, carried=carried)
    two.sync()
    two.sector()
    two.event("audit.stream.opened", details={"deployment": "prod", "previous_end": "crash"})
    two.sync()
    spool.control(spool.watermark(two))
    whole(spool)


@vector
def two_streams(spool):
    """After another boot a new stream begins: an empty explicit segment ends the old one, a further one begins at 1."""
    one = first_segment(spool)
    last = {"stream": STREAM, "sequence": 3, "hash": spool.hash.hex(), "reason": "boot"}
    spool.epoch = 2
    Segment(spool, 2, previous=1, explicit=True, previous_length=len(one.data))
    spool.start(SECOND)
    three = Segment(spool, 3, previous=2, explicit=True, previous_length=HEADER)
    three.event("audit.stream.opened", details={"deployment": "prod", "predecessor": {**last, "seq": 3}})
    three.event()
    three.sync()
    spool.control(spool.watermark(three), predecessor=last)
    whole(spool)


@vector
def stream_while_running(spool):
    """A new stream while the writer runs: a planned segment of another stream. It begins at 1, and its first frame
    links to the last frame of the old stream."""
    one = first_segment(spool)
    last = {"stream": STREAM, "sequence": 3, "hash": spool.hash.hex(), "reason": "clock"}
    spool.start(SECOND)
    two = Segment(spool, 2, previous=1)
    two.event("audit.stream.opened", details={"deployment": "prod", "predecessor": {**last, "seq": 3}})
    two.event()
    two.sync()
    spool.control(spool.watermark(two), predecessor=last)
    whole(spool)


@vector
def attachments(spool):
    """Disclosures beside two records, outside their hashes; one frame whose record and attachment fill it exactly."""
    one = first_segment(spool, 1)
    one.sector()
    one.event(flags=2, attachment=b'["WyJzYWx0Il0"]')
    bare = len(spool.seal())
    exact = b"y" * (-(56 + bare + 1) % 8 + 8)
    one.event(flags=2, attachment=exact)
    one.event()
    one.sync()
    spool.control(spool.watermark(one))
    whole(spool, attachments={"2": '["WyJzYWx0Il0"]', "3": exact.decode()})


@vector
def reclaimed(spool):
    """Segment 1 is delivered and gone. The first frame of segment 2 links to the CRC in its frontier block."""
    first_segment(spool)
    two = Segment(spool, 2, previous=1)
    two.event()
    two.event()
    two.sync()
    del spool.files["seg-00000001.wal"]
    spool.all = spool.all[3:]
    spool.control(spool.watermark(two), first=2)
    whole(spool)


@vector
def open_tail(spool):
    """Two records above the durable position: whole, but a reader beside a writer must not give them."""
    one = first_segment(spool)
    mark = spool.watermark(one)
    one.sector()
    one.event()
    one.event()
    spool.control(mark)
    whole(spool, tail=2)


@vector
def one_control_slot(spool):
    """The newer slot of control is damaged: the older one serves, from an older watermark."""
    one = first_segment(spool)
    mark = spool.watermark(one)
    one.sector()
    one.event()
    one.sync()
    spool.control(mark)
    spool.flip("control", 4096 + 100)
    whole(spool, carried=1)


@vector
def everything_else(spool):
    """Files that hold no records: a left-over `*.tmp`, ballast, locks, quarantine; cursors with and without a record;
    control with every member."""
    one = first_segment(spool)
    spool.cursor("otlp", confirmed={"stream": STREAM, "sequence": 2})
    spool.cursor("post%2Fgres%2A")
    for name in ("seg-00000002.wal.tmp", "ballast", "lock", "forward.lock", "quarantine/torn/seg-00000009.wal"):
        spool.files[name] = bytearray(b"not a segment\n")
    place = {"directory": "66305:1442", "control": "66305:1467", "machine": "8f1c3c8f0d5a4c0c9f0a"}
    fact = {"type": "audit.destination.dropped", "details": {"name": "old", "why": "gone"}}
    spool.control(spool.watermark(one), clean=True, place=place, destinations=["otlp", "post/gres*"], facts=[fact])
    told = dict(zip(("segment", "offset", "nextSequence"), spool.durable), epoch=1, state="ok")
    spool.files["control"][8192:] = slot(9, told)
    whole(spool, cursors={"otlp": {"confirmed": {"stream": STREAM, "sequence": 2}}, "post/gres*": {}})


# Torn: an append that a crash cut off. Never acknowledged, so no damage.


def torn(spool, cut):
    one = first_segment(spool)
    mark = spool.watermark(one)
    one.sector()
    one.event()
    cut(one)
    spool.all.pop()
    spool.control(mark)


def torn_bytes(spool):
    """From the durable position to the last byte that is not zero."""
    return len(bytes(spool.files["seg-00000001.wal"]).rstrip(b"\0")) - spool.durable[1]


@vector
def torn_without_last_byte(spool):
    """The last frame lacks only its last byte, 0xA5."""
    torn(spool, lambda one: one.data.pop())
    whole(spool, torn=torn_bytes(spool))


@vector
def torn_last_byte_zero(spool):
    """The file has its length, but the last frame's last byte is still zero. Its padding is zero too."""
    def cut(one):
        one.data[-1] = 0
    torn(spool, cut)
    whole(spool, torn=torn_bytes(spool), damaged=[4])


@vector
def torn_middle(spool):
    """The middle of the last frame never reached the disk: its header did, and its last byte did."""
    def cut(one):
        one.data[-200:-100] = bytes(100)
    torn(spool, cut)
    whole(spool, torn=torn_bytes(spool), damaged=[4])


# Spools that a reader must refuse


@vector
def flipped_durable(spool):
    """One bit of record 2, far below the watermark. A start does not read there; a reader does."""
    one = first_segment(spool, 2)
    spool.flip("seg-00000001.wal", len(one.data) - 100)
    one.event()
    one.sync()
    spool.control(spool.watermark(one))
    damaged(spool, 2, 1, corrupt("sequence 2 is damaged or missing"))
    spool.expect(damaged=[2])


@vector
def flipped_published(spool):
    """One bit of a frame above the watermark but below the published position."""
    one = first_segment(spool)
    mark = spool.watermark(one)
    one.sector()
    one.event()
    one.event()
    one.sync()
    spool.control(mark)
    spool.flip("seg-00000001.wal", len(one.data) - 100)
    damaged(spool, 5, 4, corrupt("sequence 5 is damaged or missing"), corrupt("synced frames are damaged or missing"))
    spool.expect(damaged=[5])


@vector
def flipped_known(spool):
    """One bit of a frame above everything that control knows; the frame behind it knows that it was synced."""
    one = first_segment(spool)
    mark, published = spool.watermark(one), spool.durable
    one.sector()
    at = one.event()
    one.sync()
    one.sector()
    one.event()
    spool.control(mark, published=published)
    spool.flip("seg-00000001.wal", at + 80)
    damaged(spool, 4, 3, None, corrupt("synced frames are damaged or missing"))
    spool.expect(damaged=[4])


@vector
def shorter_than_explicit(spool):
    """Segment 2 says where segment 1 durably ends; the last frame below that is gone."""
    one = Segment(spool, 1, explicit=True)
    one.event("audit.stream.opened")
    at = one.event()
    length = len(one.data)
    two = Segment(spool, 2, previous=1, explicit=True, previous_length=length)
    two.event()
    two.sync()
    spool.control(spool.watermark(two))
    del one.data[at:]
    damaged(spool, 2, 1, corrupt("sequence 2 is damaged or missing"))


@vector
def missing_segment(spool):
    """The middle one of three segments is gone."""
    first_segment(spool)
    two = Segment(spool, 2, previous=1)
    two.event()
    three = Segment(spool, 3, previous=2)
    three.event()
    three.sync()
    spool.control(spool.watermark(three))
    del spool.files["seg-00000002.wal"]
    refused(spool, corrupt("seg-00000002.wal: the file is missing"))


@vector
def header_damaged(spool):
    """One bit of the salt in a segment header."""
    one = first_segment(spool)
    spool.control(spool.watermark(one))
    spool.flip("seg-00000001.wal", 53)
    refused(spool, corrupt("header checksum does not match"))


@vector
def wrong_number(spool):
    """Segment 1 stands under the name of segment 2 as well."""
    one = first_segment(spool)
    spool.control({**spool.watermark(one), "segment": 2}, published=(2, len(one.data), 4))
    spool.files["seg-00000002.wal"] = bytearray(one.data)
    refused(spool, corrupt("header says segment 1"))


@vector
def control_both_slots_bad(spool):
    """Both slots of control are damaged."""
    one = first_segment(spool)
    spool.control(spool.watermark(one))
    spool.flip("control", 100)
    spool.flip("control", 4096 + 100)
    refused(spool, corrupt("control: both slots are damaged"))


@vector
def version_in_segment(spool):
    """A segment of format version 2. Everything behind its version may look different."""
    one = first_segment(spool)
    spool.control(spool.watermark(one))
    data = spool.files["seg-00000001.wal"]
    data[8:10] = struct.pack("<H", 2)
    data[508:512] = struct.pack("<I", crc(bytes(data[:508])))
    refused(spool, newer("format version 2"))


@vector
def version_in_control(spool):
    """A slot of control of format version 2, newer than one of version 1."""
    one = first_segment(spool)
    spool.control(spool.watermark(one))
    spool.files["control"][4096:8192] = slot(6, {"anything": "else"}, version=2)
    refused(spool, newer("format version 2"))


@vector
def version_in_cursor(spool):
    """A cursor of format version 2: without its meaning, records would be sent twice or never."""
    one = first_segment(spool)
    spool.cursor("otlp")
    spool.files["cursor-otlp"][0:4096] = slot(3, {"anything": "else"}, version=2)
    spool.control(spool.watermark(one))
    whole(spool, cursors={"otlp": newer("format version 2")})


def write(directory):
    expected = {}
    for name, spool in spools.items():
        for file, data in spool.files.items():
            path = os.path.join(directory, "spools", name, file)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as out:
                out.write(bytes(data))
        os.makedirs(os.path.join(directory, "expected"), exist_ok=True)
        with open(os.path.join(directory, "expected", f"{name}.ndjson"), "wb") as out:
            out.write(b"".join(record + b"\n" for record in spool.all))
        expected[name] = {"about": " ".join(spool.about.split()), **spool.facts}
    with open(os.path.join(directory, "expected.json"), "w") as out:
        json.dump(expected, out, indent=2)
        out.write("\n")


def example(record):
    """Section 7 of docs/formats.md: the first frame of a spool, and control after it was synced."""
    spool = Spool("")
    one = Segment(spool, 1, explicit=True, salt=0x1D2C3B4A)
    one.created_ms = START_MS
    head = segment_header(one)
    spool.link = struct.unpack("<I", head[508:])[0]
    block = frontier_block(1, bytes(32), [], spool.link, START_MS)
    data, link = frame(one.salt, 1, 1, record, spool.link, (1, HEADER))
    watermark = {
        "segment": 1, "offset": HEADER + len(data), "frameNumber": 1, "frameCrc": link, "nextSequence": 2,
        "hash": leaf_hash(record).hex(), "recorded": json.loads(record)["recorded"],
    }
    spool.next_sequence = 2
    spool.control(watermark)
    second = slot(2, {**json.loads(bytes(spool.files["control"][24:4092]).rstrip(b"\0"))})
    text_end = 24 + struct.unpack("<I", second[12:16])[0]
    control = {"start": second[:text_end].hex(), "zeros": 4092 - text_end, "crc": second[4092:].hex()}
    return {"segmentHeader": head.hex(), "frontierBlock": block.hex(), "frame": data.hex(), "controlSlot": control}


if __name__ == "__main__":
    if sys.argv[1:] == ["--example"]:
        trail = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../records/trail.ndjson")
        print(json.dumps(example(open(trail, "rb").read().split(b"\n")[0]), indent=2))
    else:
        write(sys.argv[1])
