#!/usr/bin/python3
"""A laboratory that runs in the background for hours: containers with services, little load, and now and then a job.

run.py --work DIR --out DIR [--seed N] [--minutes 30] [--hosts NAME,…] [--name RUN] [--agent FILE]

Boots hosts.json's containers (systemd-nspawn, loopback only) from root file systems in --work/roots (see root.sh), records all with
one `agent record --hosts`, and writes a recording every --minutes until SIGTERM. Every few minutes each host gets a job of
../jobs, ordinary ones twice as often as malicious ones, drawn by the seed; jobs share a CPU cap of LAB_JOBS_PERCENT (15) of a core,
hosts run at nice LAB_NICE (15). Hosts that other work starves are no longer ordinary. Round N writes NN-HOSTS.frames.ndjson.zst (known or strange hosts), .scenarios.ndjson and .jobs.ndjson.
"""
import argparse, collections, glob, json, os, random, re, shutil, signal, subprocess, sys, threading, time

HERE = os.path.dirname(os.path.abspath(__file__))
JOBS = os.path.join(HERE, '../jobs')
parser = argparse.ArgumentParser(description='the standing laboratory')
parser.add_argument('--work', required=True)
parser.add_argument('--out', required=True)
parser.add_argument('--seed', type=int, default=1)
parser.add_argument('--minutes', type=float, default=30)
parser.add_argument(
    '--name', default='standing', help='of this run; two may run side by side with other hosts'
)
parser.add_argument('--hosts', default='')
parser.add_argument('--agent', default=os.path.join(HERE, '../../../dist/agent'))
options = parser.parse_args()
config = {
    n: c
    for n, c in json.load(open(HERE + '/hosts.json')).items()
    if (not options.hosts or n in options.hosts.split(','))
    and os.path.exists(f"{options.work}/roots/{c['root']}.done")
}
run = f'{options.work}/{options.name}'
os.makedirs(run, exist_ok=True)
os.makedirs(options.out, exist_ok=True)
hosts_file = run + '/hosts.tsv'
open(hosts_file, 'w').close()
stopping = threading.Event()
for s in (signal.SIGINT, signal.SIGTERM):
    signal.signal(s, lambda *_: stopping.set())
hierarchies = [
    d
    for d in ('unified', 'pids', 'cpu', 'memory', 'systemd', '')
    if os.path.exists(f'/sys/fs/cgroup/{d}/cgroup.procs')
]
NICE = int(os.environ.get('LAB_NICE', 15))
JOBS_PERCENT = int(os.environ.get('LAB_JOBS_PERCENT', 15))
KEEP_UNITS = {
    'dbus',
    'systemd-journald',
    'systemd-logind',
    'console-getty',
    'life',
    'systemd-tmpfiles-clean',
    'logrotate',
    'apt-daily',
    'man-db',
    'fstrim',
    'e2scrub_all',
    'dpkg-db-backup',
}


def cgroup(name):
    for h in hierarchies:
        try:
            os.makedirs(f'/sys/fs/cgroup/{h}/callsign-standing/{name}', exist_ok=True)
        except OSError:
            pass

    def join():
        for h in hierarchies:
            try:
                open(f'/sys/fs/cgroup/{h}/callsign-standing/{name}/cgroup.procs', 'w').write(
                    str(os.getpid())
                )
            except OSError:
                pass
        os.nice(NICE)

    return join


def cap(name, percent):
    for h in hierarchies:
        d = f'/sys/fs/cgroup/{h}/callsign-standing/{name}'
        for file, value in (
            ('cpu.cfs_period_us', 100000),
            ('cpu.cfs_quota_us', percent * 1000),
            ('cpu.max', f'{percent * 1000} 100000'),
        ):
            if os.path.exists(f'{d}/{file}'):
                try:
                    open(f'{d}/{file}', 'w').write(str(value))
                except OSError:
                    pass


def sh(text):
    return subprocess.run(['bash', '-c', text], capture_output=True, text=True)


class Host:
    def __init__(self, name, c):
        self.name, self.c, self.dir = name, c, f'{run}/{name}'
        self.root, self.busy = self.dir + '/root', c.get('busy', 1)
        self.random = random.Random(f'{options.seed} {name}')

    def up(self):
        sh(
            f'mountpoint -q {self.root} && umount -l {self.root}; rm -rf {self.dir}; mkdir -p {self.root} {self.dir}/up {self.dir}/wk'
        )
        subprocess.run(
            [
                'mount',
                '-t',
                'overlay',
                'overlay',
                '-o',
                f"lowerdir={options.work}/roots/{self.c['root']},upperdir={self.dir}/up,workdir={self.dir}/wk",
                self.root,
            ],
            check=True,
        )
        units = set(self.c['units'])
        for wants in glob.glob(self.root + '/etc/systemd/system/*.wants/*'):
            unit = os.path.basename(wants).rsplit('.', 1)[0]
            if wants.endswith(('.timer', '.target')) or unit in KEEP_UNITS or unit in units:
                continue
            os.unlink(wants)
        for name in glob.glob(self.root + '/etc/rc?.d/S*'):
            if os.path.basename(name)[3:] not in units:
                os.unlink(name)
        for heavy in (
            '/etc/systemd/system/timers.target.wants/chkrootkit.timer',
            '/usr/lib/nagios/plugins/check_apt',
        ):  # minutes of work on a host that has seconds
            if os.path.lexists(self.root + heavy):
                os.unlink(self.root + heavy)
        wants = self.root + '/etc/systemd/system/multi-user.target.wants'
        os.makedirs(wants, exist_ok=True)
        for unit in units:
            for f in (
                f'/usr/lib/systemd/system/{unit}.service',
                f"/usr/lib/systemd/system/{re.sub('@.*', '@', unit)}.service",
                f'/lib/systemd/system/{unit}.service',
            ):
                if os.path.exists(self.root + f) and not os.path.lexists(f'{wants}/{unit}.service'):
                    os.symlink(f, f'{wants}/{unit}.service')
        shutil.copy(HERE + '/life.sh', self.root + '/usr/local/bin/life')
        open(wants + '/life.service', 'w').write(
            f'[Service]\nExecStart=/bin/bash /usr/local/bin/life {self.random.randrange(30000)} {self.busy}\n'
        )
        demos = {
            'node-demo': "/usr/bin/node -e 'require(\"http\").createServer((q,s)=>s.end(JSON.stringify({t:Date.now()}))).listen(3000);setInterval(()=>require(\"fs\").writeFileSync(\"/tmp/beat\",String(Date.now())),3000)'",
            'puma-demo': '/bin/sh -c \'echo "run lambda { |e| [200, {}, [Time.now.to_s]] }" > /tmp/config.ru; exec puma -p 9292 -w 2 /tmp/config.ru\'',
            'uwsgi-demo': '/bin/sh -c \'echo "def application(e, s): s(\\"200 OK\\", []); return [b\\"hello\\"]" > /tmp/w.py; exec uwsgi --plugin python3 --http-socket :9393 --wsgi-file /tmp/w.py --processes 2 --master\'',
        }
        for unit in units & set(demos):
            open(f'{wants}/{unit}.service', 'w').write(
                f'[Service]\nExecStart={demos[unit]}\nRestart=on-failure\n'
            )
        open(self.root + '/etc/hostname', 'w').write(self.name + '\n')
        open(self.root + '/etc/resolv.conf', 'w').write('nameserver 127.0.0.1\n')
        if os.path.exists(self.root + '/etc/default/haproxy'):
            open(self.root + '/etc/haproxy/haproxy.cfg', 'a').write(
                '\nlisten x\n bind 127.0.0.1:8088\n server a 127.0.0.1:8089 check\n'
            )
        sh(
            f'ip netns del standing-{self.name} 2>/dev/null; ip netns add standing-{self.name}; ip -n standing-{self.name} link set lo up; ip -n standing-{self.name} addr add 10.9.0.1/24 dev lo; ip -n standing-{self.name} link add host0 type dummy; ip -n standing-{self.name} addr add 10.8.0.1/24 dev host0; ip -n standing-{self.name} link set host0 up'
        )
        environment = dict(
            os.environ, SYSTEMD_NSPAWN_UNIFIED_HIERARCHY='1', SYSTEMD_NSPAWN_USE_CGNS='1'
        )
        self.nspawn = subprocess.Popen(
            [
                'setsid',
                'systemd-nspawn',
                '--quiet',
                '--register=no',
                '--keep-unit',
                '-D',
                self.root,
                '-M',
                f'standing-{self.name}',
                f'--network-namespace-path=/run/netns/standing-{self.name}',
                '--resolv-conf=off',
                '--timezone=off',
                '--link-journal=no',
                '--capability=CAP_NET_ADMIN,CAP_NET_RAW,CAP_SYS_PTRACE,CAP_SYS_NICE',
                '--console=pipe',
                '-b',
            ],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=open(self.dir + '/boot.log', 'w'),
            stderr=subprocess.STDOUT,
            preexec_fn=cgroup(self.name),
        )
        self.leader = None
        for _ in range(150):
            for pid in (
                open(f'/proc/{self.nspawn.pid}/task/{self.nspawn.pid}/children').read().split()
            ):
                try:
                    if open(f'/proc/{pid}/comm').read() == 'systemd\n':
                        self.leader = int(pid)
                except OSError:
                    pass
            if self.leader:
                break
            time.sleep(0.2)
        if not self.leader:
            print(f'{self.name} did not start: {self.dir}/boot.log', file=sys.stderr)
            return False
        with open(hosts_file, 'a') as f:
            f.write(
                f"{re.sub(r'[^0-9]', '', os.readlink(f'/proc/{self.leader}/ns/pid'))}\t{self.name}\n"
            )
        self.poke = subprocess.Popen(
            [
                'ip',
                'netns',
                'exec',
                f'standing-{self.name}',
                'python3',
                HERE + '/poke.py',
                str(self.random.randrange(9999)),
            ],
            preexec_fn=cgroup('visitors'),
            stderr=subprocess.DEVNULL,
        )
        return True

    def down(self):
        try:
            os.kill(self.leader, signal.SIGRTMIN + 4)
        except (OSError, TypeError):
            pass
        self.poke.kill()
        self.poke.wait()
        try:
            self.nspawn.wait(30)
        except subprocess.TimeoutExpired:
            try:
                os.kill(self.leader, signal.SIGKILL)
            except OSError:
                pass
            self.nspawn.kill()
            self.nspawn.wait()
        sh(f'umount -l {self.root}; ip netns del standing-{self.name}')

    def job(self, job, disguise, seconds, happened):
        """One job inside of the host; what it needs from outside runs in its namespaces but not among its processes."""
        text = lambda f: sh(
            f". '{JOBS}/inside/lib.sh'; behaviour() {{ :; }}; group() {{ :; }}; job() {{ :; }}; . '{job['file']}'; declare -f {f}; declare -F web >/dev/null && declare -f web"
        ).stdout
        lib, name, here = open(JOBS + '/inside/lib.sh').read(), job['name'], self.root + '/job'
        environment = dict(
            HOME='/root',
            PATH='/lab/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
            LC_ALL='C.UTF-8',
            SEED=str(self.random.randrange(1, 32000)),
            SECS=str(seconds),
            TERM='xterm',
            AS=disguise or '',
            GOCACHE='/lab/gocache',
        )
        if disguise:
            environment['PYTHONHOME'] = '/usr'
        shutil.rmtree(here, ignore_errors=True)
        os.makedirs(here)
        outside = ['nsenter', '-t', str(self.leader), '-m', '-n', '-u', '--']
        join, children = cgroup('jobs'), []
        log = open(f'{self.dir}/job.log', 'w')
        for part in ('prepare', 'beside', ''):
            function = f'{part}_{name}' if part else name
            body = text(function)
            if f'{function} ()' not in body:
                continue
            open(f'{here}/{part or "job"}.sh', 'w').write(f'{lib}\n{body}\ncd /job\n{function}\n')
        options_ = dict(env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        if os.path.exists(here + '/prepare.sh'):
            try:
                subprocess.run(
                    outside + ['bash', '/job/prepare.sh'],
                    timeout=120,
                    preexec_fn=cgroup('visitors'),
                    **options_,
                )
            except subprocess.TimeoutExpired:
                return
        if os.path.exists(here + '/beside.sh'):
            children.append(
                subprocess.Popen(
                    outside + ['setsid', 'bash', '/job/beside.sh'],
                    preexec_fn=cgroup('visitors'),
                    **options_,
                )
            )
            time.sleep(3)
        bash = '/bin/bash'
        if disguise and job['language'] == 'shell':
            bash = f'/job/as/{disguise}'
            sh(f'mkdir -p {here}/as; cp {self.root}/bin/bash {self.root}{bash}')
        identity = f'job-{self.name}'
        began = time.time()
        main = subprocess.Popen(
            [
                'nsenter',
                '-t',
                str(self.leader),
                '-m',
                '-n',
                '-u',
                '-p',
                '-i',
                '--',
                'setsid',
                '-w',
                bash,
                '/job/job.sh',
            ],
            preexec_fn=cgroup(f'jobs/{identity}'),
            **options_,
        )
        children.append(main)
        while time.time() - began < seconds and main.poll() is None and not stopping.is_set():
            time.sleep(0.5)
        ended = time.time()
        # Whatever the job left: all that is in its cgroup, and the other end's children.
        for _ in range(8):
            left = [
                int(p)
                for h in hierarchies
                for f in glob.glob(
                    f'/sys/fs/cgroup/{h}/callsign-standing/jobs/{identity}/cgroup.procs'
                )
                for p in open(f).read().split()
            ]
            if not left:
                break
            for p in left:
                try:
                    os.kill(p, signal.SIGKILL)
                except OSError:
                    pass
            time.sleep(0.2)
        for child in children:
            sh(f'pkill -9 -s {child.pid} 2>/dev/null')
            child.kill()
            child.wait()
        happened.append(
            dict(
                job,
                host=self.name,
                root=main.pid,
                **{'from': began, 'to': ended},
                disguise=disguise or '',
            )
        )


def read_jobs():
    lines = subprocess.run(
        [sys.executable, JOBS + '/run.py', '--json'], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    return [json.loads(l) for l in lines]


jobs = read_jobs()
ordinary, malicious = [j for j in jobs if not j['behaviour']], [j for j in jobs if j['behaviour']]
by_behaviour = collections.defaultdict(list)
for j in malicious:
    by_behaviour[j['behaviour']].append(j)
happened = []


def live(host):
    r = host.random
    stopping.wait(r.uniform(60, 300))
    while not stopping.is_set():
        draw, disguise = r.random(), None
        if draw < 0.62:
            job = r.choice(ordinary)
        else:
            job = r.choice(by_behaviour[r.choice(sorted(by_behaviour))])
            if r.random() < 0.25 and not job['plain']:
                disguise = r.choice(
                    (
                        'nginx',
                        'rsyslogd',
                        'cron',
                        'sshd',
                        'postgres',
                        'redis-server',
                        'apache2',
                        'node',
                        'java',
                        'prometheus',
                        'etcd',
                        'backup',
                    )
                )
        try:
            host.job(job, disguise, r.randint(25, 70), happened)
        except Exception as error:
            print(f'{host.name} {job["name"]}: {error!r}', file=sys.stderr, flush=True)
        stopping.wait(r.expovariate(1 / (240 / host.busy)))


def finish(n, raw, tree, mine):
    """A round's files, by kind of host."""
    forks = collections.defaultdict(list)
    for line in open(tree, errors='replace'):
        w = line.rstrip('\n').split('\t')
        if len(w) > 3 and w[1] == 'F':
            forks[int(w[2])].append((float(w[0]), int(w[3])))
    of = {}
    for h in mine:
        front, h['pids'], h['names'] = [h['root']], set(), collections.Counter()
        while front:
            pid = front.pop()
            if pid in h['pids']:
                continue
            h['pids'].add(pid)
            front += [c for at, c in forks[pid] if h['from'] - 2 <= at <= h['to'] + 3]
        for pid in h['pids']:
            of.setdefault((h['host'], pid), []).append(h)
    seconds, out = collections.Counter(), {}
    for kind in ('known', 'strange'):
        base = f'{options.out}/{n:02}-{kind}'
        out[kind] = (
            base,
            subprocess.Popen(
                ['nice', '-n', '15', 'zstd', '-q', '-12', '-f', '-o', base + '.frames.ndjson.zst'],
                stdin=subprocess.PIPE,
                text=True,
            ),
        )
    last = set()
    for text in open(raw):
        try:
            line = json.loads(text)
        except ValueError:
            continue  # where a recorder ended
        if 'loss' in line:
            for _, z in out.values():
                z.stdin.write(text)
            continue
        if (line['host'], line['t']) not in last:
            last.add((line['host'], line['t']))
            seconds[line['host']] += 1
        for h in of.get((line['host'], line['pid']), ()):
            if h['from'] <= line['t'] <= h['to'] + 1:
                h['names'][line['name']] += 1
                h.setdefault('seen', set()).add(line['t'])
        kind = 'strange' if config[line['host']].get('strange') else 'known'
        out[kind][1].stdin.write(text.replace(f"{run}/{line['host']}/root/", '/'))
    books = {}
    for kind, (base, z) in out.items():
        z.stdin.close()
        z.wait()
        names = [m for m in config if bool(config[m].get('strange')) == (kind == 'strange')]
        with open(base + '.scenarios.ndjson', 'w') as scenarios, open(
            base + '.jobs.ndjson', 'w'
        ) as index:
            for h in sorted(mine, key=lambda h: h['from']):
                if h['host'] not in names or len(h.get('seen', ())) < 8:
                    continue
                common = {'from': int(h['from']), 'to': int(h['to']) + 1, 'host': h['host']}
                if h['behaviour']:
                    own = [
                        x
                        for x in h['own'] or sorted(h['names'])
                        if h['own'] or x not in ('sleep', 'mkdir', 'setsid', 'nsenter', 'cp')
                    ] or sorted(h['names'])
                    s = dict(
                        common,
                        kind='masquerade' if h['disguise'] else 'non-grata',
                        scenario=h['name'].replace('_', '-')
                        + (f"-as-{h['disguise']}" if h['disguise'] else ''),
                    )
                    if h['disguise']:
                        s['claimed'] = h['disguise'][:15]
                    scenarios.write(
                        json.dumps(
                            dict(
                                s,
                                program=h['behaviour'],
                                names=own,
                                pids=sorted(h['pids']),
                                language=h['language'],
                                heldOut=h['heldOut'],
                            ),
                            separators=(',', ':'),
                        )
                        + '\n'
                    )
                index.write(
                    json.dumps(
                        dict(
                            common,
                            job=h['name'].replace('_', '-'),
                            group=h['group'],
                            malicious=bool(h['behaviour']),
                            language=h['language'],
                            heldOut=h['heldOut'],
                            disguise=h['disguise'],
                            names=dict(h['names'].most_common(12)),
                            pids=sorted(h['pids']),
                        ),
                        separators=(',', ':'),
                    )
                    + '\n'
                )
        books[kind] = {m: seconds[m] for m in names}
    done = sum(1 for h in mine if len(h.get('seen', ())) >= 8)
    with open(options.out + '/rounds.ndjson', 'a') as f:
        f.write(
            json.dumps(
                dict(
                    round=n,
                    at=time.strftime('%H:%M'),
                    hostHours=round(sum(seconds.values()) / 3600, 2),
                    happenings=done,
                    malicious=sum(
                        1 for h in mine if h['behaviour'] and len(h.get('seen', ())) >= 8
                    ),
                    seconds=books,
                )
            )
            + '\n'
        )
    os.unlink(raw)
    os.unlink(tree)


cgroup('jobs')
cap('jobs', JOBS_PERCENT)
hosts = [Host(n, c) for n, c in config.items()]
hosts = [h for h in hosts if h.up()]
cap('jobs', JOBS_PERCENT)
threads = [threading.Thread(target=live, args=(h,)) for h in hosts]
for t in threads:
    t.start()
finishers = []
n = 1 + max(
    [
        int(os.path.basename(f)[:2])
        for f in glob.glob(options.out + '/[0-9][0-9]-*.frames.ndjson.zst')
    ]
    or [0]
)
while not stopping.is_set():
    end, part = time.time() + options.minutes * 60, 0
    raw, tree = f'{run}/{n}.frames.ndjson', f'{run}/{n}.tree.tsv'
    for path in (raw, tree):
        open(path, 'w').close()
    while time.time() < end and not stopping.is_set():  # one recorder, and another should it end
        recorder = subprocess.Popen(
            [
                options.agent,
                'record',
                '--source',
                'kernel',
                '--hosts',
                hosts_file,
                '--tree',
                f'{tree}.{part}',
                '--out',
                f'{raw}.{part}',
                '--json',
            ],
            stdout=subprocess.DEVNULL,
            stderr=open(f'{run}/recorder.log', 'a'),
            preexec_fn=lambda: os.nice(2),
        )
        while time.time() < end and not stopping.is_set() and recorder.poll() is None:
            stopping.wait(1)
        if recorder.poll() is None:
            recorder.send_signal(signal.SIGTERM)
        else:
            print(
                time.strftime('%H:%M:%S'),
                'the recorder ended:',
                open(f'{run}/recorder.log').read().strip().split('\n')[-1][:300],
                file=sys.stderr,
                flush=True,
            )
        recorder.wait()
        for path in (raw, tree):
            sh(f'cat {path}.{part} >> {path}; rm -f {path}.{part}')
        part += 1
    # The next round goes on meanwhile.
    ended = [h for h in happened if 'round' not in h]
    for h in ended:
        h['round'] = n
    finishers.append(threading.Thread(target=finish, args=(n, raw, tree, ended)))
    finishers[-1].start()
    n += 1
for t in threads + finishers:
    t.join()
for h in hosts:
    h.down()
