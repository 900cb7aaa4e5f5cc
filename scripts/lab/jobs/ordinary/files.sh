# Backups, copies, rewriters, compressors, searches: what reads, writes and removes files by the dozen and means well.
group backup
job restic shell;       restic() { export RESTIC_PASSWORD=x; command restic init -r r -q; cp -r /lab/data/docs w; while :; do command restic -r r -q backup w; for f in $(find w -type f | shuf -n 60); do echo more >> "$f"; done; command restic -r r -q forget --keep-last 2 --prune; done; }
job borg shell held-out; borg() { export BORG_PASSPHRASE=x BORG_BASE_DIR=$PWD; command borg init -e repokey r; n=0; while :; do command borg create "r::$((n++))" /lab/data/docs /home; command borg prune --keep-last 3 r; done; }
job duplicity shell;    duplicity() { export PASSPHRASE=x; while :; do command duplicity full --allow-source-mismatch /home file:///job/t; command duplicity incremental /home file:///job/t; rm -rf t; done; }
job rsync_mirror shell; rsync_mirror() { cp -r /lab/data/docs a; while :; do rsync -a --delete a/ b/; for f in $(find a -type f | shuf -n 200); do rm "$f"; done; rsync -a --delete a/ b/; cp -r /lab/data/docs/. a; nap "$(pick 0 500)"; done; }
job rsync_checksum shell held-out; rsync_checksum() { cp -r /lab/data/docs b; while :; do rsync -ac --delete --link-dest=/lab/data/docs /lab/data/docs/ "s$((n++))/"; rsync -avn --checksum /lab/data/docs/ b/ | tail -1; done; }
job rsnapshot_like shell; rsnapshot_like() { cp -r /lab/data/docs s.0; while :; do rm -rf s.3; mv s.2 s.3; mv s.1 s.2; cp -al s.0 s.1; rsync -a /lab/data/docs/ s.0/; sleep .5; done 2>/dev/null; }
job rdiff shell held-out; rdiff() { while :; do rdiff-backup /home b || rdiff-backup backup /home b; date > /home/alice/now; done; }
job tar_xz shell;       tar_xz() { while :; do tar -C /lab/data -cf - docs | xz -2 > a.tar.xz; mkdir x; xz -dc a.tar.xz | tar -C x -xf -; rm -rf x; done; }
job tar_zstd shell held-out; tar_zstd() { while :; do tar --zstd -cf a.tzst -C /lab/data docs; rm -rf x; mkdir x; tar --zstd -xf a.tzst -C x; find x -type f | wc -l; done; }
job tar_incremental shell; tar_incremental() { while :; do tar --listed-incremental=snar -czf "b$((n++)).tgz" /home /var/www; echo x >> "/home/bob/f$n"; ls b*.tgz | head -n -5 | xargs -r rm; done 2>/dev/null; }
job zip_folders shell;  zip_folders() { while :; do for d in /lab/data/docs/*; do zip -qr "$(basename "$d").zip" "$d"; done; for z in *.zip; do unzip -tq "$z"; done; rm -f *.zip; done; }
job sevenzip shell held-out; sevenzip() { while :; do 7z a -bd a.7z /lab/data/docs/0* >/dev/null; 7z t a.7z >/dev/null; rm a.7z; done; }
job cpio_copy shell;    cpio_copy() { while :; do find /lab/data/docs -type f | cpio -pdm c 2>/dev/null; find c | cpio -o --quiet > c.cpio; rm -rf c; done; }
job rclone_sync shell;  rclone_sync() { cp -r /lab/data/docs a; while :; do rclone -q sync a b; for f in $(find a -type f | shuf -n 100); do echo x >> "$f"; done; rclone -q check a b; done; }
job unison_sync shell held-out; unison_sync() { cp -r /lab/data/docs a; mkdir b; while :; do unison -batch -silent a b; for f in $(find a -type f | shuf -n 40); do echo x >> "$f"; done; done; }
job gpg_backup shell;   gpg_backup() { while :; do for d in /home/*; do tar czf - "$d" | gpg --batch -q --yes --trust-model always -r lab@example.test -o "$(basename "$d").tgz.gpg" -e; done; gpg --batch -q -d alice.tgz.gpg | tar tz | wc -l; sleep "$(pick .2 2)"; done; }
job gpg_sign shell held-out; gpg_sign() { while :; do for f in /lab/data/docs/0*/*/*.txt; do gpg --batch -q --yes -o s.sig --detach-sign "$f"; gpg -q --verify s.sig "$f" 2>/dev/null; done; done; }
job openssl_encrypt_backup shell; openssl_encrypt_backup() { while :; do tar cf - /home | openssl enc -aes-256-cbc -pbkdf2 -k x > "b$((n++ % 3)).enc"; openssl enc -d -aes-256-cbc -pbkdf2 -k x < b0.enc | tar t | wc -l; sleep 1; done 2>/dev/null; }
job backup_python python; backup_python() { python3 -c 'import tarfile,os,time,hashlib
while True:
    with tarfile.open("b.tgz","w:gz") as t: t.add("/home"); t.add("/var/www")
    print(hashlib.sha256(open("b.tgz","rb").read()).hexdigest()); os.rename("b.tgz","last.tgz"); time.sleep(.5)'; }

group rewrite
job thumbnails_python python; thumbnails_python() { python3 -c 'import os,time,zlib,random
os.mkdir("photos"); os.mkdir("small"); p=random.choice((0,.01,.05))
while True:
    for i in range(150): open(f"photos/{i}.raw","wb").write(os.urandom(random.randrange(9000,90000)))
    for i in range(150):
        b=open(f"photos/{i}.raw","rb").read(); open(f"small/{i}.jpg","wb").write(zlib.compress(b[::3])); os.remove(f"photos/{i}.raw"); time.sleep(p)'; }
job thumbnails_pil python; thumbnails_pil() { python3 -c 'from PIL import Image; import glob,os
while True:
    for p in glob.glob("/lab/data/pictures/*"):
        im=Image.open(p); im.thumbnail((200,200)); im.convert("RGB").save("t.jpg.tmp","JPEG"); os.replace("t.jpg.tmp","t.jpg")'; }
job mogrify shell;      mogrify() { while :; do cp /lab/data/pictures/* .; command mogrify -resize 50% p*; rm p*; done; }
job convert_loop shell held-out; convert_loop() { while :; do for p in /lab/data/pictures/*; do convert "$p" -resize 300x -quality 80 "o$((n++ % 9)).jpg"; done; done; }
job gm_batch shell held-out; gm_batch() { while :; do for p in /lab/data/pictures/*; do gm convert "$p" -rotate 90 o.png; gm identify o.png; done; done; }
job optimise_images shell; optimise_images() { while :; do cp /lab/data/pictures/* .; jpegoptim -q p*.jpg; optipng -quiet -o1 p*.png; rm p*; done; }
job cwebp_loop shell;   cwebp_loop() { while :; do for p in /lab/data/pictures/*; do cwebp -quiet "$p" -o o.webp; dwebp -quiet o.webp -o o.png; done; done; }
job ffmpeg_transcode shell; ffmpeg_transcode() { while :; do ffmpeg -loglevel error -y -i /lab/data/clip.mp4 -vf scale=320:180 o.mp4; ffmpeg -loglevel error -y -i /lab/data/clip.mp4 -vn a.ogg; ffmpeg -loglevel error -y -i /lab/data/clip.mp4 -r 2 f%03d.png; rm f*.png; done; }
job audio shell held-out; audio() { while :; do sox /lab/data/tone.wav o.wav rate 22050; lame --quiet o.wav o.mp3; flac -s -f /lab/data/tone.wav -o o.flac; done; }
job pdf_tools shell;    pdf_tools() { while :; do gs -q -dBATCH -dNOPAUSE -sDEVICE=pdfwrite -o o.pdf -c '/Helvetica findfont 20 scalefont setfont 100 1 200 { dup 72 exch 3 mul moveto 20 string cvs show showpage } for' ; pdftotext o.pdf; qpdf --linearize o.pdf p.pdf; pdfinfo p.pdf | tail -1; pdftoppm -r 30 -l 9 -png p.pdf g; done; }
job sed_in_place shell; sed_in_place() { cp -r /lab/data/docs d; while :; do find d -name '*.txt' -exec sed -i 's/the/THE/g' {} +; find d -name '*.txt' | head -300 | while read -r f; do sed -i "s/THE/the/" "$f"; done; done; }
job perl_in_place perl held-out; perl_in_place() { cp -r /lab/data/docs d; while :; do find d -name '*.txt' -print0 | xargs -0 perl -pi -e 's/a(\w)/b$1/g'; done; }
job dos2unix_tree shell; dos2unix_tree() { cp -r /lab/data/docs d; while :; do find d -type f -print0 | xargs -0 unix2dos -q; find d -type f -print0 | xargs -0 -n 20 dos2unix -q; done; }
job iconv_rename shell held-out; iconv_rename() { cp -r /lab/data/docs d; while :; do find d -type f | while read -r f; do iconv -f utf8 -t utf16 "$f" > "$f.n" && mv "$f.n" "$f"; iconv -f utf16 -t utf8 "$f" > "$f.n" && mv "$f.n" "$f"; done; done; }
job gzip_rotate shell;  gzip_rotate() { while :; do for i in {1..40}; do head -c $((RANDOM * 9)) /lab/data/app.log > "l$i.log"; done; for f in *.log; do gzip -f "$f"; done; zcat *.gz | wc -l; rm *.gz; done; }
job compressors shell;  compressors() { while :; do for c in gzip bzip2 xz lz4 zstd brotli; do head -c 900000 /lab/data/app.log > f; $c -q -f f 2>/dev/null || $c f; rm -f f f.*; done; done; }
job pigz_big shell held-out; pigz_big() { while :; do pigz -k -c /lab/data/app.log > a.gz; pigz -d -c a.gz | md5sum; lzop -f -o a.lzo /lab/data/app.log; done; }
job logrotate_loop shell; logrotate_loop() { mkdir l; printf '/job/l/*.log {\n rotate 4\n compress\n copytruncate\n missingok\n}\n' > c; while :; do for i in 1 2 3 4 5 6; do head -c 300000 /lab/data/app.log >> l/a$i.log; done; logrotate -f -s st c; sleep .3; done; }
job dedupe shell;       dedupe() { cp -r /lab/data/docs a; cp -r a b; while :; do fdupes -rqm a b; jdupes -rqm a b; rdfind -dryrun true a b | tail -1; done; }
job checksums shell;    checksums() { while :; do find /lab/data /usr/share/doc -type f -print0 | xargs -0 "$(pick md5sum sha1sum sha256sum b2sum)" > sums; sha256sum --quiet -c sums | head -1; done; }
job hashdeep_run shell held-out; hashdeep_run() { while :; do hashdeep -r /lab/data/docs > k; hashdeep -r -a -k k /lab/data/docs; rhash -r --crc32 --sha1 /usr/share/perl5 | tail -1; done; }
job integrity_python python; integrity_python() { python3 -c 'import os,hashlib,json,time
while True:
    db={}
    for d,_,fs in os.walk("/usr/lib/python3"):
        for f in fs:
            p=os.path.join(d,f)
            try: s=os.lstat(p); db[p]=(s.st_mtime,s.st_size,hashlib.sha256(open(p,"rb").read()).hexdigest())
            except OSError: pass
    json.dump(db,open("db.new","w")); os.replace("db.new","db"); time.sleep(.3)'; }
job migrate_files python; migrate_files() { cp -r /lab/data/docs in; python3 -c 'import os,json,time,shutil
while True:
    os.makedirs("out",exist_ok=True)
    for d,_,fs in os.walk("in"):
        for f in fs:
            p=os.path.join(d,f); t=open(p).read(); open(f"out/{f}.json.tmp","w").write(json.dumps({"name":f,"text":t.upper()})); os.rename(f"out/{f}.json.tmp",f"out/{f}.json"); time.sleep(.002)
    shutil.rmtree("out")'; }
job spool_perl perl;    spool_perl() { perl -e 'use Time::HiRes "sleep"; mkdir "q"; mkdir "d"; while(1){ for(1..30){open F,">q/$_";print F "x" x rand 9000;close F} for my $f (glob "q/*"){open F,$f;local $/;my $b=<F>;close F;(my $t=$f)=~s/^q/d/;open G,">$t.tmp";print G lc $b;close G;rename "$t.tmp",$t;unlink $f;sleep .01} }'; }
job queue_php php;      queue_php() { php -r 'mkdir("q"); while(true){ for($i=0;$i<20;$i++) file_put_contents("q/$i.json",json_encode(["id"=>$i,"t"=>microtime(true)])); foreach(glob("q/*.json") as $f){ $j=json_decode(file_get_contents($f)); file_put_contents("done.log","$j->id\n",FILE_APPEND); unlink($f);} usleep(200000);}'; }
job queue_node node;    queue_node() { node -e 'const fs=require("fs/promises");(async()=>{await fs.mkdir("q");for(;;){await Promise.all([...Array(30).keys()].map(i=>fs.writeFile(`q/${i}.json`,JSON.stringify({i,p:"x".repeat(Math.random()*5000)}))));for(const f of await fs.readdir("q")){const j=JSON.parse(await fs.readFile("q/"+f));await fs.writeFile("out.tmp",j.p.toUpperCase());await fs.rename("out.tmp","out");await fs.unlink("q/"+f)}await new Promise(k=>setTimeout(k,100))}})()'; }
job queue_ruby ruby held-out; queue_ruby() { ruby -rjson -rfileutils -e 'Dir.mkdir "q"; loop { 30.times { |i| File.write("q/#{i}.json", {i: i, t: "x"*rand(5000)}.to_json) }; Dir["q/*"].each { |f| j=JSON.parse(File.read(f)); File.write("o.tmp", j["t"].upcase); File.rename("o.tmp","o"); File.delete(f); sleep 0.005 } }'; }
job maildir python;     maildir() { python3 -c 'import mailbox,time,email.message
m=mailbox.Maildir("M")
while True:
    for i in range(30):
        e=email.message.EmailMessage(); e["Subject"]=str(i); e.set_content("hello "*400); m.add(e)
    for k in list(m.keys()):
        x=m[k]; x.set_subdir("cur"); m[k]=x; m.remove(k); time.sleep(.01)'; }
job procmail_run shell held-out; procmail_run() { printf 'MAILDIR=/job\nDEFAULT=/job/box/\n:0\n* ^Subject.*[0-4]\nlow/\n' > rc; chmod 600 rc; while :; do for i in {1..9}; do printf 'From: a@b\nSubject: %s\n\nhello\n' "$i" | procmail ./rc; done; bogofilter -d b -s < /lab/data/table.csv 2>/dev/null; sleep .2; done; }
job temp_shred shell;   temp_shred() { while :; do f=$(mktemp -p .); head -c 50000 /dev/urandom > "$f"; openssl dgst -sha256 "$f"; shred -u "$f"; sleep "$(pick .2 1)"; done; }
job upload_spool python; upload_spool() { python3 /lab/src/sink.py 9009 & sleep 1; while :; do for i in {1..20}; do head -c 90000 /lab/data/random.bin > "u$i"; done; for f in u*; do curl -s -o /dev/null -T "$f" http://127.0.0.1:9009/ && rm "$f"; sleep .1; done; done; }

group search
job find_tree shell;    find_tree() { while :; do find / -xdev -name "*.$(pick conf py so txt)" -size +1k >o; find /usr -type d | wc -l; sleep "$(pick 0 .5)"; done; }
job grep_logs shell;    grep_logs() { while :; do grep -c 'status=500' /lab/data/app.log; grep -cP '(?i)host(1|2)\d .*user=[aeiou]\w+ status=(4|5)\d\d' /lab/data/app.log; grep -rn TODO /usr/lib/python3 | wc -l; done; }
job rg_ag shell held-out; rg_ag() { while :; do rg -c import /usr/lib/python3 | wc -l; ag -l def /usr/lib/python3 | wc -l; ack -l 'sub ' /usr/share/perl5 | wc -l; fdfind . /usr/share | wc -l; done; }
job awk_report shell;   awk_report() { while :; do awk -F'[= ]' '{n[$9]++} END{for(k in n) print n[k],k}' /lab/data/app.log | sort -rn | head; cut -d, -f2,4 /lab/data/table.csv | sort -t, -k2 -n | tail -3; done; }
job gawk_miller shell held-out; gawk_miller() { while :; do gawk -F, '{s[$3]+=$4} END{for(k in s) print s[k],k}' /lab/data/table.csv | sort -n | tail -3; mlr --icsv --ojson stats1 -a mean,p50 -f amount -g day /lab/data/table.csv; done; }
job jq_events shell;    jq_events() { while :; do jq -c 'select(.v>.5)|{id,n:.user.name}' /lab/data/events.ndjson | sort | uniq -c | tail -1; jq -s 'group_by(.user.age)|map(length)|max' /lab/data/events.ndjson; done; }
job sort_big shell;     sort_big() { while :; do sort -S 20M -T . /lab/data/app.log > s; sort -u -k3 /lab/data/app.log | wc -l; shuf /lab/data/table.csv > t; comm -12 <(sort t) <(sort /lab/data/table.csv) | wc -l; done; }
job du_ncdu shell;      du_ncdu() { while :; do du -sh /usr /var /home; du -a /usr/share | sort -n | tail -2; df -h; sleep .5; done; }
job locate_update shell held-out; locate_update() { while :; do find / -xdev -printf '%p %s %T@\n' | sort > db.new; mv db.new db; grep -c python db; duf >/dev/null; tree /usr/share/doc | tail -1; done; }
job xml_tools shell held-out; xml_tools() { python3 -c 'print("<r>"+"".join(f"<i id=\"{i}\"><n>x{i}</n></i>" for i in range(30000))+"</r>")' > x.xml; while :; do xmllint --format x.xml | wc -l; xmlstarlet sel -t -v 'count(//i[@id>500])' x.xml; done; }
job secrets_audit shell; secrets_audit() { while :; do grep -rIlE 'api_key|BEGIN RSA' /var/www /usr/share/doc | wc -l; find /home -perm -o+r -name '*.pem'; sleep 2; done; }
