#!/usr/bin/python3
"""load.py: random, bursty load with phases on client.lab and server.lab, and mail into alice's mailbox on this (external) host.

Read from /opt/lab/load.json: tls, slow (means are multiplied by it), seed, weights per service. Each service has its own slow wave, its own
bursts and quiet spells; above them all, phases of the whole laboratory (ramp, idle, day, peak), so that no class is recorded at one rate only.
"""
import sys, os, time, random, math, threading, socket, subprocess, imaplib, smtplib, ssl, urllib.request, ftplib, json, base64, pwd

CONF = json.load(open('/opt/lab/load.json'))
seed = CONF['seed']
TLS = CONF['tls']
ROOT = os.path.expanduser('~root')
R = random.Random(seed)
C, S = 'client.lab', 'server.lab'
INSECURE = ssl._create_unverified_context()
HTTPS = {
    80: 443,
    8080: 8443,
    8081: 8444,
}  # the client's nginx, apache and haproxy speak both where TLS is on
stats = {}


def http(host, port, path, method='GET', data=None, n=1):
    tls = TLS and port in HTTPS and random.random() < 0.7
    url = f'https://{host}:{HTTPS[port]}{path}' if tls else f'http://{host}:{port}{path}'
    for _ in range(n):
        q = urllib.request.Request(url, data=data, method=method)
        urllib.request.urlopen(q, timeout=15, context=INSECURE if tls else None).read()


def web(r, host, port):
    k = r.random()
    p = (
        '/'
        if k < 0.3
        else r.choice(
            ['/f1.bin', '/f10.bin', '/f100.bin', '/f2000.bin' if r.random() < 0.15 else '/f10.bin']
        )
        if k < 0.7
        else '/doc/'
        if k < 0.85
        else '/nothere'
    )
    try:
        http(host, port, p, n=r.randint(1, 6))
    except urllib.error.HTTPError:
        pass


def nginx(r):
    h = r.choice([C, S])
    k = r.random()
    if k < 0.5:
        web(r, h, 80)
    elif k < 0.7:
        http(h, 80, '/app' + r.choice(['/', '/put', '/get', '/slow', '/ls']))
    elif k < 0.9:
        http(h, 80, '/node' + r.choice(['/', '/file', '/cpu', '/zip', '/log']))
    elif h == S:
        http(h, 80, '/php/i.php', n=r.randint(1, 5))


def flask(r):
    http(r.choice([C, S]), 8000, r.choice(['/', '/put', '/put', '/get', '/slow', '/ls']))


def node(r):
    http(
        r.choice([C, S]), 3000, r.choice(['/', '/file', '/cpu', '/zip', '/log']), n=r.randint(1, 5)
    )


def apache(r):
    web(r, S, 8080)


def lighttpd(r):
    web(r, S, 8082)


def haproxy(r):
    web(r, C, 8081)


def pyhttp(r):
    http(
        S, 8001, r.choice(['/', '/bash/', '/gcc/', '/nothere/..']) if r.random() < 0.95 else '/git/'
    )


def php(r):
    http(S, 80, '/php/i.php', n=r.randint(1, 8))


def squid(r):
    pr = urllib.request.build_opener(urllib.request.ProxyHandler({'http': f'http://{S}:3128'}))
    pr.open(
        f'http://{r.choice([S, C])}/{r.choice(["", "f1.bin", "f10.bin", "f100.bin", "doc/"])}?{r.randint(0, 50)}',
        timeout=15,
    ).read()


def raw(host, port, data, end=b'', to=3):
    s = socket.create_connection((host, port), timeout=to)
    try:
        for d in data:
            s.sendall(d)
            got = s.recv(65536)
    finally:
        s.close()


def redis(r):
    h = r.choice([C, S])
    s = socket.create_connection((h, 6379), timeout=3)
    try:
        for _ in range(r.choice([1, 3, 10, 60])):
            k = f'k{r.randint(0, 3000)}'
            c = r.choice(
                [
                    ['SET', k, 'x' * r.randint(1, 3000)],
                    ['GET', k],
                    ['INCR', 'c' + k],
                    ['LPUSH', 'l' + k, 'a'],
                    ['LRANGE', 'l' + k, '0', '50'],
                    ['SAVE'] if r.random() < 0.01 else ['PING'],
                    ['KEYS', 'k1*'] if r.random() < 0.1 else ['EXPIRE', k, '60'],
                    ['BGSAVE'] if r.random() < 0.01 else ['GET', k],
                ]
            )
            s.sendall((f'*{len(c)}\r\n' + ''.join(f'${len(x)}\r\n{x}\r\n' for x in c)).encode())
            s.recv(200000)
            if r.random() < 0.1:
                time.sleep(r.random())
    finally:
        s.close()


def memc(r):
    h = r.choice([C, S])
    s = socket.create_connection((h, 11211), timeout=3)
    try:
        for _ in range(r.choice([1, 3, 10, 80])):
            v = 'y' * r.randint(1, 4000)
            s.sendall(
                r.choice(
                    [
                        f'set k{r.randint(0,999)} 0 0 {len(v)}\r\n{v}\r\n',
                        f'get k{r.randint(0,999)}\r\n',
                        'stats\r\n',
                    ]
                ).encode()
            )
            s.recv(100000)
    finally:
        s.close()


def run(*a, to=25, **k):
    subprocess.run(a, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=to, **k)


def mqtt(r):
    h = r.choice([C, S])
    if r.random() < 0.3:
        run('mosquitto_sub', '-h', h, '-t', 'lab/#', '-W', str(r.randint(2, 15)))
    else:
        run(
            'mosquitto_pub',
            '-h',
            h,
            '-t',
            f'lab/{r.randint(0, 30)}',
            '-q',
            str(r.randint(0, 2)),
            '-l',
            input=(
                '\n'.join('z' * r.randint(5, 500) for _ in range(r.choice([1, 5, 50, 200])))
            ).encode(),
        )


def pg(r):
    k = r.random()
    b = f'/usr/lib/postgresql/{os.listdir("/usr/lib/postgresql")[0]}/bin/pgbench'
    if k < 0.4:
        run(
            b,
            '-h',
            S,
            '-U',
            'postgres',
            '-n',
            '-c',
            str(r.randint(1, 4)),
            '-T',
            str(r.randint(2, 12)),
            '-R',
            str(r.choice([2, 10, 40])),
            'postgres',
        )
    elif k < 0.6:
        run(
            b,
            '-h',
            S,
            '-U',
            'postgres',
            '-n',
            '-S',
            '-c',
            '1',
            '-T',
            str(r.randint(2, 8)),
            '-R',
            str(r.choice([5, 50, 200])),
            'postgres',
        )
    else:
        run(
            'psql',
            '-h',
            S,
            '-U',
            'postgres',
            '-c',
            r.choice(
                [
                    'select count(*) from pgbench_accounts',
                    'select * from pg_stat_activity',
                    'select bid, sum(abalance) from pgbench_accounts group by 1',
                    'vacuum analyze pgbench_branches',
                    'create table if not exists zz as select * from pgbench_accounts limit 5000; drop table zz',
                ]
            ),
        )


def my(r):
    q = [
        f"insert into lab.t(b,c) values(md5({r.random()}),{r.randint(0,999)});"
        for _ in range(r.choice([1, 5, 40]))
    ] + [
        r.choice(
            [
                'select count(*) from lab.t where c<500;',
                'select * from lab.t order by b limit 100;',
                'show status;',
                'delete from lab.t where c>900;',
                'update lab.t set c=c+1 where a%7=0;',
            ]
        )
    ]
    run('mariadb', '--skip-ssl', '-h', S, '-ulab', '-plab', input=''.join(q).encode())


def sshc(r):
    h = r.choice([C, S])
    run(
        'ssh',
        '-i',
        f'{ROOT}/.ssh/id',
        '-o',
        'StrictHostKeyChecking=no',
        f'{r.choice(["alice","bob"])}@{h}',
        r.choice(
            [
                'ls -la /etc',
                'uptime; df',
                'find /usr/share/doc -name "c*" | wc -l',
                'for i in 1 2 3 4 5 6 7 8; do date; sleep 1; done',
                'cat /var/log/dpkg.log | sort | tail -3',
                'sleep 12',
                'head -c 3000000 /dev/zero',
                'top -b -n 3',
                'crontab -l; id; who; last | head; ps aux | grep ssh',
            ]
        ),
    )
    if r.random() < 0.15:
        run(
            'scp',
            '-i',
            f'{ROOT}/.ssh/id',
            '-o',
            'StrictHostKeyChecking=no',
            '/var/www/html/f2000.bin',
            f'alice@{h}:/tmp/up.bin',
        )


def imap(r):
    m = imaplib.IMAP4_SSL(S, ssl_context=INSECURE) if TLS else imaplib.IMAP4(S)
    m.login(r.choice(['bob', 'carol', 'alice']), 'lab')
    m.select('INBOX')
    t, d = m.search(None, 'ALL')
    ids = d[0].split()
    for i in r.sample(ids, min(len(ids), r.randint(1, 15))):
        m.fetch(i, '(RFC822)' if r.random() < 0.4 else '(FLAGS ENVELOPE)')
    if len(ids) > 60:
        for i in ids[:30]:
            m.store(i, '+FLAGS', '\\Deleted')
        m.expunge()
    if r.random() < 0.3:
        m.noop()
        time.sleep(r.random() * 20)
        m.noop()
    m.logout()


def words(r, n):
    return ' '.join(r.choice(W) for _ in range(n))


W = [w for w in open('/usr/share/common-licenses/GPL-3').read().split() if w.isalpha()]
EICAR = r'X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*'


def message(r, frm, to):
    k = r.random()
    sub = words(r, r.randint(2, 6)) + r.choice(['', '', ' sale', ' news', ' offer', ' digest'])
    h = f'From: {frm}\nTo: {to}\nSubject: {sub}\nDate: {time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime())}\nMessage-ID: <{r.random()}@ext.lab>\nMIME-Version: 1.0\n'
    if k < 0.45:
        return h + '\n' + '\n'.join(words(r, 12) for _ in range(r.choice([3, 20, 100]))) + '\n'
    b = 'bd%d' % r.randint(1, 10**9)
    parts = (
        [
            (
                'text/html',
                '<html><body>'
                + ''.join(
                    f'<p><a href="http://x{i}.example/">{words(r, 15)}</a></p>\n'
                    for i in range(r.choice([5, 50, 200]))
                )
                + '</body></html>',
            )
        ]
        if k < 0.75
        else [('text/plain', words(r, 60))]
    )
    o = h + f'Content-Type: multipart/mixed; boundary="{b}"\n\n'
    for t, p in parts:
        o += f'--{b}\nContent-Type: {t}\n\n{p}\n'
    if k > 0.6:
        n = int(math.exp(r.gauss(10, 1.3)))
        n = min(n, 1500000)
        import io, zipfile, gzip

        d = random.randbytes(n // 2) + (words(r, n // 12).encode())
        if k > 0.97:
            d = EICAR.encode()
            nm = 'e.com'
        elif k > 0.88:
            z = io.BytesIO()
            f = zipfile.ZipFile(z, 'w', 8)
            [f.writestr(f'f{i}.txt', words(r, 500)) for i in range(r.randint(1, 30))]
            f.close()
            d = z.getvalue()
            nm = 'a.zip'
        elif k > 0.8:
            d = gzip.compress(d)
            nm = 'a.gz'
        else:
            nm = r.choice(['a.pdf', 'a.jpg', 'a.bin', 'a.doc'])
        o += (
            f'--{b}\nContent-Type: application/octet-stream; name="{nm}"\nContent-Transfer-Encoding: base64\nContent-Disposition: attachment; filename="{nm}"\n\n'
            + base64.encodebytes(d).decode()
        )
    return o + f'--{b}--\n'


U = pwd.getpwnam('alice')


def drop(r):
    for _ in range(1 if r.random() < 0.85 else r.randint(2, 8)):
        n = f'/home/alice/Maildir/tmp/{time.time_ns()}.M{r.randint(0,10**9)}.ext'
        open(n, 'w').write(
            message(
                r, r.choice(['news@a.example', 'bob@b.example', 'shop@c.example']), 'alice@ext.lab'
            )
        )
        os.chown(n, U.pw_uid, U.pw_gid)
        os.rename(n, n.replace('/tmp/', '/new/'))


def smtp(r):
    s = smtplib.SMTP(S, 25, local_hostname='ext.lab', timeout=30)
    if TLS and r.random() < 0.7:
        s.starttls(context=INSECURE)
    for _ in range(r.randint(1, 3)):
        try:
            s.sendmail(
                'x@ext.lab',
                [r.choice(['bob', 'carol', 'alice']) + '@server.lab'],
                message(r, 'x@ext.lab', 'bob@server.lab').encode(),
            )
        except smtplib.SMTPRecipientsRefused:
            pass
    s.quit()


def exim(r):
    s = smtplib.SMTP(r.choice([C, C, S]), 2525, local_hostname='ext.lab', timeout=30)
    if TLS and r.random() < 0.7:
        s.starttls(context=INSECURE)
    for _ in range(r.choice([1, 1, 2, 5])):
        s.sendmail(
            'x@ext.lab', ['carol@server.lab'], message(r, 'x@ext.lab', 'carol@server.lab').encode()
        )
    s.quit()


def snmp(r):
    run(
        r.choice(['snmpwalk', 'snmpget']),
        '-v2c',
        '-cpublic',
        '-t1',
        '-r0',
        r.choice([C, S]),
        r.choice(
            [
                '1.3.6.1.2.1.1',
                '1.3.6.1.2.1.25.1',
                '1.3.6.1.2.1.2',
                '1.3.6.1.4.1.2021',
                '1.3.6.1.2.1.25.4',
            ]
        ),
    )


def dns(r):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(2)
    for _ in range(r.choice([1, 2, 10, 40])):
        n = r.choice(
            ['server.lab', 'client.lab', f'h{r.randint(0, 5000)}.example', 'www.example.org']
        )
        q = (
            bytes([r.randint(0, 255), 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0])
            + b''.join(bytes([len(x)]) + x.encode() for x in n.split('.'))
            + b'\0\0\1\0\1'
        )
        try:
            s.sendto(q, (socket.gethostbyname(r.choice([C, S])), r.choice([53, 53, 53, 5353])))
            s.recv(600)
        except OSError:
            pass
    s.close()


def ftp(r):
    f = ftplib.FTP(S, timeout=10)
    f.login('carol', 'lab')
    for _ in range(r.randint(1, 4)):
        if r.random() < 0.5:
            f.nlst()
        else:
            import io

            f.storbinary(
                f'STOR u{r.randint(0, 9)}',
                io.BytesIO(random.randbytes(r.choice([1000, 50000, 900000]))),
            )
            f.retrbinary(f'RETR u{r.randint(0, 0)}', lambda b: None) if r.random() < 0.3 else None
        time.sleep(r.random() * 2)
    f.quit()


def etcd(r):
    b = lambda x: base64.b64encode(x.encode()).decode()
    for _ in range(r.choice([1, 3, 20])):
        if r.random() < 0.5:
            http(
                S,
                2379,
                '/v3/kv/put',
                'POST',
                json.dumps(
                    dict(key=b(f'k{r.randint(0,500)}'), value=b('v' * r.randint(1, 900)))
                ).encode(),
            )
        else:
            http(
                S,
                2379,
                '/v3/kv/range',
                'POST',
                json.dumps(dict(key=b(f'k{r.randint(0,500)}'))).encode(),
            )


def bean(r):
    for _ in range(r.choice([1, 4])):
        raw(C, 11300, [b'put 0 0 60 5\r\nhello\r\n', b'reserve-with-timeout 0\r\n', b'stats\r\n'])


def munin(r):
    raw(
        r.choice([C, S]),
        4949,
        [
            b'list\n',
            r.choice(
                [
                    b'fetch cpu\n',
                    b'fetch memory\n',
                    b'fetch df\n',
                    b'fetch processes\n',
                    b'fetch vmstat\n',
                ]
            ),
            b'quit\n',
        ],
        to=8,
    )


def prom(r):
    http(
        S,
        9090,
        '/api/v1/query?query='
        + r.choice(
            [
                'up',
                'rate(node_cpu_seconds_total[1m])',
                'sum(node_memory_MemFree_bytes)',
                'go_goroutines',
            ]
        ),
    )


def rsyncd(r):
    run('rsync', '-r', '--list-only' if r.random() < 0.5 else '-n', f'rsync://{C}/doc/', '/tmp/rsn')


def privoxy(r):
    pr = urllib.request.build_opener(urllib.request.ProxyHandler({'http': f'http://{C}:8118'}))
    pr.open(f'http://{S}/{r.choice(["", "f1.bin", "f10.bin", "doc/"])}', timeout=15).read()


def named(r):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(2)
    for _ in range(r.choice([1, 2, 10, 30])):
        n = r.choice(
            [
                'server.lab',
                'client.lab',
                f'n{r.randint(0, 3000)}.lab',
                f'h{r.randint(0, 3000)}.example',
            ]
        )
        q = (
            bytes([r.randint(0, 255), 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0])
            + b''.join(bytes([len(x)]) + x.encode() for x in n.split('.'))
            + b'\0\0\1\0\1'
        )
        try:
            s.sendto(q, (socket.gethostbyname(S), 5354))
            s.recv(600)
        except OSError:
            pass
    s.close()


def java(r):
    http(
        S, 8083, r.choice(['/', '/page.jsp', '/page.jsp', '/nothere']), n=r.randint(1, 8)
    ) if r.random() < 0.8 else http(
        S, 8083, '/page.jsp', 'POST', b'a=' + b'z' * r.randint(10, 20000)
    )


def smb(r):
    n = f'f{r.randint(0, 9)}'
    run(
        'smbclient',
        '-N',
        f'//{S}/lab',
        '-c',
        r.choice(
            [
                'ls',
                f'put /usr/share/common-licenses/GPL-3 {n}; ls',
                f'put /var/www/html/f100.bin {n}; get {n} /dev/null',
                f'mkdir d{n}; ls; rmdir d{n}; del {n}',
            ]
        ),
    )


def cups(r):
    http(C, 631, r.choice(['/', '/printers/', '/jobs/', '/admin/']))


# name: (function, mean seconds between events at base level)
G = dict(
    nginx=(nginx, 1.5),
    flask=(flask, 2.5),
    node=(node, 2.5),
    apache=(apache, 2.2),
    lighttpd=(lighttpd, 3),
    haproxy=(haproxy, 3),
    pyhttp=(pyhttp, 4),
    php=(php, 4),
    squid=(squid, 3),
    redis=(redis, 2.5),
    memc=(memc, 3),
    mqtt=(mqtt, 3),
    pg=(pg, 5),
    my=(my, 4),
    ssh=(sshc, 8),
    imap=(imap, 5),
    drop=(drop, 12),
    smtp=(smtp, 20),
    snmp=(snmp, 6),
    dns=(dns, 2.5),
    ftp=(ftp, 10),
    etcd=(etcd, 4),
    bean=(bean, 6),
    munin=(munin, 10),
    prom=(prom, 6),
    rsyncd=(rsyncd, 12),
    privoxy=(privoxy, 5),
    named=(named, 3),
    cups=(cups, 9),
    java=(java, 3),
    smb=(smb, 6),
    exim=(exim, 9),
)
W_ = CONF.get('weights', {})
# phases of the whole laboratory: (name, how lively, mean seconds); walked in random order, each for a random while
PHASES = [
    ('idle', 0.12, 150),
    ('day', 1, 420),
    ('peak', 3.2, 90),
    ('night', 0.4, 200),
    ('day', 1.3, 300),
]
phase = ['ramp', 0.3]


def walk_phases():
    r = random.Random(f'{seed}phases')
    time.sleep(60)
    while True:
        name, lively, mean = r.choice(PHASES)
        phase[0], phase[1] = name, lively
        time.sleep(r.uniform(0.4, 1.6) * mean)


def level(t, ph, per, depth):
    return 1 + depth * math.sin(2 * math.pi * (t / per + ph))


def worker(name, fn, mean):
    r = random.Random(f'{seed}{name}')
    ph = r.random()
    per = r.uniform(420, 1200)
    depth = r.uniform(0.5, 0.95)
    burst_until = quiet_until = 0
    while True:
        t = time.time()
        if t > burst_until and r.random() < 0.01:
            burst_until = t + r.uniform(5, 40)
        if t > quiet_until and r.random() < 0.006:
            quiet_until = t + r.uniform(30, 120)
        m = mean / level(t, ph, per, depth) / phase[1]
        if t < burst_until:
            m /= 6
        if t < quiet_until and name != 'drop':
            m *= 15
        time.sleep(min(r.expovariate(1 / m), 120))
        try:
            fn(r)
            stats[name] = stats.get(name, 0) + 1
        except Exception as e:
            stats[name + '!'] = stats.get(name + '!', 0) + 1
            stats[name + '!last'] = repr(e)[:120]


threading.Thread(target=walk_phases, daemon=True).start()
for n, (f, mean) in G.items():
    mean *= CONF['slow'] / W_.get(n, 1)
    threading.Thread(target=worker, args=(n, f, mean), daemon=True).start()
    if n in ('nginx', 'redis', 'imap', 'pg', 'apache', 'ssh'):
        threading.Thread(target=worker, args=(n + '2', f, mean * 1.5), daemon=True).start()
while True:
    time.sleep(10)
    open('/tmp/load.stats', 'w').write(json.dumps(dict(stats, phase=phase), indent=1))
