# forking.py PORT DIR: a static file server that forks for each request
import functools, http.server, os, socketserver, sys


class Server(socketserver.ForkingMixIn, http.server.HTTPServer):
    allow_reuse_address = True


Server(
    ('0.0.0.0', int(sys.argv[1])),
    functools.partial(http.server.SimpleHTTPRequestHandler, directory=sys.argv[2]),
).serve_forever()
