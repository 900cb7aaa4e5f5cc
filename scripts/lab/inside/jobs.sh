#!/bin/bash
# one random utility job (cron starts some each minute)
# shellcheck disable=SC2046,SC2164
cd /tmp; W=$(mktemp -d /tmp/job.XXXXXX); trap 'rm -rf $W' EXIT
rnd() { echo $(( $1 + RANDOM % ($2 - $1 + 1) )); }
pick() { find "$1" -mindepth 1 -maxdepth 1 | shuf -n "$2"; }
sleep $(rnd 0 40)
other=$(cat /opt/lab/other 2>/dev/null)
case "${1:-$(rnd 1 42)}" in
1) tar cf - $(pick /usr/share/doc $(rnd 20 300)) 2>/dev/null | gzip -$(rnd 1 9) > $W/a.tgz; tar xzf $W/a.tgz -C $W ;;
2) tar cJf $W/a.txz $(pick /usr/share/doc $(rnd 10 60)) 2>/dev/null; tar tJf $W/a.txz > /dev/null ;;
3) for i in $(seq $(rnd 1 6)); do find /usr -xdev -name "*$(rnd 1 9)*" -size +$(rnd 1 20)k > $W/l; sleep $(rnd 0 3); done ;;
4) for i in $(seq $(rnd 1 5)); do grep -rl "w[aeiou]$(rnd 0 9)\|copyright" /usr/share/doc/$(ls /usr/share/doc | shuf -n1 | cut -c1-3)* > /dev/null; sleep 1; done ;;
5) grep -rc the /usr/share/perl /usr/share/doc 2>/dev/null | sort -t: -k2n | tail -5 ;;
6) cd $W; git init -q r; cd r; git config user.email a@b; git config user.name n; for i in $(seq $(rnd 5 40)); do cp $(find /usr/share/doc -type f | shuf -n 3) . 2>/dev/null; git add -A; git commit -qm "c$i"; [ $((RANDOM%4)) = 0 ] && sleep 1; done; git log -p | wc -l; git gc -q; git clone -q . ../c; git -C ../c status ;;
7) for i in $(seq $(rnd 1 4)); do rsync -a --delete $(pick /usr/share/doc $(rnd 20 200)) $W/d/; sleep $(rnd 0 2); done ;;
8) rsync -a -e "ssh -i /home/alice/.ssh/id -o StrictHostKeyChecking=no" $(pick /usr/share/doc $(rnd 10 60)) alice@$other:/tmp/rs/ 2>/dev/null ;;
9) n=$(rnd 20 400); (echo 'create table t(a integer primary key,b text,c real);'; for i in $(seq $n); do echo "insert into t(b,c) values(hex(randomblob(50)),$i);"; done; echo 'create index i on t(b); select count(*),avg(c) from t where b like "%A%"; vacuum;') | sqlite3 $W/x.db ;;
10) sqlite3 $W/y.db "create table t(a,b); with recursive c(x) as (select 1 union all select x+1 from c where x<$(rnd 20000 300000)) insert into t select x, random() from c; create index i on t(b); select count(*) from t t1 join t t2 on t1.a=t2.a;" ;;
11) cp -r /opt/lab/csrc $W/; make -s -C $W/csrc -j$(rnd 1 2) ;;
12) apt-cache search lib$(rnd 1 9) > /dev/null; apt-cache dumpavail | grep -c Package; apt-cache policy bash ;;
13) for i in $(seq 3); do logrotate -f /etc/logrotate.lab -s $W/st; sleep $(rnd 1 4); done ;;
14) python3 /opt/lab/etl.py $(rnd 5 60) ;;
15) perl /opt/lab/rep.pl $(rnd 5 40) ;;
16) find /usr/share -type f | awk -F/ '{n[$4]++} END{for(i in n) print n[i],i}' | sort -rn > $W/o ; sort -R $W/o | sort | uniq -c | tail -1 ;;
17) find /usr/bin -type f | head -$(rnd 100 900) | xargs sha256sum > $W/s; sha256sum -c $W/s > /dev/null ;;
18) for i in $(seq $(rnd 5 80)); do curl -s -o /dev/null http://$other/ ; [ $((RANDOM%3)) = 0 ] && sleep 0.$(rnd 1 9); done ;;
19) wget -q -r -l 2 -P $W http://$other/doc/ ;;
20) sar -u -r 1 $(rnd 5 40) > /dev/null ;;
21) for i in $(seq $(rnd 5 40)); do ps aux > /dev/null; sleep 0.$(rnd 2 9); done ;;
22) updatedb; locate bin | wc -l ;;
23) mandb -q 2>/dev/null; man -k socket > /dev/null 2>&1 ;;
24) dd if=/dev/zero of=$W/z bs=$(rnd 1 64)k count=$(rnd 100 3000) 2>/dev/null; dd if=$W/z of=/dev/null bs=512 2>/dev/null ;;
25) timeout $(rnd 5 40) top -b -d $(rnd 1 2) > /dev/null ;;
26) timeout $(rnd 5 60) vmstat 1 > /dev/null ;;
27) timeout $(rnd 5 60) tcpdump -i any -w /dev/null 2>/dev/null ;;
28) timeout $(rnd 5 60) journalctl -f > /dev/null ;;
29) timeout $(rnd 10 60) tail -F /var/log/syslog > /dev/null ;;
30) for i in $(seq $(rnd 2 20)); do redis-cli -h 127.0.0.1 incr x$i > /dev/null; redis-cli -h $other info > /dev/null; sleep 0.$(rnd 1 9); done ;;
31) timeout $(rnd 5 50) node -e 'const fs=require("fs");setInterval(()=>{fs.readdir("/usr/share/doc",(e,l)=>{for(const n of l.slice(0,50))fs.stat("/usr/share/doc/"+n,()=>{})})},200)' ;;
32) timeout $(rnd 5 50) ruby -e 'loop{Dir.glob("/usr/share/doc/*/copyright").sample(50).each{|f| File.read(f) rescue 0}; sleep rand}' ;;
33) timeout $(rnd 5 50) swaks --silent 2 --to bob@localhost --from alice@localhost --server 127.0.0.1 --body "$(head -c $(rnd 100 9000) /dev/urandom | base64)" ;;
34) zip -qr $W/a.zip $(pick /usr/share/doc $(rnd 10 100)); unzip -tq $W/a.zip ;;
35) bzip2 -k -c $(find /usr/bin -size +500k -type f | shuf -n $(rnd 1 3)) > $W/b.bz2; bunzip2 -t $W/b.bz2 ;;
36) timeout $(rnd 5 40) iostat -x 1 > /dev/null ;;
37) timeout $(rnd 10 60) mosquitto_sub -h $other -t '#' > /dev/null ;;
38) for i in $(seq $(rnd 5 50)); do mosquitto_pub -h $other -t lab/x -m "$i $(date)"; sleep 0.$(rnd 1 9); done ;;
39) tar cf - $(pick /usr/share/doc $(rnd 20 200)) 2>/dev/null | zstd -q -$(rnd 1 12) -o $W/a.zst; zstd -qdc $W/a.zst | wc -c ;;
40) openssl rand -base64 $(rnd 1000 90000) > $W/r; for i in $(seq $(rnd 3 40)); do openssl enc -aes-128-cbc -pbkdf2 -pass pass:x -in $W/r -out $W/r.e; openssl dgst -sha256 $W/r.e > /dev/null; sleep 0.$(rnd 0 9); done ;;
41) ffmpeg -nostdin -loglevel error -f lavfi -i "testsrc=size=$(rnd 8 20)0x120:rate=10:duration=$(rnd 4 40)" -f lavfi -i "sine=frequency=$(rnd 200 900):duration=9" -c:v "$(printf 'mpeg4\nmjpeg\nffv1\n' | shuf -n 1)" -shortest -y $W/v.mkv; ffmpeg -nostdin -loglevel error -re -i $W/v.mkv -vf scale=80:-2 -y $W/w.avi ;;
42) for i in $(seq $(rnd 2 12)); do smbclient -N "//$other/lab" -c "put /usr/share/common-licenses/GPL-3 g$i; ls; get g$i /dev/null" > /dev/null 2>&1; sleep 0.$(rnd 1 9); done ;;
esac
exit 0
