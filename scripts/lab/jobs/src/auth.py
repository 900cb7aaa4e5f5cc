# auth.py KIND PORT: a server that refuses passwords: http (basic and forms), line (FTP, POP3 and redis-like).
import socket, sys, threading, time, random

kind, port = sys.argv[1], int(sys.argv[2])
s = socket.socket()
s.setsockopt(1, 2, 1)
s.bind(('0.0.0.0', port))
s.listen(50)


def serve(c):
    try:
        if kind == 'line':
            c.sendall(b'220 ready\r\n')
            for l in c.makefile('rb'):
                w = l.split()[:1]
                time.sleep(random.random() * 0.02)
                if w and w[0].upper() == b'QUIT':
                    break
                c.sendall(b'331 go on\r\n' if w and w[0].upper() == b'USER' else b'530 no\r\n')
        else:
            b = b''
            while True:
                while b'\r\n\r\n' not in b:
                    x = c.recv(65536)
                    if not x:
                        return
                    b += x
                h, _, b = b.partition(b'\r\n\r\n')
                n = 0
                for l in h.split(b'\r\n'):
                    if l.lower().startswith(b'content-length:'):
                        n = int(l.split(b':')[1])
                while len(b) < n:
                    b += c.recv(65536)
                b = b[n:]
                time.sleep(random.random() * 0.01)
                c.sendall(
                    b'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=x\r\nContent-Length: 14\r\n\r\nwrong password'
                )
    except OSError:
        pass
    finally:
        c.close()


while True:
    threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()
