// The lab's Node service: NODE_MODE single (one process), cluster (two workers behind one port) or threads (hashing in a worker thread).
const http = require('node:http'),
  fs = require('node:fs'),
  crypto = require('node:crypto'),
  zlib = require('node:zlib')
const path = require('node:path'),
  cluster = require('node:cluster'),
  { Worker } = require('node:worker_threads')
const mode = process.env.NODE_MODE ?? 'single'
const docs = '/usr/share/doc',
  names = fs.readdirSync(docs),
  LOG = '/tmp/node-app.log'
const worker =
  mode === 'threads'
    ? new Worker(
        "const{parentPort}=require('worker_threads'),c=require('crypto');parentPort.on('message',([i,s])=>parentPort.postMessage([i,c.pbkdf2Sync(s,'y',20000,64,'sha512').toString('hex')]))",
        { eval: true },
      )
    : undefined
const waiting = new Map()
worker?.on('message', ([id, text]) => {
  waiting.get(id)?.end(text)
  waiting.delete(id)
})
let next = 0
function serve(request, response) {
  const url = request.url
  if (url.startsWith('/file')) {
    const directory = path.join(docs, names[(Math.random() * names.length) | 0])
    fs.readdir(directory, (error, list) => {
      if (error || !list.length) return response.end('none')
      const stream = fs.createReadStream(
        path.join(directory, list[(Math.random() * list.length) | 0]),
      )
      stream.on('error', () => response.end())
      stream.pipe(response)
    })
  } else if (url.startsWith('/cpu')) {
    if (worker) {
      waiting.set(++next, response)
      worker.postMessage([next, 'x'])
    } else
      crypto.pbkdf2('x', 'y', 20000, 64, 'sha512', (_, key) => response.end(key.toString('hex')))
  } else if (url.startsWith('/zip'))
    zlib.gzip(crypto.randomBytes(20000).toString('hex'), (_, bytes) => response.end(bytes))
  else if (url.startsWith('/log'))
    fs.appendFile(LOG, `${new Date().toISOString()} ${url}\n`, () => response.end('ok'))
  else response.end(JSON.stringify({ t: Date.now(), m: process.memoryUsage() }))
}
if (mode === 'cluster' && cluster.isPrimary) {
  for (let i = 0; i < 2; i++) cluster.fork()
  cluster.on('exit', () => cluster.fork())
} else {
  http.createServer(serve).listen(3000, '0.0.0.0')
  setInterval(
    () =>
      fs.stat(LOG, (_, s) => {
        if (s && s.size > 1e6) fs.truncate(LOG, 0, () => {})
      }),
    7000,
  )
}
