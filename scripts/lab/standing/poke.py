#!/usr/bin/python3
"""A host's visitors: run in its network namespace, outside of its processes. Finds what listens and talks to it, seldom and in turn.

poke.py SEED: knows a few protocols by port and asks everything else by HTTP, then by a line. What it gets is thrown away.
"""
import random, re, socket, sys, time

r = random.Random(int(sys.argv[1]))
SAY = {
    6379: b'SET k v\r\nGET k\r\nLPUSH l 1\r\nLRANGE l 0 9\r\nINCR n\r\n',
    11211: b'set k 0 60 3\r\nabc\r\nget k\r\n',
    25: b'EHLO x\r\nMAIL FROM:<a@example.test>\r\nRCPT TO:<root@localhost>\r\nDATA\r\nSubject: x\r\n\r\nhello\r\n.\r\nQUIT\r\n',
    4222: b'CONNECT {"verbose":false}\r\nPUB a 5\r\nhello\r\nPING\r\n',
    11300: b'put 1 0 9 5\r\nhello\r\nstats\r\n',
    1883: b'\x10\x0f\x00\x04MQTT\x04\x02\x00\x3c\x00\x03abc\x30\x06\x00\x01ahey',
    6667: b'NICK x\r\nUSER x 0 * :x\r\n',
    4730: b'status\nworkers\n',
    2181: b'ruok',
    2003: b'a.b 1 -1\n',
    389: bytes.fromhex('300c020101600702010304008000'),
    4949: b'list\nfetch cpu\nquit\n',
    22: b'SSH-2.0-x\r\n',
    21: b'USER anonymous\r\nPASS a\r\nPWD\r\nQUIT\r\n',
    5432: b'\0\0\0\x08\x04\xd2\x16\x2f',
    3306: b'',
}
DNS = b'\1\2\1\0\0\1\0\0\0\0\0\0\3www\7example\4test\0\0\1\0\1'


def listening(kind):
    ports = set()
    for f in (f'/proc/net/{kind}', f'/proc/net/{kind}6'):
        for line in open(f).readlines()[1:]:
            w = line.split()
            if w[3] == ('0A' if kind == 'tcp' else '07'):
                ports.add(int(w[1].split(':')[1], 16))
    return sorted(p for p in ports if p < 32000)


while True:
    time.sleep(r.expovariate(1 / r.choice((0.4, 1.5, 6))))
    try:
        if r.random() < 0.1:
            for p in listening('udp'):
                s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                s.settimeout(0.3)
                s.sendto(DNS, ('127.0.0.1', p))
                try:
                    s.recv(999)
                except OSError:
                    pass
                s.close()
            continue
        p = r.choice(listening('tcp'))
        for _ in range(r.choice((1, 1, 3, 12))):
            c = socket.create_connection(('127.0.0.1', p), 2)
            c.settimeout(1)
            c.sendall(
                SAY.get(
                    p,
                    f"GET {r.choice(('/', '/metrics', '/index.html', '/api/v1/query?query=up', '/status', '/nothing'))} HTTP/1.0\r\nHost: x\r\n\r\n".encode(),
                )
            )
            try:
                while c.recv(65536) and p not in SAY:
                    pass
            except OSError:
                pass
            c.close()
            time.sleep(r.random() * 0.1)
    except (OSError, IndexError):
        pass
