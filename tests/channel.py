"""A real HTTP server on this machine that takes alerts, as Slack does."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Channel:
    """A webhook that keeps what it gets; `answers` are the statuses of the first requests, then 200."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.requests = 0
        self.answers: list[int] = []
        self.may_answer = threading.Event()
        self.may_answer.set()
        channel = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                document = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                channel.requests += 1
                channel.may_answer.wait(60)
                status = channel.answers.pop(0) if channel.answers else 200
                if status == 200:
                    channel.got.append(document)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/services/T00/B00/secret-part"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def texts(self, mark: str = "") -> list[str]:
        return [document["text"] for document in self.got if mark in document["text"]]

    def close(self) -> None:
        self.may_answer.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
