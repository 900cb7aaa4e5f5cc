#!/usr/bin/python3
"""Makes what is kept of a run: per set of hosts, frames of ordinary life, frames with attacks, their scenario file, figures.

finish.py --recording PREFIX --out DIR --sets b,c --split UNIXTIME [--happenings TSV] [--from UNIXTIME] [--to UNIXTIME]

A happening's pids are the whole tree under the process that was started (PREFIX.tree.tsv), its names what attack.py
declares, or, for shells (`*`), everything that the tree ran but its starters. The frames before --split are ordinary
life, those from there on hold the attacks; without happenings there is only the first file. A happening whose program
hardly called anything is left out of the scenario file and named.
"""
import argparse, collections, json, os, subprocess, sys

ACTED_SECONDS_MIN = (
    8  # a happening whose program called anything in fewer seconds did not take place
)
STARTERS = {'nsenter', 'timeout', 'sleep', 'setsid'}
parser = argparse.ArgumentParser(description='makes the kept files of a laboratory run')
parser.add_argument('--recording', required=True)
parser.add_argument('--out', required=True)
parser.add_argument('--sets', required=True)
parser.add_argument('--split', type=int, required=True)
parser.add_argument('--happenings')
parser.add_argument('--from', dest='first', type=int, default=0)
parser.add_argument('--to', dest='last', type=int, default=10**12)
parser.add_argument('--part', default='')
options = parser.parse_args()


def read_tree():
    """(forks by parent: [(time, child)], names by pid: [(time, name)])"""
    forks, names = collections.defaultdict(list), collections.defaultdict(list)
    with open(options.recording + '.tree.tsv', errors='replace') as f:
        for line in f:
            fields = line.rstrip('\n').split('\t')
            if len(fields) < 4:
                continue
            if fields[1] == 'F':
                forks[int(fields[2])].append((float(fields[0]), int(fields[3])))
            else:
                names[int(fields[2])].append((float(fields[0]), fields[3]))
    return forks, names


def scenarios():
    if not options.happenings or not os.path.exists(options.happenings):
        return []
    forks, names = read_tree()
    found = []
    for line in open(options.happenings):
        began, ended, host, root, kind, name, claimed, program, own = line.rstrip('\n').split('\t')
        began, ended = float(began), float(ended)
        tree, front = set(), [int(root)]
        while front:
            pid = front.pop()
            if pid in tree:
                continue
            tree.add(pid)
            front += [child for at, child in forks[pid] if began - 2 <= at <= ended + 5]
        ran = {n for pid in tree for at, n in names[pid] if began - 2 <= at <= ended + 5}
        declared = set(own.split(','))
        own_names = sorted(ran - STARTERS if own == '*' else declared & ran or declared)
        scenario = {
            'from': int(began),
            'to': int(ended) + 1,
            'host': host,
            'kind': kind,
            'scenario': name,
        }
        if claimed:
            scenario['claimed'] = claimed
        scenario.update(program=program, names=own_names, pids=sorted(tree))
        found.append(scenario)
    return found


happened = scenarios()
by_pid = collections.defaultdict(list)
acted = [0] * len(happened)
for i, scenario in enumerate(happened):
    for pid in scenario['pids']:
        by_pid[scenario['host'], pid].append((i, scenario))
sets = options.sets.split(',')
outputs, kept = {}, {}
for s in sets:
    os.makedirs(options.out, exist_ok=True)
    for part in ['normal'] + (['attacks'] if happened else []):
        path = f'{options.out}/lab-{s}-{part}{options.part}.frames.ndjson.zst'
        outputs[s, part] = (
            path,
            subprocess.Popen(
                ['zstd', '-q', '-19', '-f', '-o', path], stdin=subprocess.PIPE, text=True
            ),
        )
        kept[s, part] = dict(
            vectors=0,
            seconds=set(),
            hosts=set(),
            classes=collections.Counter(),
            calls=collections.Counter(),
            nonzero=0,
            lost_seconds=[],
        )

with open(options.recording + '.frames.ndjson') as f:
    for line in f:
        if not line.endswith('}\n'):
            break  # the recorder is still writing
        vector = json.loads(line)
        t = vector['t']
        if not options.first <= t <= options.last:
            continue
        part = 'normal' if t < options.split or not happened else 'attacks'
        for s in sets:
            if 'loss' in vector:
                outputs[s, part][1].stdin.write(line)
                kept[s, part]['lost_seconds'].append(t)
            elif vector['host'][0] == s:
                outputs[s, part][1].stdin.write(line)
                k = kept[s, part]
                k['vectors'] += 1
                for i, scenario in by_pid.get((vector['host'], vector['pid']), ()):
                    acted[i] += (
                        scenario['from'] <= t <= scenario['to']
                        and vector['name'] in scenario['names']
                    )
                k['seconds'].add((vector['host'], t))
                k['classes'][vector['name']] += 1
                k['nonzero'] += len(vector['counts'])
                for name, n in vector['counts'].items():
                    k['calls'][name] += n

for (s, part), (path, writer) in outputs.items():
    writer.stdin.close()
    writer.wait()
    k = kept[s, part]
    times = [t for _, t in k['seconds']]
    hosts = collections.Counter(h for h, _ in k['seconds'])
    summary = {
        'file': os.path.basename(path),
        'bytes': os.path.getsize(path),
        'from': min(times, default=0),
        'to': max(times, default=0),
        'seconds_by_host': dict(hosts),
        'missing_seconds': {h: max(times) - min(times) + 1 - n for h, n in hosts.items()},
        'lost_seconds': k['lost_seconds'],
        'vectors': k['vectors'],
        'calls': sum(k['calls'].values()),
        'syscalls': len(k['calls']),
        'calls_per_vector': round(k['nonzero'] / max(k['vectors'], 1), 2),
        'names': len(k['classes']),
        'names_with_1000_seconds': sum(n >= 1000 for n in k['classes'].values()),
        'names_with_200_seconds': sum(n >= 200 for n in k['classes'].values()),
        'seconds_by_name': dict(n for n in k['classes'].most_common() if n[1] >= 50),
    }
    with open(path.replace('.frames.ndjson.zst', '.json'), 'w') as f:
        json.dump(summary, f, indent=1, ensure_ascii=False)
    print(
        f"{summary['file']}: {summary['bytes'] / 1e6:.2f} MB, {summary['vectors']} vectors, {dict(hosts)} s, missing {summary['missing_seconds']}, lost {len(k['lost_seconds'])}, "
        f"{summary['names_with_1000_seconds']} names ≥ 1000 s, {summary['names_with_200_seconds']} ≥ 200 s, {summary['syscalls']} syscalls",
        file=sys.stderr,
    )
for s in sets if happened else []:
    with open(f'{options.out}/lab-{s}-attacks{options.part}.scenarios.ndjson', 'w') as f:
        n = collections.Counter()
        for seconds, scenario in sorted(zip(acted, happened), key=lambda h: h[1]['from']):
            if scenario['host'][0] == s and seconds < ACTED_SECONDS_MIN:
                print(
                    f"left out, active in {seconds} s only: {scenario['scenario']} on {scenario['host']}",
                    file=sys.stderr,
                )
            elif scenario['host'][0] == s:
                f.write(json.dumps(scenario, separators=(',', ':'), ensure_ascii=False) + '\n')
                n[scenario['kind']] += 1
    print(f'lab-{s}: {dict(n)} happenings', file=sys.stderr)
