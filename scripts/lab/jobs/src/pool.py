# pool.py PORT: a stratum-like pool: a job every few seconds, yes to everything.
import json, os, random, socket, sys, threading, time

s = socket.socket()
s.setsockopt(1, 2, 1)
s.bind(('0.0.0.0', int(sys.argv[1])))
s.listen(9)
pace = random.choice((2, 5, 12))


def serve(c):
    def answer():
        while c.recv(65536):
            c.sendall(b'{"id":1,"result":{"status":"OK"}}\n')

    threading.Thread(target=answer, daemon=True).start()
    while True:
        c.sendall(
            json.dumps(
                {'method': 'job', 'params': {'blob': os.urandom(76).hex(), 'target': 'b88d0600'}}
            ).encode()
            + b'\n'
        )
        time.sleep(random.expovariate(1 / pace))


while True:
    threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()
