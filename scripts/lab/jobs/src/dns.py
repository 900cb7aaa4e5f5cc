# dns.py [PORT]: a name server that answers everything (A and TXT), a little late.
import random, socket, struct, sys, time

s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('0.0.0.0', int((sys.argv[1:] or ['53'])[0])))
while True:
    b, a = s.recvfrom(4096)
    i = 12
    if len(b) < 17:
        continue
    while i < len(b) and b[i]:
        i += b[i] + 1
    q = b[12 : i + 5]
    t = b[i + 1 : i + 3]
    d = (
        b'\x04\xc0\x00\x02\x01'
        if t == b'\x00\x01'
        else b'\x1e' + bytes(random.choices(b'abcdef0123456789', k=30))
    )
    d = d[1:] if t == b'\x00\x01' else d
    s.sendto(
        b[:2]
        + b'\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00'
        + q
        + b'\xc0\x0c'
        + t
        + b'\x00\x01\x00\x00\x00\x3c'
        + struct.pack('>H', len(d))
        + d,
        a,
    )
