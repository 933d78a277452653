#!/usr/bin/env python3
"""Prints the records of a spool up to its durable position, one a line: section 5d of docs/formats.md, and nothing
else was known. `python3 read.py [--all] DIRECTORY`; --all goes on to what may never have been acknowledged. Ends with 0,
or with 2 and a line on standard error that begins with SPOOL_CORRUPT or SPOOL_VERSION."""

import json
import os
import re
import struct
import sys
import zlib

HEADER, SECTOR, SLOT, VERSION = 4096, 512, 4096, 1


class Refusal(Exception):
    """What must be said instead of reading on."""


def corrupt(where, what):
    return Refusal(f"SPOOL_CORRUPT {where}: {what}")


def contents(path):
    if not os.path.exists(path):
        raise corrupt(path, "the file is missing")
    with open(path, "rb") as file:
        return file.read()


def crc_at(data, at, start=0):
    return data[at : at + 4] == struct.pack("<I", zlib.crc32(data[start:at]))


def read_slot(path, index):
    data = contents(path)[index * SLOT : (index + 1) * SLOT]
    if len(data) < SLOT or data[:8] != b"OAUDSLOT" or not crc_at(data, SLOT - 4):
        return None
    version, _, length, generation = struct.unpack_from("<HHIQ", data, 8)
    if version > VERSION:
        raise Refusal(f"SPOOL_VERSION {path} has format version {version}")
    return generation, json.loads(data[24 : 24 + length])


def read_control(directory):
    """State, and durable position."""
    path = os.path.join(directory, "control")
    first, second, told = (read_slot(path, index) for index in range(3))
    if not first and not second:
        raise corrupt(path, "both slots are damaged")
    state = max(first or (-1,), second or (-1,), key=lambda slot: slot[0])[1]
    places = [state["watermark"]] + ([told[1]] if told else [])
    return state, max(places, key=lambda place: (place["segment"], place["offset"]))


class Segment:
    def __init__(self, directory, number):
        self.path = os.path.join(directory, f"seg-{number:08d}.wal")
        self.data = contents(self.path)
        head = self.data[:SECTOR]
        if len(head) < SECTOR or head[:8] != b"OAUDSEG\xff":
            raise corrupt(self.path, "no segment header")
        version, _, kind = struct.unpack_from("<HHI", head, 8)
        if version > VERSION:
            raise Refusal(f"SPOOL_VERSION {self.path} has format version {version}")
        if not crc_at(head, 508):
            raise corrupt(self.path, "header CRC")
        self.explicit, self.stream = kind == 2, head[32:48]
        self.number, self.salt, _, self.previous = struct.unpack_from("<IIII", head, 48)
        self.base, self.previous_end, _ = struct.unpack_from("<QQQ", head, 64)
        self.header_crc = struct.unpack_from("<I", head, 508)[0]
        if self.number != number:
            raise corrupt(self.path, "header has another number")

    def block(self):
        """Base and link of the second header block."""
        block = self.data[SECTOR:HEADER]
        end = 64 + 32 * struct.unpack_from("<I", block, 48)[0]
        if block[:4] != b"FRON" or not crc_at(block, end):
            raise corrupt(self.path, "second header block")
        return struct.unpack_from("<Q", block, 8)[0], struct.unpack_from("<I", block, 52)[0]

    def frame(self, at, number, link, end):
        """Sequence, record, link of the next frame and offset behind it; None where no frame is."""
        data = self.data
        if at + 56 > min(end, len(data)) or data[at : at + 4] != b"\xffFR\xa5" or not crc_at(data, at + 52, at):
            return None
        salt, own_number, sequence, record, attachment, previous = struct.unpack_from("<IIQIII", data, at + 8)
        behind = at + (56 + record + attachment + 1 + 7) // 8 * 8
        if (salt, own_number, previous) != (self.salt, number, link) or behind > min(end, len(data)):
            return None
        body, (body_crc, _, header_crc) = data[at + 56 : behind], struct.unpack_from("<III", data, at + 44)
        if body[-1] != 0xA5 or zlib.crc32(body) != body_crc:
            return None
        return sequence, body[:record], header_crc, behind


def read_path(directory, first, last):
    path = []
    while last >= first and last > 0:
        path.insert(0, Segment(directory, last))
        last = path[0].previous
    return path


def read(directory, everything):
    state, durable = read_control(directory)
    numbers = re.findall(r"^seg-(\d{8})\.wal$", "\n".join(os.listdir(directory)), re.M)
    path = read_path(directory, state["firstSegment"], max(map(int, numbers), default=0))
    if durable["segment"] not in [segment.number for segment in path]:
        raise corrupt(directory, "the segment of the durable position is void or missing")
    link = sequence = stream = None
    for at, segment in enumerate(path):
        if segment.explicit:
            link, sequence = segment.header_crc, segment.base
        elif stream is None:
            sequence, link = segment.block()
        elif segment.stream != stream:
            sequence = 1
        stream = segment.stream
        stated = next((after.previous_end for after in path[at + 1 : at + 2] if after.explicit), None)
        is_last = segment.number == durable["segment"]
        end = len(segment.data) if stated is None else stated
        offset, number = HEADER, 1
        while not (is_last and offset >= durable["offset"] and not everything):
            sector = -(-offset // SECTOR) * SECTOR
            found = segment.frame(offset, number, link, end) or segment.frame(sector, number, link, end)
            if not found:
                break
            if found[0] != sequence:
                raise corrupt(segment.path, f"sequence {found[0]} where {sequence} comes")
            number, sequence = number + 1, sequence + 1
            _, record, link, offset = found
            yield record
        reached = stated if stated is not None else durable["offset"] if is_last else offset
        if offset < reached:
            raise corrupt(segment.path, f"sequence {sequence} is damaged or missing at {offset}")
        if is_last and not everything:
            return


if __name__ == "__main__":
    try:
        for record in read(sys.argv[-1], "--all" in sys.argv):
            sys.stdout.buffer.write(record + b"\n")
    except Refusal as refusal:
        print(refusal, file=sys.stderr)
        sys.exit(2)
