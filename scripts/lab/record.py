#!/usr/bin/python3
"""Records one count vector per process and second of the laboratory's hosts (frames file) with bpftrace.

record.py --out PREFIX --hosts FILE [--seconds N]

Writes PREFIX.frames.ndjson (one second at a time, in order), PREFIX.tree.tsv (forks and execs: what scenario files are
made of) and PREFIX.ledger.json. --hosts is a TSV of `pid-namespace  host`, read anew when an unknown namespace shows up,
so the recorder can start before the hosts boot. The agent's own kernel source is the better recorder (it proves that
nothing was lost); this one stands beside it as an independent witness and works where bpftrace does.
What it cannot promise: a map update that the kernel refuses is not reported by bpftrace 0.17, so a map close to its
limit marks its second as lost, and so does a second that was read later than its map lives.
"""
import argparse, json, os, re, signal, subprocess, sys, time

parser = argparse.ArgumentParser(description='records the frames of the laboratory')
parser.add_argument('--out', required=True)
parser.add_argument('--hosts', required=True)
parser.add_argument('--seconds', type=int, default=10**9)
options = parser.parse_args()

HERE = os.path.dirname(os.path.abspath(__file__))
KEYS_MAX = 65536  # entries of one second; a usual one has 2,000
MAP_LIFE_S = 3.0  # after this a map is written again
ROW = re.compile(rb'^@[abcd]\[(\d+), (\d+), (\d+), (.*), (.*), (\d+)\]: (\d+)$')


def syscall_names():
    names = {}
    with open(os.path.join(HERE, 'syscalls-x86_64.tsv')) as table:
        for line in table:
            number, name = line.split()[:2]
            if not number.isdigit():
                continue
            names[int(number)] = name
    return names


def read_hosts():
    try:
        with open(options.hosts) as f:
            return {
                int(line.split('\t')[0]): line.split('\t')[1].strip() for line in f if '\t' in line
            }
    except FileNotFoundError:
        return {}


NAMES = syscall_names()
own_namespace = int(re.sub(r'\D', '', os.readlink('/proc/self/ns/pid')))
offset_ns = time.clock_gettime_ns(time.CLOCK_REALTIME) - time.clock_gettime_ns(time.CLOCK_MONOTONIC)
boot_offset_s = time.clock_gettime(time.CLOCK_REALTIME) - time.clock_gettime(time.CLOCK_BOOTTIME)

environment = dict(
    os.environ,
    BPFTRACE_MAP_KEYS_MAX=str(KEYS_MAX),
    BPFTRACE_PERF_RB_PAGES='512',
    BPFTRACE_STRLEN='64',
)
tracer = subprocess.Popen(
    ['bpftrace', os.path.join(HERE, 'record.bt'), str(own_namespace), str(offset_ns)],
    env=environment,
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    bufsize=1 << 20,
    start_new_session=True,
)
stopping = False


def stop(*_):
    global stopping
    stopping = True


signal.signal(signal.SIGTERM, stop)
signal.signal(signal.SIGINT, stop)

frames = open(options.out + '.frames.ndjson', 'w')
tree = open(options.out + '.tree.tsv', 'w')
ledger = dict(
    seconds=0,
    vectors=0,
    calls=0,
    lost_seconds=0,
    lost_events=0,
    unknown_namespace_vectors=0,
    bad_lines=0,
    late_seconds=0,
    renamed_vectors=0,
    first=None,
    last=None,
)
hosts, unknown_since = read_hosts(), {}
renamed = {}  # pid → the name its leader took last
pending = []  # seconds held back until the hosts file knows a host that has just booted
second, rows, lost_now, last_second = None, {}, 0, None


def flush(second, rows, loss):
    """One second: all threads and names of a process become one vector under the last name its leader presented."""
    vectors = {}
    for (namespace, pid, start, leader, thread), counts in rows.items():
        calls, leaders, threads = vectors.setdefault((namespace, pid, start), ({}, {}, set()))
        for number, n in counts:
            name = NAMES.get(number, f'syscall_{number}')
            calls[name] = calls.get(name, 0) + n
            leaders[leader] = leaders.get(leader, 0) + n
        if thread != leader:
            threads.add(thread)
    lines = []
    for (namespace, pid, start), (counts, leaders, threads) in sorted(vectors.items()):
        name = max(leaders, key=leaders.get)
        if len(leaders) > 1:
            ledger['renamed_vectors'] += 1
            if renamed.get(pid) in leaders:
                name = renamed[pid]
        threads -= set(leaders)
        line = {
            't': second,
            'host': namespace,
            'pid': pid,
            'start': int(start / 100 + boot_offset_s),
            'name': name,
            'counts': dict(sorted(counts.items())),
        }
        if threads:
            line['threads'] = sorted(threads)
        lines.append(line)
    if loss:
        lines.append({'t': second, 'loss': {'bpftrace': loss}})
    return lines


def write(line):
    global hosts
    if 'loss' not in line:
        namespace = line['host']
        if namespace not in hosts and unknown_since.get(namespace, 0) < time.time() - 1:
            unknown_since[namespace] = time.time()
            hosts = read_hosts()
        host = hosts.get(namespace)
        if host is None or host == '-':
            ledger['unknown_namespace_vectors'] += 1
            return
        line['host'] = host
        ledger['vectors'] += 1
        ledger['calls'] += sum(line['counts'].values())
    frames.write(json.dumps(line, separators=(',', ':'), ensure_ascii=False) + '\n')


started = time.time()
for raw in tracer.stdout:
    kind = raw[:2]
    if kind[:1] == b'@':
        match = ROW.match(raw.rstrip(b'\n'))
        if not match:
            ledger['bad_lines'] += 1
            lost_now += 1
            continue
        namespace, pid, start, leader, thread, number, n = match.groups()
        key = (
            int(namespace),
            int(pid),
            int(start),
            leader.decode('utf8', 'replace'),
            thread.decode('utf8', 'replace'),
        )
        rows.setdefault(key, []).append((int(number), int(n)))
    elif kind == b'T ':
        second, rows = int(raw[2:]), {}
    elif kind == b'E ':
        if sum(map(len, rows.values())) > KEYS_MAX * 0.95:
            lost_now += 1
        if time.time() - second - 1 > MAP_LIFE_S:
            ledger['late_seconds'] += 1
            lost_now += 1
        if lost_now:
            ledger['lost_seconds'] += 1
        ledger['seconds'] += 1
        ledger['first'] = ledger['first'] or second
        ledger['last'] = second
        # A second is held back for 20 s, so that a host which has just booted is in the hosts file by then.
        pending.append((second, flush(second, rows, lost_now)))
        lost_now, rows = 0, {}
        while pending and (pending[0][0] < second - 20 or stopping):
            for line in pending.pop(0)[1]:
                write(line)
        if second % 5 == 0:
            frames.flush()
            tree.flush()
        if stopping or time.time() - started > options.seconds:
            break
    elif kind in (b'F ', b'X '):
        fields = raw.decode('utf8', 'replace').rstrip('\n').split(' ', 2)
        if kind == b'X ':
            renamed[int(fields[1])] = fields[2]
            if len(renamed) > 50000:
                renamed.pop(next(iter(renamed)))
        tree.write(f'{time.time():.1f}\t' + '\t'.join(fields) + '\n')
    elif raw.startswith(b'Lost '):
        lost = int(re.sub(rb'\D', b'', raw) or 0)
        ledger['lost_events'] += lost
        lost_now += lost
    elif raw.strip() and not raw.startswith(b'Attaching'):
        sys.stderr.write(raw.decode('utf8', 'replace'))

for _, lines in pending:
    for line in lines:
        write(line)
tracer.send_signal(signal.SIGINT)
tracer.stdout.close()
try:
    tracer.wait(20)
except subprocess.TimeoutExpired:
    tracer.kill()
    tracer.wait()
frames.close()
tree.close()
usage = os.times()
ledger.update(
    tracer='bpftrace',
    kernel=os.uname().release,
    recorder_cpu_s=round(usage.user + usage.system, 1),
    tracer_cpu_s=round(usage.children_user + usage.children_system, 1),
)
with open(options.out + '.ledger.json', 'w') as f:
    json.dump(ledger, f, indent=1)
