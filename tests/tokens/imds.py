"""A stand-in of the services that vouch for an Azure host, in a network namespace of its own.

Listens where it is told, answers with what stands in ANSWERS (one JSON array of [status, body]
each), the last one again and again, and prints the request lines and header fields that it saw.
With ARC it asks for the proof that Azure Arc's agent wants, in a file of this name.
"""

import http.server
import json
import os
import sys

answers = json.loads(os.environ["ANSWERS"])
arc = os.environ.get("ARC")


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        print(self.path, dict(self.headers.items()), file=sys.stderr, flush=True)
        if arc and self.headers.get("Authorization") != "Basic the-proof":
            self.send_response(401)
            self.send_header("WWW-Authenticate", "Basic realm=" + arc)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        status, body = answers.pop(0) if len(answers) > 1 else answers[0]
        body = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Handler)
print("ready", flush=True)
server.serve_forever()
