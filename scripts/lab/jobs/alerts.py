"""A live agent beside the jobs, and what it said of each: run.py --watch.

The agent is the built binary with all defaults and an empty state. An alert belongs to the run whose container it names; alerts about
the rest of the machine are counted apart. Severity low is an observation and accuses nobody.
"""
import collections, json, subprocess, threading, time


class Watch:
    def __init__(self, agent, work):
        self.work, self.agent, self.alerts, self.state = work, agent, [], work + '/state'
        self.process = subprocess.Popen(
            [agent, 'watch', '--source', 'kernel', '--state', self.state, '--json'],
            stdout=subprocess.PIPE,
            stderr=open(work + '/agent.log', 'w'),
            text=True,
        )
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()
        time.sleep(15)
        if self.process.poll() is not None:
            raise SystemExit('the agent did not start: ' + open(work + '/agent.log').read()[-500:])

    def read(self):
        for line in self.process.stdout:
            try:
                alert = json.loads(line)
            except ValueError:
                continue
            if 'kind' in alert and 'process' in alert:
                self.alerts.append((time.time(), alert))

    def end(self):
        """@returns the agent's own account, or why there is none"""
        time.sleep(5)
        status = subprocess.run(
            [self.agent, 'status', '--state', self.state, '--json'], capture_output=True, text=True
        ).stdout
        died = self.process.poll() is not None
        self.process.terminate()
        self.process.wait(30)
        if died:
            print(
                'THE AGENT ENDED BEFORE ITS TIME: ' + open(self.work + '/agent.log').read()[-300:]
            )
        try:
            return json.loads(status)
        except ValueError:
            return {}


def say(alert, after):
    predicted = alert.get('predicted') or {}
    return f"+{after:.0f} s {alert.get('certainty', '')} {alert.get('severity', '')} {alert['kind']} \"{alert['process']['name']}\" like \"{predicted.get('class')}\" {100 * predicted.get('confidence', 0):.0f} %"


def report(done, alerts, status, out):
    rows, elsewhere = [], set()
    by_container = {d['container']: d for d in done}
    said = collections.defaultdict(dict)
    for at, alert in alerts:
        run = by_container.get((alert['process'].get('container') or '')[:12])
        if run is None:
            elsewhere.add(alert['id'])
            continue
        # What counts is the worst that was said of one cause, and when it was first said.
        entry = said[run['key']].setdefault(alert['id'], dict(first=at - run['from'], alert=alert))
        if alert.get('certainty') == 'confirmed' and entry['alert'].get('certainty') != 'confirmed':
            entry['alert'] = alert
    minutes, false, confirmed, found = 0, 0, 0, collections.defaultdict(list)
    for d in sorted(done, key=lambda d: (bool(d['behaviour']), d['group'], d['name'])):
        accused = sorted(
            (e for e in said[d['key']].values() if e['alert'].get('severity') != 'low'),
            key=lambda e: e['first'],
        )
        noted = len(said[d['key']]) - len(accused)
        name = d['name'] + (f" as {d['disguise']}" if d['disguise'] else '')
        if d['behaviour']:
            found[d['behaviour']].append(
                (name, d['heldOut'], accused[0]['first'] if accused else None)
            )
            verdict = 'found ' if accused else 'missed'
        else:
            minutes += (d['to'] - d['from']) / 60
            false += len(accused)
            confirmed += sum(e['alert'].get('certainty') == 'confirmed' for e in accused)
            verdict = 'FALSE ' if accused else 'quiet '
        print(
            f"{verdict} {d['group']:18} {name:36} {'held out ' if d['heldOut'] else ''}"
            + '; '.join(say(e['alert'], e['first']) for e in accused[:3])
            + (f' ({noted} observations)' if noted else '')
        )
        rows.append(
            dict(
                job=name,
                group=d['group'],
                malicious=bool(d['behaviour']),
                heldOut=d['heldOut'],
                accused=[say(e['alert'], e['first']) for e in accused],
                observations=noted,
            )
        )
    for behaviour, runs in sorted(found.items()):
        delays = sorted(t for _, _, t in runs if t is not None)
        print(
            f"{behaviour}: {len(delays)} of {len(runs)}"
            + (f", median {delays[len(delays) // 2]:.0f} s" if delays else '')
        )
    everything = [r for runs in found.values() for r in runs]
    if everything:
        print(
            f"found {sum(t is not None for _, _, t in everything)} of {len(everything)}; held out {sum(t is not None for _, h, t in everything if h)} of {sum(h for _, h, _ in everything)}"
        )
    if minutes:
        print(
            f'false alerts {false} ({confirmed} confirmed) in {minutes:.1f} job-minutes of ordinary jobs'
        )
    observed, governor = status.get('observed', {}), status.get('governor', {})
    low = sum(governor.get('reducedSeconds', []) or [])
    print(
        f"seconds {observed.get('frames')}, judged in full {100 * (1 - low / max(1, observed.get('frames') or 1)):.0f} %; {len(elsewhere)} alerts about the rest of the machine"
    )
    with open(out, 'w') as f:
        for row in rows:
            f.write(json.dumps(row, ensure_ascii=False) + '\n')
