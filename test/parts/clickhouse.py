"""ClickHouse's own engine (chdb) behind as much of its HTTP interface as the official clients for Node and Go need.

Usage: clickhouse.py PORT DIRECTORY. One request after the other, as the engine takes them. The collector's client (Go)
speaks Native: it inserts blocks of revision 0, as the engine reads them, and expects answers of the revision that its
first question is answered with, which differ by what stands before a block.
"""
import re
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from chdb import session as sessions

session = sessions.Session(sys.argv[2])
turn = threading.Lock()

hello = "SELECT displayName(), version(), revision(), timezone()"
# The last one whose blocks have no mark of serialization behind the type of a column.
revision = 54453
block_info = b"\x01\x00\x02\xff\xff\xff\xff\x00"


def text_of(value):
    encoded = value.encode()
    return bytes([len(encoded)]) + encoded


def hello_block():
    """The answer to the first question: the client decodes it as the newest revision, with that mark."""
    version = session.query("select version()", "TabSeparated").bytes().decode().strip()
    texts = [("displayName()", "chdb"), ("version()", version), ("timezone()", "UTC")]
    columns = [text_of(name) + text_of("String") + b"\x00" + text_of(value) for name, value in texts]
    columns.insert(2, text_of("revision()") + text_of("UInt32") + b"\x00" + revision.to_bytes(4, "little"))
    return block_info + bytes([len(columns), 1]) + b"".join(columns)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_GET(self):
        if urlsplit(self.path).path == "/ping":
            return self.answer(200, b"Ok.\n")
        self.run(b"")

    def do_POST(self):
        self.run(self.read_body())

    def read_body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        chunks = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def run(self, body):
        given = parse_qs(urlsplit(self.path).query)
        with turn:
            self.answer(*self.execute(given, body))

    def execute(self, given, body):
        try:
            for name, (value, *_) in given.items():
                if name.startswith("param_"):
                    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
                    session.query(f"set {name} = '{escaped}'")
            query = given.get("query", [""])[0]
            form = given.get("default_format", ["TabSeparated"])[0]
            insert = re.fullmatch(r"(insert into .+?)\s+format native\s*", query, re.IGNORECASE | re.DOTALL)
            if insert:
                return 200, self.insert_native(insert[1], body)
            text = f"{query}\n{body.decode()}" if query else body.decode()
            if form == "Native" and text.strip() == hello:
                return 200, hello_block()
            found = session.query(text, form).bytes()
            return 200, block_info + found if form == "Native" and found else found
        except Exception as error:
            text = str(error)
            code = re.search(r"Code: (\d+)", text)
            return 500, text.encode(), {"X-ClickHouse-Exception-Code": code[1] if code else "1002"}

    def insert_native(self, into, body):
        with tempfile.NamedTemporaryFile(dir=sys.argv[2]) as file:
            file.write(body)
            file.flush()
            return session.query(f"{into} select * from file('{file.name}', 'Native')").bytes()

    def answer(self, status, body, headers={}):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
