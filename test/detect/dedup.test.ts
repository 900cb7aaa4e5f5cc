import { describe, expect, test } from 'bun:test'
import { readKeptCauses } from '../../src/detect/book-state.ts'
import type { Crossing } from '../../src/detect/crossing.ts'
import { AlertBook } from '../../src/detect/dedup.ts'

const T = 1_800_000_000
const crossing = (pid: number, more: Partial<Crossing> = {}): Crossing => ({
  kind: 'masquerade',
  process: { pid, startMs: T * 1000, name: 'nginx' },
  predicted: { class: 'cron', confidence: 0.9 },
  claimed: { class: 'nginx', confidence: 0.02 },
  severity: 'high',
  certainty: 'confirmed',
  from: T - 9,
  windows: 4,
  ...more,
})
const book = (limits = {}) => new AlertBook('h', 'model', limits)

describe('AlertBook.raise()', () => {
  test('opens one alert and says how it came to it', () => {
    const alert = book().raise(crossing(7), T)!
    expect(alert).toMatchObject({
      kind: 'masquerade',
      state: 'open',
      technique: 'T1036',
      count: 4,
      first: T,
      process: { pid: 7, start: T, name: 'nginx' },
      evidence: { from: T - 9, to: T },
    })
  })

  test('same input, same id; another host, another id', () => {
    const id = book().raise(crossing(7), T)!.id
    expect(book().raise(crossing(7), T)!.id).toBe(id)
    expect(book().raise(crossing(7), T + 99)!.id).toBe(id)
    expect(new AlertBook('other', 'model').raise(crossing(7), T)!.id).not.toBe(id)
    const secret = (of: string) => new AlertBook('h', 'model', {}, of).raise(crossing(7), T)!.id
    expect(secret('one')).toBe(secret('one'))
    expect(new Set([id, secret('one'), secret('other')]).size).toBe(3)
  })

  test('repeats update the alert with a count, and not each second', () => {
    const one = book()
    const { id } = one.raise(crossing(7), T)!
    const told = []
    for (let i = 1; i <= 130; i++) told.push(one.raise(crossing(7), T + i))
    const updates = told.filter((alert) => alert !== undefined)
    expect(updates.map(({ time }) => time - T)).toEqual([60, 120])
    expect(updates[1]).toMatchObject({ id, state: 'update', count: 124, first: T, last: T + 120 })
    expect(one.status()).toMatchObject({ opened: 1, updated: 2 })
  })

  test('processes of one name that go wrong together are one cause', () => {
    const one = book()
    one.raise(crossing(7), T)
    expect(one.raise(crossing(8), T + 1)).toBeUndefined()
    one.raise(crossing(9, { predicted: { class: 'sshd', confidence: 1 } }), T + 2)
    expect(one.status()).toMatchObject({ opened: 1, merged: 2 })
  })

  test('two malicious classes under one name are two causes', () => {
    const one = book()
    const bad = (of: string): Partial<Crossing> => ({
      kind: 'non-grata',
      predicted: { class: of, confidence: 1 },
    })
    one.raise(crossing(7, bad('miner')), T)
    expect(one.raise(crossing(8, bad('nc')), T + 1)!.state).toBe('open')
  })

  test('two containers that go wrong alike at a time are two causes, and so are two users', () => {
    const one = book()
    const within = (pid: number, more: Partial<Crossing['process']>) =>
      one.raise(crossing(pid, { process: { ...crossing(pid).process, ...more } }), T)
    expect(within(7, { container: 'aaaaaaaaaaaa', uid: 0 })?.state).toBe('open')
    expect(within(8, { container: 'bbbbbbbbbbbb', uid: 0 })?.state).toBe('open')
    expect(within(9, { container: 'bbbbbbbbbbbb', uid: 1000 })?.state).toBe('open')
    expect(within(10, { container: 'bbbbbbbbbbbb', uid: 0 })).toBeUndefined()
  })

  test('what another process does later is another cause', () => {
    const one = book()
    const { id } = one.raise(crossing(7), T)!
    expect(one.raise(crossing(8), T + 31)).toMatchObject({ state: 'open', process: { pid: 8 } })
    expect(one.raise(crossing(7), T + 90)).toMatchObject({ state: 'update', id })
  })

  test('a process has one alert: the same kind of thing under another class joins it', () => {
    const one = book()
    const { id } = one.raise(crossing(7), T)!
    one.raise(crossing(7, { predicted: { class: 'sshd', confidence: 1 } }), T + 1)
    one.raise(crossing(7, { kind: 'novelty' }), T + 2)
    expect(one.status().opened).toBe(1)
    expect(one.raise(crossing(7), T + 60)!.id).toBe(id)
  })

  test('a novelty may turn out to be something worse', () => {
    const one = book()
    one.raise(crossing(7, { kind: 'novelty' }), T)
    expect(one.raise(crossing(7, { kind: 'non-grata' }), T + 1)!.state).toBe('open')
    const another = book()
    another.raise(crossing(7, { kind: 'novelty' }), T)
    expect(another.raise(crossing(7), T + 1)).toMatchObject({ state: 'open', kind: 'masquerade' })
  })

  test('and is closed then, unless another process is under it', () => {
    const one = book()
    const novelty = one.raise(crossing(7, { kind: 'novelty' }), T)!
    one.raise(crossing(8, { kind: 'novelty' }), T)
    one.raise(crossing(7), T + 1)
    expect(one.tick(T + 1)).toEqual([])
    one.raise(crossing(8), T + 2)
    expect(one.tick(T + 2)).toMatchObject([{ id: novelty.id, state: 'closed' }])
    expect(one.tick(T + 3)).toEqual([])
    expect(one.status()).toMatchObject({ open: 1, closed: 1 })
  })

  test('technique is named for masquerades only', () => {
    expect(book().raise(crossing(7, { kind: 'non-grata' }), T)!.technique).toBeUndefined()
  })

  test('a group of short-lived processes names its latest member', () => {
    const process = { pid: -40, startMs: T * 1000, name: 'nc', latest: 57 }
    expect(book().raise(crossing(0, { process }), T)!.process.pid).toBe(57)
  })

  test('a full minute holds back what is new, counted, and lets it in later', () => {
    const one = book({ perMinute: 3 })
    const other = (i: number) =>
      crossing(i, { process: { pid: i, startMs: T * 1000, name: `n${i}` } })
    for (let i = 0; i < 5; i++) one.raise(other(i), T)
    expect(one.status()).toMatchObject({ opened: 3, held: 2 })
    expect(one.raise(other(4), T + 60)!.state).toBe('open')
  })

  test('a flood of novelties leaves room in the minute for what is worse', () => {
    const one = book({ perMinute: 4 })
    const of = (pid: number, kind: 'novelty' | 'non-grata') =>
      crossing(pid, {
        ...{ kind, severity: kind === 'novelty' ? 'medium' : 'high' },
        process: { pid, startMs: T * 1000, name: `n${pid}` },
      })
    for (let i = 1; i <= 9; i++) one.raise(of(i, 'novelty'), T)
    expect(one.status()).toMatchObject({ opened: 3, held: 6 })
    expect(one.raise(of(10, 'non-grata'), T)?.state).toBe('open')
  })
})

describe('AlertBook quotas', () => {
  const of = (pid: number, uid: number, className: string, severity: 'high' | 'medium' = 'high') =>
    crossing(pid, {
      ...{ kind: 'non-grata', severity, predicted: { class: className, confidence: 1 } },
      process: { pid, startMs: T * 1000, name: `n${pid}`, uid },
    })

  test('ninety decoys of one user cost that user and class, and nobody else', () => {
    const one = book()
    for (let pid = 1; pid <= 90; pid++) one.raise(of(pid, 1000, 'network scan'), T)
    // 60 a minute: a quarter for one class of one user.
    expect(one.status()).toMatchObject({ opened: 15, held: 75 })
    expect(one.raise(of(200, 1000, 'file encryption'), T)?.state).toBe('open')
    expect(one.raise(of(201, 33, 'network scan'), T)?.state).toBe('open')
  })

  test('many classes of one user leave half of the minute to others', () => {
    const one = book()
    for (let pid = 1; pid <= 200; pid++) one.raise(of(pid, 1000, `class ${pid % 20}`), T)
    expect(one.status().opened).toBe(30)
    for (let pid = 300; pid < 330; pid++) one.raise(of(pid, pid, 'file encryption'), T)
    expect(one.status().opened).toBe(60)
  })

  test('of what a user may use a quarter is left to the worse severities', () => {
    const one = book()
    for (let pid = 1; pid <= 90; pid++) one.raise(of(pid, 1000, `class ${pid}`, 'medium'), T)
    expect(one.status().opened).toBe(23)
    expect(one.raise(of(200, 1000, 'file encryption'), T)?.state).toBe('open')
  })
})

describe('AlertBook.tick()', () => {
  test('closes what has been quiet, once', () => {
    const one = book()
    const { id } = one.raise(crossing(7), T)!
    expect(one.tick(T + 119)).toEqual([])
    expect(one.tick(T + 120)).toMatchObject([{ id, state: 'closed', last: T, time: T + 120 }])
    expect(one.tick(T + 121)).toEqual([])
    expect(one.isOpen(crossing(7).process)).toBe(false)
  })

  test('what returns within a day is the same alert again, after that a new one of the same id', () => {
    const one = book()
    const { id } = one.raise(crossing(7), T)!
    expect(one.tick(T + 200)).toMatchObject([{ state: 'closed', ended: 'quiet' }])
    const again = one.raise(crossing(7), T + 300)!
    expect(again).toMatchObject({ id, state: 'update', reopened: 1 })
    expect(again.ended).toBeUndefined()
    expect(one.status()).toMatchObject({ opened: 1, reopened: 1, open: 1, closed: 0 })
    one.tick(T + 500)
    one.tick(T + 300 + 86_400)
    const anew = one.raise(crossing(7), T + 300 + 86_401)!
    expect(anew).toMatchObject({ id, state: 'open', first: T + 300 + 86_401 })
    expect(one.status()).toMatchObject({ opened: 2, open: 1, closed: 1 })
  })

  test('one alert too many closes the one that was silent for longest, and says so', () => {
    const one = book({ remembered: 2, perMinute: 9 })
    const of = (pid: number) =>
      crossing(pid, { process: { pid, startMs: T * 1000, name: `n${pid}` } })
    for (const pid of [1, 2, 3]) one.raise(of(pid), T + pid)
    expect(one.tick(T + 4)).toMatchObject([
      { process: { pid: 1 }, state: 'closed', ended: 'bound' },
    ])
    expect(one.status()).toMatchObject({ opened: 3, open: 2, closed: 1 })
  })

  test('what was forgotten for want of room is joined by none', () => {
    const one = book({ remembered: 2, perMinute: 9 })
    const of = (pid: number, name: string) =>
      crossing(pid, { process: { pid, startMs: T * 1000, name } })
    const { id } = one.raise(of(1, 'x'), T)!
    one.raise(of(2, 'y'), T + 1)
    one.raise(of(3, 'z'), T + 2)
    expect(one.tick(T + 2)).toMatchObject([{ id, ended: 'bound' }])
    const next = one.raise(of(4, 'x'), T + 3)!
    expect(next).toMatchObject({ state: 'open', process: { pid: 4 } })
    expect(next.id).not.toBe(id)
    expect(one.isOpen(of(1, 'x').process)).toBe(false)
  })

  test('one that goes on does not keep a quiet one open', () => {
    const one = book()
    one.raise(crossing(7), T)
    one.raise(crossing(8, { process: { pid: 8, startMs: T * 1000, name: 'cron' } }), T)
    for (let i = 1; i <= 120; i++) one.raise(crossing(7), T + i)
    expect(one.tick(T + 120)).toMatchObject([{ process: { pid: 8 } }])
  })
})

test('AlertBook.closeWhere() closes what is over, once, and says why', () => {
  const one = book()
  one.raise(crossing(7), T)
  one.raise(crossing(8, { kind: 'novelty' }), T)
  const isSeven = (owners: ReadonlySet<string>) => owners.has(`7@${T}`)
  const closed = { state: 'closed', time: T + 5, ended: 'gone', process: { pid: 7 } }
  expect(one.closeWhere(isSeven, 'gone', T + 5)).toMatchObject([closed])
  expect(one.closeWhere(isSeven, 'gone', T + 6)).toEqual([])
  expect(one.status()).toMatchObject({ opened: 2, open: 1, closed: 1 })
})

test('AlertBook.explain() gives the reasons to later messages', () => {
  const one = book()
  const { id } = one.raise(crossing(7), T)!
  const why = [{ syscall: 'connect', seen: 0.5, expected: 0 }]
  one.explain(id, why)
  expect(one.raise(crossing(7), T + 60)!.why).toEqual(why)
})

describe('over a restart', () => {
  /** What a second book knows after the first was kept. */
  const restarted = (one: AlertBook): AlertBook => {
    const { causes, counts } = one.changes()!
    const next = book()
    next.restore(readKeptCauses(JSON.parse(JSON.stringify(causes))), counts)
    return next
  }

  test('an open alert goes on: the same id, no second opening, one close', () => {
    const one = book()
    const { id } = one.raise(crossing(7), T)!
    const next = restarted(one)
    next.resumeAt(T + 4000)
    expect(next.tick(T + 4000)).toEqual([])
    expect(next.raise(crossing(7), T + 4010)).toMatchObject({ id, state: 'update', first: T })
    expect(next.tick(T + 4010 + 120)).toMatchObject([{ id, state: 'closed' }])
    expect(next.status()).toMatchObject({ opened: 1, reopened: 0, open: 0, closed: 1 })
  })

  test('what is open is quiet only from the restart on', () => {
    const one = book()
    one.raise(crossing(7), T)
    const next = restarted(one)
    next.resumeAt(T + 4000)
    expect(next.tick(T + 4000 + 119)).toEqual([])
    expect(next.tick(T + 4000 + 120)).toMatchObject([{ ended: 'quiet' }])
  })

  test('a clock that went back a day holds back neither updates nor closing', () => {
    const one = book()
    one.raise(crossing(7), T)
    const next = restarted(one)
    next.resumeAt(T - 86_400)
    expect(next.raise(crossing(7), T - 86_400 + 60)!.state).toBe('update')
    expect(next.tick(T - 86_400 + 60 + 120)).toMatchObject([{ state: 'closed', time: T }])
  })

  test('the worker of a server goes on under the alert of the server', () => {
    const one = book()
    const { id } = one.raise(crossing(7), T)!
    one.raise(crossing(8), T + 1)
    const next = restarted(one)
    next.resumeAt(T + 500)
    expect(next.raise(crossing(8), T + 600)!.id).toBe(id)
  })

  test('a process whose start is told as the neighbouring second is the same one', () => {
    for (const apart of [-1, 1]) {
      const one = book()
      const { id } = one.raise(crossing(7), T)!
      const next = restarted(one)
      next.resumeAt(T + 500)
      const process = { pid: 7, startMs: (T + apart) * 1000, name: 'nginx' }
      expect(next.isOpen(process)).toBe(true)
      expect(next.raise(crossing(7, { process }), T + 600)!.id).toBe(id)
      expect(next.isOpen({ ...process, startMs: (T + 3 * apart) * 1000 })).toBe(false)
    }
  })

  test('what is closed and returns is reopened', () => {
    const one = book()
    one.raise(crossing(7), T)
    one.tick(T + 200)
    const next = restarted(one)
    next.resumeAt(T + 500)
    expect(next.raise(crossing(7), T + 600)).toMatchObject({ state: 'update', reopened: 1 })
    expect(next.status()).toMatchObject({ opened: 1, reopened: 1, open: 1, closed: 0 })
  })

  test('tells each change once, and those again that could not be kept', () => {
    const one = book()
    expect(one.changes()).toBeUndefined()
    one.raise(crossing(7), T)
    const changes = one.changes()!
    expect(changes.causes).toMatchObject([{ open: true, owners: [`7@${T}`] }])
    expect(one.changes()).toBeUndefined()
    one.notKept(changes)
    expect(one.changes()).toEqual(changes)
    one.tick(T + 120)
    one.tick(T + 86_400)
    const { id } = changes.causes[0]!.alert
    expect(one.changes()).toMatchObject({ causes: [], forgotten: [id], counts: { opened: 1 } })
  })

  test('of what is not whole nothing is taken', () => {
    const one = book()
    one.raise(crossing(7), T)
    const [whole] = one.changes()!.causes
    const damaged = [null, 7, {}, { ...whole, owners: ['x'] }, { ...whole, alert: { id: 'a' } }]
    expect(readKeptCauses([...damaged, whole])).toEqual([whole!])
  })
})

describe('AlertBook and severity', () => {
  const low = { severity: 'low', certainty: 'provisional' } as const

  test('an observation becomes an alert when it turns out to be worse, and that is told at once', () => {
    const one = book()
    const seen = one.raise(crossing(7, low), T)!
    expect(seen).toMatchObject({ severity: 'low', state: 'open' })
    const alert = one.raise(crossing(7, { because: ['a fact'] }), T + 1)!
    expect(alert).toMatchObject({
      id: seen.id,
      severity: 'high',
      state: 'open',
      because: ['a fact'],
    })
    expect(one.status()).toMatchObject({ opened: 1, observed: 1, open: 1 })
  })

  test('what refuted an observation is no reason of the alert that it becomes', () => {
    const one = book()
    one.raise(crossing(7, { ...low, because: ['it is the unmodified file of a package'] }), T)
    expect(one.raise(crossing(7), T + 1)!.because ?? []).toEqual([])
  })

  test('an alert does not become an observation', () => {
    const one = book()
    one.raise(crossing(7), T)
    expect(one.raise(crossing(7, low), T + 100)).toMatchObject({ severity: 'high' })
  })

  test('certainty only grows, and is told at once', () => {
    const one = book()
    expect(one.raise(crossing(7, { certainty: 'provisional' }), T)?.certainty).toBe('provisional')
    expect(one.raise(crossing(7, { certainty: 'provisional' }), T + 1)).toBeUndefined()
    expect(one.raise(crossing(7), T + 2)).toMatchObject({ state: 'update', certainty: 'confirmed' })
    expect(one.raise(crossing(7, { certainty: 'provisional' }), T + 70)?.certainty).toBe(
      'confirmed',
    )
  })

  test('a day has room for so many confirmed alerts, the last quarter for critical ones', () => {
    const one = book({ confirmedPerDay: 4 })
    const of = (pid: number, severity: 'high' | 'critical') =>
      one.raise(
        crossing(pid, { severity, process: { pid, startMs: T * 1000, name: `n${pid}` } }),
        T + pid,
      )?.certainty
    expect([1, 2, 3, 4].map((pid) => of(pid, 'high'))).toEqual([
      ...['confirmed', 'confirmed', 'confirmed', 'provisional'],
    ] as never)
    expect(of(5, 'critical')).toBe('confirmed')
    expect(of(6, 'critical')).toBe('provisional')
    expect(one.status().withheld).toBe(2)
  })

  test('a flood of observations takes no place from alerts', () => {
    const one = book({ perMinute: 4 })
    for (let pid = 1; pid <= 9; pid++)
      one.raise(crossing(pid, { ...low, process: { pid, startMs: T * 1000, name: `n${pid}` } }), T)
    expect(one.raise(crossing(99, { process: { pid: 99, startMs: T, name: 'z' } }), T)?.state).toBe(
      'open',
    )
  })
})
