# echo.py PORT: says back what it hears.
import socket, sys, threading

s = socket.socket()
s.setsockopt(1, 2, 1)
s.bind(('0.0.0.0', int(sys.argv[1])))
s.listen(50)


def back(c):
    try:
        while b := c.recv(65536):
            c.sendall(b)
    except OSError:
        pass
    c.close()


while True:
    threading.Thread(target=back, args=(s.accept()[0],), daemon=True).start()
