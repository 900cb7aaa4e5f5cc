"""compare-sources.py KERNEL SYSDIG: sums of two frames files by name and call over the seconds that both have whole."""
import json
import sys
from collections import Counter


def load(path):
    seconds = {}
    for line in open(path):
        vector = json.loads(line)
        if "counts" not in vector or vector["name"] in ("agent", "sysdig"):
            continue
        cells = seconds.setdefault(vector["t"], Counter())
        for call, count in vector["counts"].items():
            cells[vector["name"], call] += count
    return seconds


def total(seconds, chosen):
    cells = Counter()
    for second in chosen:
        cells.update(seconds.get(second, {}))
    return cells


kernel, sysdig = load(sys.argv[1]), load(sys.argv[2])
# The first and last second of the later one may be cut.
both = sorted(set(kernel) & set(sysdig))[1:-1]
k, s = total(kernel, both), total(sysdig, both)
differing = sorted(
    ((abs(k[cell] - s[cell]), cell) for cell in set(k) | set(s) if k[cell] != s[cell]), reverse=True
)
print(
    f"{len(both)} seconds, {len(set(k) | set(s))} cells, {len(differing)} differ; {sum(k.values())} and {sum(s.values())} calls"
)
for _, (name, call) in differing:
    print(f"  {name} {call}: {k[name, call]} by the kernel source, {s[name, call]} by sysdig")
