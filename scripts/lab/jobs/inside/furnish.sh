#!/bin/bash
# furnish.sh: what a root file system needs beside packages: homes with secrets in them, documents, logs, pictures,
# neighbours, and the programs of src/ compiled. Run once inside of it; all of it is made up.
set -u; export GOFLAGS=-mod=mod GOCACHE=/lab/gocache HOME=/root
mkdir -p /lab/bin /lab/crowd /lab/data
for n in systemd systemd-journal systemd-udevd dbus-daemon cron rsyslogd sshd systemd-logind agetty nginx-w php-fpm8.2 postgres-w mysqld-w redis-w node-w java-w python-w gunicorn-w exim4 chronyd snmpd-w containerd-w dockerd-w kubelet-w haproxy-w unattended-upgr; do
  for i in 1 2 3; do cp -n /bin/sleep "/lab/crowd/$i-$n" 2>/dev/null || ln -f /bin/sleep "/lab/crowd/$i-$n"; done
done
if [ ! -e /lab/data/.done ]; then
python3 - <<'P'
import os,random
r=random.Random(5); W=[w.strip() for w in open('/usr/share/dict/words')][:60000:9]
def text(n): return ' '.join(r.choices(W,k=n//8))+'\n'
def put(p,s,mode='w'):
    os.makedirs(os.path.dirname(p),exist_ok=True); open(p,mode).write(s)
for u in ('alice','bob','carol','deploy','oracle','git','backup','erin'):
    h=f'/home/{u}'
    put(f'{h}/.ssh/id_rsa','-----BEGIN OPENSSH PRIVATE KEY-----\n'+'\n'.join(''.join(r.choices('ABCDEFabcdef0123456789+/',k=70)) for _ in range(24))+'\n-----END OPENSSH PRIVATE KEY-----\n')
    put(f'{h}/.ssh/known_hosts',text(900)); put(f'{h}/.ssh/config','Host *\n User '+u+'\n')
    put(f'{h}/.aws/credentials','[default]\naws_access_key_id = EXAMPLE\naws_secret_access_key = notarealone\n')
    put(f'{h}/.bash_history','\n'.join(r.choices(['ls','cd /srv','git pull','mysql -u root -pexample','ssh bob@db','vim a.txt','curl -u a:b http://x.example','make'],k=300)))
    put(f'{h}/.netrc','machine ftp.example login a password b\n'); put(f'{h}/.pgpass','localhost:5432:*:a:b\n'); put(f'{h}/.docker/config.json','{"auths":{}}'); put(f'{h}/.config/app/settings.json','{"token":"x"}'); put(f'{h}/.kube/config','apiVersion: v1\n')
    put(f'{h}/.mozilla/firefox/a.default/logins.json','{"logins":[]}'); put(f'{h}/.mozilla/firefox/a.default/key4.db',text(90000)); put(f'{h}/.config/google-chrome/Default/Login Data',text(40000))
    for i in range(60): put(f'{h}/{r.choice(["Documents","work","notes","projects/a","projects/b/src"])}/{r.choice(W)}{i}.{r.choice(["txt","md","py","c","csv","conf","env","log"])}',text(r.choice((300,2000,9000,40000))))
for a in ('shop','blog','api','intranet'):
    put(f'/var/www/{a}/wp-config.php',"<?php define('DB_PASSWORD','example');"); put(f'/var/www/{a}/.env','SECRET_KEY=example\nDATABASE_URL=postgres://a:b@db/x\n')
    for i in range(120): put(f'/var/www/{a}/{r.choice(["lib","views","static","vendor/x","vendor/y"])}/f{i}.{r.choice(["php","js","css","html"])}',text(r.choice((400,3000,12000))))
for i in range(2500): put(f'/lab/data/docs/{i%50:02}/{r.choice("abcdef")}/{r.choice(W)}-{i}.txt',text(r.randrange(200,12000)))
with open('/lab/data/app.log','w') as f:
    for i in range(200000): f.write(f'2026-05-0{i%9+1}T0{i%10}:{i%60:02}:11 host{i%40} {r.choice(W)}[{i%999}]: {r.choice(W)} user={r.choice(W)} status={r.choice((200,200,404,500))} took={r.randrange(900)}ms {r.choice(W)}\n')
with open('/lab/data/table.csv','w') as f:
    f.write('id,name,city,amount,day\n')
    for i in range(120000): f.write(f'{i},{r.choice(W)},{r.choice(W)},{r.randrange(100000)/100},2026-0{i%9+1}-1{i%10}\n')
import json
with open('/lab/data/events.ndjson','w') as f:
    for i in range(60000): f.write(json.dumps({'id':i,'user':{'name':r.choice(W),'age':r.randrange(90)},'tags':r.choices(W,k=4),'v':r.random()})+'\n')
put('/lab/data/random.bin',os.urandom(8<<20),'wb')
from PIL import Image
os.makedirs('/lab/data/pictures',exist_ok=True)
for i in range(24):
    im=Image.effect_noise((900,600),60).convert('RGB') if i%2 else Image.radial_gradient('L').resize((900,600)).convert('RGB'); im.save(f'/lab/data/pictures/p{i}.{"jpg" if i%3 else "png"}')
P
ffmpeg -loglevel error -f lavfi -i testsrc=size=640x360:rate=25:duration=8 -f lavfi -i sine=frequency=440:duration=8 -y /lab/data/clip.mp4
ffmpeg -loglevel error -f lavfi -i sine=frequency=300:duration=60 -y /lab/data/tone.wav
touch /lab/data/.done
fi
for f in /lab/src/*.c; do o=/lab/bin/$(basename "$f" .c); [ "$o" -nt "$f" ] && [ "$o" -nt /lab/src/hide.h ] || gcc -O1 -w -pthread -include /lab/src/hide.h -o "$o" "$f" -lcrypto || echo "not compiled: $f"; done
for f in /lab/src/*.go; do o=/lab/bin/$(basename "$f" .go)-go; [ "$o" -nt "$f" ] || go build -o "$o" "$f" || echo "not compiled: $f"; done
for f in /lab/src/*.rs; do o=/lab/bin/$(basename "$f" .rs)-rs; [ "$o" -nt "$f" ] || rustc -O -o "$o" "$f" 2>/dev/null || echo "not compiled: $f"; done
mkdir -p /lab/java; for f in /lab/src/*.java; do javac -d /lab/java "$f" || echo "not compiled: $f"; done
id dev >/dev/null 2>&1 || useradd -m -s /bin/bash dev; echo dev:letmein7 | chpasswd; for u in alice bob carol; do id $u >/dev/null 2>&1 || useradd -s /bin/bash $u; echo "$u:$u-secret-9" | chpasswd; done
[ -e /etc/ssh/ssh_host_ed25519_key ] || ssh-keygen -A
[ -e /root/.ssh/id_ed25519 ] || { mkdir -p /root/.ssh; ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519; cp /root/.ssh/id_ed25519.pub /root/.ssh/authorized_keys; printf 'StrictHostKeyChecking no\nUserKnownHostsFile /dev/null\nLogLevel ERROR\n' >/root/.ssh/config; }
[ -e /root/.gnupg/pubring.kbx ] || gpg --batch --passphrase '' --quick-gen-key lab@example.test default default never
git config --global user.email a@example.test; git config --global user.name a; git config --global init.defaultBranch main
