"""ClickHouse's own engine (chdb) behind as much of its HTTP interface as the official client needs.

Usage: clickhouse.py PORT DIRECTORY. One request after the other, as the engine takes them.
"""
import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from chdb import session as sessions

session = sessions.Session(sys.argv[2])
turn = threading.Lock()


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
            text = f"{query}\n{body.decode()}" if query else body.decode()
            return 200, session.query(text, "TabSeparated").bytes()
        except Exception as error:
            text = str(error)
            code = re.search(r"Code: (\d+)", text)
            return 500, text.encode(), {"X-ClickHouse-Exception-Code": code[1] if code else "1002"}

    def answer(self, status, body, headers={}):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
