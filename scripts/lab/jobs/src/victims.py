# victims.py DIR SEED [few|many]: files of drawn number, size, depth and kind, as a home or a share holds them.
import os, random, sys

d, r, how = sys.argv[1], random.Random(int(sys.argv[2])), (sys.argv[3:] or [''])[0]
style = r.choice(('small', 'mixed', 'mixed', 'large'))
n = {'small': 1500, 'mixed': 700, 'large': 160}[style]
if how == 'few':
    n //= 6
words = [w.strip() for w in open('/usr/share/dict/words')][::501]
base = (' '.join(r.choices(words, k=60000))).encode()
noise = os.urandom(1 << 20)
kinds = r.choice(
    (
        ('doc', 'xls', 'pdf', 'jpg', 'txt'),
        ('php', 'js', 'html', 'css', 'sql'),
        ('txt',),
        ('csv', 'db', 'bak', 'tar'),
    )
)
for i in range(n):
    p = d + '/' + '/'.join(r.choice('abcdefg') for _ in range(r.randrange(3)))
    os.makedirs(p, exist_ok=True)
    size = {
        'small': r.randrange(100, 9000),
        'mixed': int(r.lognormvariate(10, 1.3)),
        'large': r.randrange(200000, 3000000),
    }[style]
    source = noise if r.random() < 0.3 else base
    with open(f'{p}/{r.choice(words).replace(chr(39), "")}-{i}.{r.choice(kinds)}', 'wb') as f:
        while size > 0:
            o = r.randrange(1000)
            b = source[o : o + size]
            f.write(b)
            size -= len(b)
