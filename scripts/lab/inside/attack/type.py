# type.py PORT SECONDS SEED: connects to a bind shell and types commands (not recorded)
import random, socket, sys, threading, time

end, r = time.time() + int(sys.argv[2]), random.Random(sys.argv[3])
COMMANDS = [
    'id',
    'hostname',
    'ls -la /',
    'cat /etc/group',
    'ps -ef',
    'ss -tan',
    'du -s /var/log 2>/dev/null',
    'ls /home',
    'cat /proc/net/tcp',
    'find /var -name "*.log" | head -20',
    'wc /etc/*',
    'date',
    'tail -5 /var/log/auth.log',
    'openssl version',
]
s = socket.create_connection(('127.0.0.1', int(sys.argv[1])), 5)


def drain():
    try:
        while s.recv(65536):
            pass
    except OSError:
        pass


threading.Thread(target=drain, daemon=True).start()
try:
    while time.time() < end:
        s.sendall((r.choice(COMMANDS) + '\n').encode())
        time.sleep(r.expovariate(1 / 1.8))
except OSError:
    pass
