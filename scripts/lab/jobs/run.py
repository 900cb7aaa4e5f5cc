#!/usr/bin/python3
"""Runs many short jobs, each as a container of its own, and records what they do: ordinary ones and malicious stand-ins.

run.py --root DIR --set NAME --out DIR [--seed N] [--lanes 4] [--seconds 28-50] [--only REGEX] [--groups NAME,…] [--runs N] [--disguised N]
run.py --root DIR --set NAME --watch [--held-out] [--limit N]
run.py --list | --json

A job is a bash function of malicious/*.sh or ordinary/*.sh, declared by `job NAME LANGUAGE [held-out] [own=COMM,…]`; prepare_NAME
makes its files first, beside_NAME is the other end (a pool, a listener); neither is recorded. Each run has its own pid,
network (loopback only), mount and host-name namespaces and a cgroup named like a container's; its root is an overlay of --root on
tmpfs. The recorder tells runs apart by pid namespace, so every process of a run is known, and nothing else is kept.

Writes SET.frames.ndjson.zst, SET.scenarios.ndjson (malicious runs) and SET.jobs.ndjson (all runs), and the same as SET-heldout.* for
implementations that are never to be trained on: other host name, other files. A malicious run under an ordinary name is a
masquerade, else non-grata; `program` is the behaviour, `scenario` the implementation.
What it cannot promise: that a tool did what it is for. A run that was active in fewer than 8 seconds is left out and named.
"""
import argparse, collections, glob, json, os, random, re, shutil, signal, subprocess, sys, threading, time

HERE = os.path.dirname(os.path.abspath(__file__))
ACTIVE_SECONDS_MIN = 8
STARTERS = {'sleep', 'mkdir', 'setsid', 'timeout', 'env', 'sh', 'cp'}
HIDE_UNDER = (
    'nginx',
    'rsyslogd',
    'cron',
    'sshd',
    'postgres',
    'redis-server',
    'apache2',
    'haproxy',
    'node',
    'java',
    'systemd-journal',
    'dockerd',
    'python3',
    'mysqld',
    'php-fpm',
    'kworker-u4',
    'rsync',
    'backup',
    'collectd',
    'master',
    'dbus-daemon',
    'prometheus',
    'gunicorn',
    'update-check',
    'chronyd',
    'kworker/u4:2',
    'kthreadd',
)
parser = argparse.ArgumentParser(description='runs and records short jobs')
parser.add_argument('--root')
parser.add_argument('--set', default='jobs')
parser.add_argument('--out', default='.')
parser.add_argument('--seed', type=int, default=1)
parser.add_argument('--lanes', type=int, default=4)
parser.add_argument('--seconds', default='28-50')
parser.add_argument('--only', default='')
parser.add_argument('--not', dest='without', default='')
parser.add_argument(
    '--groups', default='', help='only these behaviours and groups, comma-separated'
)
parser.add_argument(
    '--runs', type=int, default=2, help='runs of each malicious implementation under its own name'
)
parser.add_argument('--ordinary', type=int, default=1, help='runs of each ordinary job')
parser.add_argument(
    '--disguised',
    type=int,
    default=1,
    help='runs of each malicious implementation under an ordinary name',
)
parser.add_argument(
    '--agent', default=os.environ.get('LAB_AGENT', os.path.join(HERE, '../../../dist/agent'))
)
parser.add_argument(
    '--watch',
    action='store_true',
    help='no recording: the agent watches live, and its alerts are put down to the jobs',
)
parser.add_argument('--held-out', action='store_true', help='only held-out jobs')
parser.add_argument('--limit', type=int, default=10**6, help='so many runs of those drawn')
parser.add_argument('--keep', action='store_true', help='keep the raw recording and the logs')
parser.add_argument('--list', action='store_true')
parser.add_argument('--json', action='store_true', help='the list for programs')
options = parser.parse_args()

DECLARE = '''behaviour() { B=$1 T=$2; }; group() { G=$1; }; job() { local n=$1 l=$2; shift 2; echo "$n|$l|${B:-}|${T:-}|${G:-}|$*|$f"; }
for f in "$@"; do B= T= G=; . "$f"; done'''


def read_jobs():
    files = sorted(glob.glob(HERE + '/malicious/*.sh') + glob.glob(HERE + '/ordinary/*.sh'))
    jobs = []
    for line in subprocess.run(
        ['bash', '-c', DECLARE, '-'] + files, capture_output=True, text=True, check=True
    ).stdout.splitlines():
        name, language, behaviour, technique, group, rest, file = line.split('|')
        own = re.search(r'own=(\S+)', rest)
        jobs.append(
            dict(
                name=name,
                language=language,
                behaviour=behaviour,
                technique=technique,
                group=group or behaviour,
                heldOut='held-out' in rest.split(),
                own=own[1].split(',') if own else None,
                plain='plain' in rest.split(),
                long='long' in rest.split(),
                file=file,
            )
        )
    return jobs


jobs = [
    j
    for j in read_jobs()
    if (j['heldOut'] or not options.held_out)
    and (not options.groups or j['group'] in options.groups.split(','))
    and re.search(options.only, j['name'])
    and not (options.without and re.search(options.without, j['name']))
]
if options.json:
    for j in jobs:
        print(json.dumps(j))
    sys.exit()
if options.list:
    for j in jobs:
        print(
            f"{'malicious' if j['behaviour'] else 'ordinary':9} {j['group']:18} {j['name']:32} {j['language']:8} {'held out' if j['heldOut'] else ''}"
        )
    kinds = collections.Counter((bool(j['behaviour']), j['heldOut']) for j in jobs)
    print(
        {
            f"{'malicious' if m else 'ordinary'}{' held out' if h else ''}": n
            for (m, h), n in kinds.items()
        },
        file=sys.stderr,
    )
    sys.exit()

work = os.path.abspath(f'{options.out}/.work-{options.set}')
shutil.rmtree(work, ignore_errors=True)
os.makedirs(work)
root = os.path.abspath(options.root)
hosts_file = f'{work}/hosts.tsv'
open(hosts_file, 'w').close()
pins, done, lock = [], [], threading.Lock()
hierarchies = [
    d
    for d in ('unified', 'pids', 'cpu', 'memory', 'systemd', '')
    if os.path.exists(f'/sys/fs/cgroup/{d}/cgroup.procs')
]
stopping = threading.Event()


def install():
    """The jobs' own programs, into the root file system, compiled once."""
    os.makedirs(root + '/lab/src', exist_ok=True)
    for source in glob.glob(HERE + '/src/*') + glob.glob(HERE + '/inside/*'):
        to = f"{root}/lab/{'src' if '/src/' in source else ''}/{os.path.basename(source)}"
        if not os.path.exists(to) or open(to, 'rb').read() != open(source, 'rb').read():
            shutil.copy(source, to)
    subprocess.run(
        [
            'unshare',
            '-n',
            '-m',
            '-p',
            '--fork',
            '--kill-child',
            'bash',
            '-c',
            f'mount --bind /dev {root}/dev; mount -t proc proc {root}/proc; exec chroot {root} bash /lab/furnish.sh',
        ],
        check=True,
    )


def sh(text, **more):
    return subprocess.run(['bash', '-c', text], capture_output=True, text=True, **more)


# The holder of a run's namespaces: loopback with two addresses, an overlay on tmpfs, a resolver on loopback.
HOLD = '''mount --make-rprivate / && ip link set lo up && ip addr add 10.9.0.1/24 dev lo && { ip link add d0 type dummy && ip addr add 10.8.0.1/24 dev d0 && ip link set d0 up; :; } && hostname "$HOST" && mount -t tmpfs -o size=1500m job "$W" && mkdir "$W/up" "$W/wk" "$W/root" &&
mount -t overlay overlay -o "lowerdir=$ROOT,upperdir=$W/up,workdir=$W/wk" "$W/root" && mkdir -p "$W/root/job" && mount --rbind /dev "$W/root/dev" && mount -t proc proc "$W/root/proc" && mount -t sysfs sysfs "$W/root/sys" &&
mount -t tmpfs t "$W/root/dev/shm" && mkdir -p "$W/root/run/sshd" "$W/root/run/lock" && rm -f "$W/root/etc/resolv.conf" && echo nameserver 127.0.0.1 > "$W/root/etc/resolv.conf" && mkfifo "$W/root/job/.go" && echo up && exec sleep infinity'''


def run(job, disguise, number, lane):
    r = random.Random(f"{options.seed} {job['name']} {number}")
    seconds = r.randint(*map(int, options.seconds.split('-')))
    identity = ''.join(r.choices('0123456789abcdef', k=64))
    w = f'{work}/l{lane}'
    os.makedirs(w, exist_ok=True)
    key = f'r{number}'
    # The job's looks like a container's; its other end and what prepares it are in one that does not.
    cgroups = [f'callsign-lab-jobs/docker-{identity}.scope', f'callsign-lab-jobs/beside-{number}']
    for h in hierarchies:
        for c in cgroups:
            try:
                os.makedirs(f'/sys/fs/cgroup/{h}/{c}', exist_ok=True)
            except OSError:
                pass

    def enter(cgroup):
        for h in hierarchies:
            try:
                open(f'/sys/fs/cgroup/{h}/{cgroup}/cgroup.procs', 'w').write(str(os.getpid()))
            except OSError:
                pass
        os.nice(options_nice)

    def enter_job():
        enter(cgroups[0])

    def enter_beside():
        enter(cgroups[1])

    environment = dict(
        HOME='/root',
        PATH='/lab/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
        LC_ALL='C.UTF-8',
        SEED=str(r.randrange(1, 32000)),
        SECS=str(seconds),
        TERM='xterm',
        DEBIAN_FRONTEND='noninteractive',
        GOCACHE='/lab/gocache',
        GOFLAGS='-mod=mod',
        AS=disguise or '',
        PYTHONDONTWRITEBYTECODE=r.choice(('', '1')),
    )
    if disguise:
        environment[
            'PYTHONHOME'
        ] = '/usr'  # a copy of python3 elsewhere looks for its library there
    if disguise and job['language'] == 'c' and ('/' in disguise or r.random() < 0.6):
        environment.update(COMM=disguise, AS='')  # by prctl instead of a copy
    holder = subprocess.Popen(
        ['unshare', '-n', '-m', '-u', 'bash', '-c', HOLD],
        env=dict(os.environ, W=w, ROOT=root, HOST=f'host{r.randrange(90)}'),
        stdout=subprocess.PIPE,
        stderr=open(f'{work}/holder.log', 'a'),
        text=True,
    )
    if holder.stdout.readline() != 'up\n':
        print(f"{job['name']}: no namespace", file=sys.stderr)
        holder.kill()
        holder.wait()
        return
    inside = ['nsenter', '-t', str(holder.pid), '-n', '-m', '-u', '--']
    inroot = inside + ['chroot', f'{w}/root']
    children = []
    record = dict(
        job,
        number=number,
        disguise=disguise,
        key=key,
        container=identity[:12],
        host=options.set + ('h' if job['heldOut'] else ''),
    )
    try:
        here = f'/proc/{holder.pid}/root{w}/root/job'
        source = sh(
            f". '{HERE}/inside/lib.sh'; behaviour() {{ :; }}; group() {{ :; }}; job() {{ :; }}; . '{job['file']}'; declare -f {job['name']} || exit 1; ! declare -F web >/dev/null || declare -f web; echo; echo =====; declare -f prepare_{job['name']}; echo; echo =====; declare -f beside_{job['name']}",
        )
        main, prepare, beside = source.stdout.split('=====\n')
        lib = open(HERE + '/inside/lib.sh').read()
        name = job['name']
        open(here + '/job.sh', 'w').write(f'{lib}\n{main}\n{name}\n')
        if prepare.strip():
            open(here + '/prepare.sh', 'w').write(f'{lib}\n{prepare}\ncd /job\nprepare_{name}\n')
            try:
                subprocess.run(
                    inroot + ['bash', '/job/prepare.sh'],
                    env=environment,
                    stdout=open(here + '/prepare.log', 'w'),
                    stderr=subprocess.STDOUT,
                    stdin=subprocess.DEVNULL,
                    timeout=90,
                    preexec_fn=enter_beside,
                )
            except subprocess.TimeoutExpired:
                print(f'{name}: preparing took too long', file=sys.stderr)
        if beside.strip():
            open(here + '/beside.sh', 'w').write(f'{lib}\n{beside}\ncd /job\nbeside_{name}\n')
            children.append(
                subprocess.Popen(
                    inside
                    + [
                        'unshare',
                        '-p',
                        '--fork',
                        '--kill-child',
                        '--',
                        'sh',
                        '-c',
                        f'mount -t proc proc {w}/root/proc; exec chroot {w}/root bash -c "bash /job/beside.sh; sleep infinity"',
                    ],
                    env=environment,
                    stdout=open(here + '/beside.log', 'w'),
                    stderr=subprocess.STDOUT,
                    stdin=subprocess.DEVNULL,
                    preexec_fn=enter_beside,
                )
            )
            time.sleep(2)
        bash = '/bin/bash'
        if disguise and job['language'] == 'shell':
            bash = f'/job/as/{disguise}'
            subprocess.run(
                inroot + ['sh', '-c', f'mkdir -p /job/as; cp /bin/bash {bash}'], check=True
            )
        starter = subprocess.Popen(
            inside
            + [
                'unshare',
                '-p',
                '--fork',
                '--kill-child',
                '--',
                'chroot',
                f'{w}/root',
                'sh',
                '/lab/init.sh',
                str(r.choice((3, 20, 45, 75))),
                bash,
            ],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            preexec_fn=enter_job,
        )
        children.append(starter)
        for _ in range(150):
            if os.path.exists(here + '/.ready'):
                break
            time.sleep(0.1)
        first = int(open(f'/proc/{starter.pid}/task/{starter.pid}/children').read().split()[0])
        namespace = int(re.sub(r'\D', '', os.readlink(f'/proc/{first}/ns/pid')))
        with lock:
            # The number of a namespace is used again after its end: pinned, it stays the run's own.
            pin = f'{work}/pin-{key}'
            open(pin, 'w').close()
            subprocess.run(['mount', '--bind', f'/proc/{first}/ns/pid', pin], check=True)
            pins.append(pin)
            with open(hosts_file, 'a') as f:
                f.write(f'{namespace}\t{key}\n')
        record['init'] = first
        record['from'] = int(time.time())
        with open(here + '/.go', 'w') as go:
            go.write('go\n')
        end = time.time() + seconds
        while time.time() < end and not stopping.is_set():
            time.sleep(0.5)
            if starter.poll() is not None:
                break
        record['to'] = int(time.time())
        try:
            record['log'] = (
                ''.join(
                    c
                    for c in open(here + '/log', errors='replace').read()[-300:]
                    if c.isprintable() or c == '\n'
                )
                .strip()
                .split('\n')[-1][:160]
            )
        except OSError:
            pass
    except Exception as error:
        print(f"{job['name']}: {error!r}", file=sys.stderr)
    finally:
        for child in children:
            try:
                for pid in open(f'/proc/{child.pid}/task/{child.pid}/children').read().split():
                    os.kill(int(pid), signal.SIGKILL)
            except (OSError, ValueError):
                pass
            child.kill()
            child.wait()
        holder.kill()
        holder.wait()
        for _ in range(20):
            left = 0
            for path in (f'/sys/fs/cgroup/{h}/{c}' for h in hierarchies for c in cgroups):
                try:
                    os.rmdir(path)
                except OSError:
                    left += os.path.isdir(path)
            if not left:
                break
            time.sleep(0.2)
    if 'to' in record:
        with lock:
            done.append(record)
            with open(f'{work}/runs.ndjson', 'a') as f:
                f.write(json.dumps(record) + '\n')
        print(
            f"{time.strftime('%H:%M:%S')} {len(done)}/{total} {job['name']}{' as ' + disguise if disguise else ''}: {record.get('log', '')}",
            file=sys.stderr,
            flush=True,
        )


options_nice = int(os.environ.get('LAB_NICE', 10))
r = random.Random(options.seed)
queue = []
for job in jobs:
    if job['behaviour']:
        queue += [(job, None)] * options.runs + [
            (job, r.choice([n for n in HIDE_UNDER if job['language'] == 'c' or '/' not in n]))
            for _ in range(0 if job['plain'] else options.disguised)
        ]
    else:
        queue += [(job, None)] * options.ordinary
r.shuffle(queue)
del queue[options.limit :]
total = len(queue)
numbered = list(enumerate(queue))
install()
parts, recorder = [], None


def record():
    """Keeps a recorder running: a recording must not end with the first one's death, and its reason must be seen."""
    global recorder
    while not stopping.is_set() or not parts:
        parts.append(f'{work}/raw{len(parts)}.frames.ndjson')
        recorder = subprocess.Popen(
            [
                options.agent,
                'record',
                '--source',
                'kernel',
                '--hosts',
                hosts_file,
                '--out',
                parts[-1],
                '--json',
            ],
            stderr=open(f'{work}/recorder.log', 'a'),
            stdout=subprocess.DEVNULL,
        )
        if recorder.wait() == 0 or finished.is_set():
            return
        print(
            f"{time.strftime('%H:%M:%S')} the recorder ended: "
            + open(f'{work}/recorder.log').read().strip().split('\n')[-1][:300],
            file=sys.stderr,
            flush=True,
        )
        time.sleep(1)


finished = threading.Event()
if options.watch:
    sys.path.insert(0, HERE)
    sys.dont_write_bytecode = True
    from alerts import Watch, report

    watch = Watch(os.path.abspath(options.agent), work)
else:
    recording = threading.Thread(target=record)
    recording.start()
    time.sleep(3)


def lane(n):
    while not stopping.is_set():
        with lock:
            if not numbered:
                return
            number, (job, disguise) = numbered.pop(0)
        run(job, disguise, number, n)


for s in (signal.SIGINT, signal.SIGTERM):
    signal.signal(s, lambda *_: stopping.set())
threads = [threading.Thread(target=lane, args=(n,)) for n in range(options.lanes)]
for t in threads:
    t.start()
for t in threads:
    t.join()
time.sleep(3)
finished.set()
if not options.watch:
    recorder.send_signal(signal.SIGTERM)
    recording.join()
for pin in pins:
    subprocess.run(['umount', pin])
    os.unlink(pin)
for h in hierarchies:
    try:
        os.rmdir(f'/sys/fs/cgroup/{h}/callsign-lab-jobs')
    except OSError:
        pass

if options.watch:
    status = watch.end()
    report(done, watch.alerts, status, f'{options.out}/{options.set}.alerts.ndjson')
    if not options.keep:
        shutil.rmtree(work, ignore_errors=True)
    sys.exit()

# --- what is kept
OVERLAY = re.compile(r'^.*?/l\d+/root(?=/)')  # a path as the job sees it
by_key = {d['key']: d for d in done}
lines = {False: [], True: []}
for d in done:
    d.update(pids=set(), names=collections.Counter(), seconds=set())
losses = []
for part in parts:
    for text in open(part):
        if not text.endswith('}\n'):
            break
        line = json.loads(text)
        if 'loss' in line:
            losses.append(text)
            continue
        d = by_key.get(line['host'])
        if d is None or not d['from'] <= line['t'] <= d['to'] or line['pid'] == d['init']:
            continue
        d['pids'].add(line['pid'])
        d['names'][line['name']] += 1
        d['seconds'].add(line['t'])
        line['host'] = d['host']
        if 'exe' in line:
            line['exe'] = OVERLAY.sub('', line['exe'])
        lines[d['heldOut']].append(
            (line['t'], json.dumps(line, separators=(',', ':'), ensure_ascii=False), d)
        )
for held in (False, True):
    base = f"{options.out}/{options.set}{'-heldout' if held else ''}"
    kept = [d for d in done if d['heldOut'] == held and len(d['seconds']) >= ACTIVE_SECONDS_MIN]
    for d in done:
        if d['heldOut'] == held and len(d['seconds']) < ACTIVE_SECONDS_MIN:
            print(
                f"left out, active in {len(d['seconds'])} s only: {d['name']}: {d.get('log', '')}",
                file=sys.stderr,
            )
    if not kept:
        continue
    good = {d['key'] for d in kept}
    rows = sorted(
        [(t, text) for t, text, d in lines[held] if d['key'] in good]
        + [(json.loads(l)['t'], l.strip()) for l in losses]
    )
    with subprocess.Popen(
        ['zstd', '-q', '-12', '-f', '-o', base + '.frames.ndjson.zst'],
        stdin=subprocess.PIPE,
        text=True,
    ) as z:
        for _, text in rows:
            z.stdin.write(text + '\n')
    with open(base + '.scenarios.ndjson', 'w') as scenarios, open(
        base + '.jobs.ndjson', 'w'
    ) as index:
        for d in sorted(kept, key=lambda d: d['from']):
            common = {'from': d['from'], 'to': d['to'], 'host': d['host']}
            if d['behaviour']:
                names = [
                    n for n in d['own'] or sorted(d['names']) if d['own'] or n not in STARTERS
                ] or sorted(d['names'])
                if d['disguise'] and d['disguise'][:15] not in names:
                    names.append(d['disguise'][:15])
                s = dict(
                    common,
                    kind='masquerade' if d['disguise'] else 'non-grata',
                    scenario=d['name'].replace('_', '-')
                    + (f"-as-{d['disguise']}" if d['disguise'] else ''),
                )
                if d['disguise']:
                    s['claimed'] = d['disguise'][:15]
                s.update(
                    program=d['behaviour'],
                    names=names,
                    pids=sorted(d['pids']),
                    language=d['language'],
                    technique=d['technique'],
                    heldOut=held,
                )
                scenarios.write(json.dumps(s, separators=(',', ':')) + '\n')
            index.write(
                json.dumps(
                    dict(
                        common,
                        job=d['name'].replace('_', '-'),
                        group=d['group'],
                        malicious=bool(d['behaviour']),
                        language=d['language'],
                        heldOut=held,
                        disguise=d['disguise'] or '',
                        seconds=len(d['seconds']),
                        names=dict(d['names'].most_common(12)),
                        pids=sorted(d['pids']),
                    ),
                    separators=(',', ':'),
                )
                + '\n'
            )
    print(
        f"{base}: {len(kept)} runs, {len(rows)} vectors, {os.path.getsize(base + '.frames.ndjson.zst') / 1e6:.2f} MB",
        file=sys.stderr,
    )
if not options.keep:
    shutil.rmtree(work, ignore_errors=True)
