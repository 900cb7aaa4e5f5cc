# sink.py PORT: takes whatever comes; answers HTTP, if it is that, with 200; counts nothing.
import socket, sys, threading

s = socket.socket()
s.setsockopt(1, 2, 1)
s.bind(('0.0.0.0', int(sys.argv[1])))
s.listen(50)


def serve(c):
    try:
        b = c.recv(65536)
        if b[:4] in (b'POST', b'PUT ', b'GET '):
            n = 0
            h, _, rest = b.partition(b'\r\n\r\n')
            if b'100-continue' in h:
                c.sendall(b'HTTP/1.1 100 Continue\r\n\r\n')
            for l in h.split(b'\r\n'):
                if l.lower().startswith(b'content-length:'):
                    n = int(l.split(b':')[1])
            n -= len(rest)
            while n > 0 and (b := c.recv(65536)):
                n -= len(b)
            c.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok')
            c.close()
            return
        while c.recv(65536):
            pass
    except (OSError, ValueError):
        pass
    c.close()


while True:
    threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()
