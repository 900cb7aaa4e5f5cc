# come.py PORT [socks]: clients of a relay: several at a time, small and large talks.
import random, socket, struct, sys, threading, time

time.sleep(2)
port = int(sys.argv[1])
socks = 'socks' in sys.argv
r = random.Random()
pace = r.choice((0.005, 0.03, 0.2))


def come():
    while True:
        try:
            c = socket.create_connection(('127.0.0.1', port), 5)
            c.settimeout(5)
            if socks:
                c.sendall(b'\x05\x01\x00')
                c.recv(2)
                c.sendall(
                    b'\x05\x01\x00\x01' + socket.inet_aton('10.9.0.1') + struct.pack('>H', 8444)
                )
                c.recv(10)
            for _ in range(r.randrange(5, 60)):
                c.sendall(b'x' * r.choice((40, 700, 5000, 30000)))
                c.recv(65536)
                time.sleep(pace * r.random())
            c.close()
        except OSError:
            time.sleep(0.3)
        time.sleep(r.random())


for _ in range(r.choice((1, 2, 4))):
    threading.Thread(target=come, daemon=True).start()
while True:
    time.sleep(60)
