# orders.py PORT: hands out commands by HTTP, takes what they say.
import http.server, random, sys

SAY = [
    'id',
    'uname -a',
    'cat /etc/passwd',
    'ls -la /home',
    'ps aux',
    'df -h',
    'ss -an',
    'cat /etc/shadow',
    'env',
    'find /usr/bin -perm -4000',
    'true',
    'true',
    'ls -laR /var/www | head -99',
    'w',
]


class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(random.choice(SAY).encode())

    def do_POST(self):
        self.rfile.read(int(self.headers.get('content-length', 0)))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(('0.0.0.0', int(sys.argv[1])), H).serve_forever()
