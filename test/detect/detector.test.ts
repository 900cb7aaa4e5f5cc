import { describe, expect, test } from 'bun:test'
import { HostMemory } from '../../src/detect/memory.ts'
import type { FactJudge, Finding, Proof } from '../../src/domain/finding.ts'
import { Policy } from '../../src/domain/policy.ts'
import { calibration, classes, detectorWith, live, PLACES, type Standing, T } from './toy.ts'

const nginx: Standing = { pid: 1, name: 'nginx', at: PLACES.nginx }
const opened = (alerts: ReturnType<typeof live>) => alerts.filter(({ state }) => state === 'open')

/** A host whose names have been seen for long enough. */
function lived(standing: readonly Standing[], seconds = 700): HostMemory {
  const memory = new HostMemory('toy', 2)
  live(detectorWith({ memory, learnSeconds: 86_400 }), T - seconds, seconds, standing)
  return memory
}

test('the budget is divided among the questions', () => {
  const { levels } = detectorWith({ falseAlertsPerDay: 4 })
  // Two of the four a day for each question: with all four it would be 9.
  for (const stream of ['claim', 'malice'] as const)
    for (const stage of ['cold', 'warm'] as const)
      expect(levels.of(stream, stage, 'nginx')).toBe(10)
})

describe('Detector.push() from a cold start', () => {
  test('a calibration that saw no evidence and a budget without bound still ask for some', () => {
    const none = { threshold: 0, rate: 20, scale: 3, shape: 0, body: [0] }
    const tails = {
      claim: { cold: none, warm: none },
      malice: { cold: none, warm: none },
    }
    const detector = detectorWith({
      calibration: { ...calibration, tails },
      falseAlertsPerDay: 1e6,
    })
    for (const stream of ['claim', 'malice'] as const)
      expect(detector.levels.of(stream, 'cold', 'nginx')).toBeGreaterThan(0)
    expect(live(detector, T, 60, [nginx])).toEqual([])
    expect(opened(live(detector, T + 60, 9, [{ ...nginx, at: PLACES.cron }]))).toHaveLength(1)
  })

  test('says nothing of programs that are what they claim', () => {
    expect(
      live(detectorWith(), T, 300, [nginx, { pid: 2, name: 'cron', at: PLACES.cron }]),
    ).toEqual([])
  })

  test('raises a masquerade within ten windows, once, with what it claims and what it is', () => {
    const alerts = live(detectorWith(), T, 60, [nginx, { pid: 2, name: 'nginx', at: PLACES.cron }])
    expect(opened(alerts)).toHaveLength(1)
    expect(alerts[0]).toMatchObject({
      kind: 'masquerade',
      process: { pid: 2, name: 'nginx' },
      claimed: { class: 'nginx' },
      predicted: { class: 'cron' },
      technique: 'T1036',
      evidence: { from: T },
    })
    expect(alerts[0]!.time).toBeLessThan(T + 10)
  })

  test('raises a non-grata whatever its name claims', () => {
    for (const name of ['nginx', 'python3', 'a name of its own']) {
      const [alert] = live(detectorWith(), T, 20, [{ pid: 2, name, at: PLACES.miner }])
      expect(alert).toMatchObject({ kind: 'non-grata', predicted: { class: 'miner' } })
      expect(alert!.technique).toBeUndefined()
    }
  })

  test('does not take for malicious what is far from the malicious class, though it is the nearest', () => {
    const alerts = live(detectorWith(), T, 60, [{ pid: 2, name: 'xz', at: [7.9, 7.9] }])
    expect(alerts.filter(({ kind }) => kind === 'non-grata')).toEqual([])
  })

  test('one odd second is no alert', () => {
    const odd = (second: number): Standing[] => [
      { ...nginx, at: second % 30 === 0 ? PLACES.cron : PLACES.nginx },
    ]
    expect(live(detectorWith(), T, 300, odd)).toEqual([])
  })

  test('incomplete and short windows raise nothing, and are counted', () => {
    const detector = detectorWith()
    const alerts = live(detector, T, 60, [
      { pid: 2, name: 'nginx', at: PLACES.miner, incomplete: true },
      { pid: 3, name: 'nginx', at: PLACES.miner, active: 2 },
    ])
    expect(alerts).toEqual([])
    expect(detector.status()).toMatchObject({
      judged: 0,
      undecided: { incomplete: 60, tooShort: 60 },
    })
  })

  test('a shell or an interpreter claims nothing', () => {
    const alerts = live(detectorWith(), T, 60, [
      { pid: 2, name: 'bash', at: PLACES.cron },
      { pid: 3, name: 'python3.11', at: PLACES.sshd },
    ])
    expect(alerts).toEqual([])
  })

  test('a process that takes a trusted name takes its evidence along', () => {
    const detector = detectorWith()
    const renamed = (second: number): Standing[] => [
      { pid: 2, name: second < T + 3 ? 'cron' : 'nginx', at: PLACES.sshd },
    ]
    const kept = live(detector, T, 60, renamed)[0]!.time
    const fresh = live(detectorWith(), T + 3, 60, renamed)[0]!.time
    expect(kept).toBeLessThan(fresh)
  })

  test('a child of systemd before its exec is nobody', () => {
    const child = { name: '(sd-executor)', at: PLACES.miner } as const
    const alerts = live(detectorWith(), T, 60, (second) => [
      // Each lives for some seconds; their group goes on.
      {
        ...child,
        pid: 2 + Math.floor((second - T) / 9),
        startMs: 1000 * (second - ((second - T) % 9)),
      },
      { ...child, pid: -2 },
    ])
    expect(alerts).toEqual([])
  })

  test.each(['(sd-executor)', '(x', '4711'])(
    'a miner that calls itself %p is one all the same, and nothing else is',
    (name) => {
      const miner = live(detectorWith(), T, 60, [{ pid: 2, name, at: PLACES.miner }])
      expect(miner[0]).toMatchObject({ kind: 'non-grata', predicted: { class: 'miner' } })
      expect(live(detectorWith(), T, 60, [{ pid: 3, name, at: PLACES.cron }])).toEqual([])
    },
  )
})

test('Detector.push() finds a tool by its own name that is started over and over', () => {
  const malicious = {
    ...classes,
    toolClassOf: (name: string) => (name === 'miner' ? classes.names.indexOf('miner') : undefined),
  }
  const often = (name: string) =>
    live(detectorWith({ classes: malicious }), T, 40, (second) =>
      second % 10 < 2 ? [{ pid: second - (second % 10), name, at: [4.4, 4.4] }] : [],
    )
  expect(often('miner')[0]).toMatchObject({ kind: 'non-grata', predicted: { class: 'miner' } })
  expect(often('gzip')).toEqual([])
})

describe('Detector.push() with the memory of the host', () => {
  const here: Standing = { pid: 1, name: 'nginx', at: [3.2, 0] }

  test('what a name usually does here is no masquerade, though the model is wrong about it for good', () => {
    const memory = new HostMemory('toy', 2)
    const young = detectorWith({ memory, learnSeconds: 86_400 })
    live(young, T - 700, 700, [{ ...here, at: [2.7, 0] }])
    expect(live(detectorWith({ memory }), T, 300, [here])).toEqual([])
  })

  test('what a name never did here is one, sooner than the model alone would say', () => {
    const memory = lived([nginx])
    const [alert] = live(detectorWith({ memory }), T, 30, [{ ...nginx, pid: 2, at: PLACES.sshd }])
    expect(alert).toMatchObject({ kind: 'masquerade', predicted: { class: 'sshd' } })
    expect(alert!.time).toBeLessThan(T + 10)
  })

  test('a known name whose behaviour fits no class is a novelty', () => {
    const memory = lived([nginx])
    const [alert] = live(detectorWith({ memory }), T, 60, [{ ...nginx, at: [3, 3] }])
    expect(alert).toMatchObject({ kind: 'novelty', claimed: { class: 'nginx' } })
  })

  test('one that behaves like some other program without a class is a masquerade, once the memory agrees', () => {
    const pooled = { ...classes, background: classes.names.indexOf('sshd') }
    const posing = [{ ...nginx, at: PLACES.sshd }]
    expect(live(detectorWith({ classes: pooled }), T, 60, posing)).toEqual([])
    const [alert] = live(detectorWith({ classes: pooled, memory: lived([nginx]) }), T, 60, posing)
    expect(alert).toMatchObject({ kind: 'masquerade', claimed: { class: 'nginx' } })
  })

  test('nothing under an alert is remembered, nor what looks malicious, nor what is strange', () => {
    const memory = lived([nginx])
    const detector = detectorWith({ memory })
    live(detector, T, 600, [
      { pid: 2, name: 'nginx', at: PLACES.sshd },
      { pid: 3, name: 'nginx', at: PLACES.miner },
    ])
    expect(memory.distance('nginx', Float32Array.from(PLACES.sshd))).toBeGreaterThan(3)
    expect(memory.distance('nginx', Float32Array.from(PLACES.miner))).toBeGreaterThan(3)
  })

  test('a masquerade under its alert does not teach the memory to distrust the model', () => {
    const memory = lived([nginx])
    live(detectorWith({ memory }), T, 3_000, [nginx, { pid: 2, name: 'nginx', at: PLACES.sshd }])
    expect(memory.contradicted('nginx')).toBeLessThan(0.02)
  })

  test('no process is the measure of itself: being strange makes its name no name that often is', () => {
    const memory = new HostMemory('toy', 2)
    const young = detectorWith({ memory, learnSeconds: 86_400 })
    live(young, T - 720, 720, (second) => (second % 6 === 0 ? [nginx] : []))
    // Against so short a past every second of this one weighs much.
    const [alert] = live(detectorWith({ memory }), T, 60, [{ ...nginx, pid: 2, at: [3.05, 0] }])
    expect(alert).toMatchObject({ kind: 'masquerade', predicted: { class: 'cron' } })
  })

  test('memory never covers a malicious class, not even while learning', () => {
    const memory = new HostMemory('toy', 2)
    const detector = detectorWith({ memory, learnSeconds: 86_400 })
    live(detector, T, 3_600, [{ pid: 3, name: 'worker', at: PLACES.miner }])
    expect(memory.distance('worker', Float32Array.from(PLACES.miner))).toBe(
      Number.POSITIVE_INFINITY,
    )
  })
})

describe('Detector.push() on programs that are new here', () => {
  const fresh: Standing = { pid: 5, name: 'restic', at: [3, -5] }

  test('only remembers them while it learns', () => {
    const memory = new HostMemory('toy', 2)
    const detector = detectorWith({ memory, learnSeconds: 3_600 })
    expect(live(detector, T, 600, [nginx, fresh])).toEqual([])
    expect(detector.status()).toMatchObject({ learning: true, learningUntil: T + 3_600 })
    expect(memory.known('restic')).toBeDefined()
    expect(live(detectorWith({ memory }), T + 4_000, 60, [fresh])).toEqual([])
  })

  test('alerts each once after it, and never again', () => {
    const memory = lived([nginx])
    const detector = detectorWith({ memory })
    const alerts = live(detector, T, 60, [nginx, fresh])
    expect(opened(alerts)).toMatchObject([
      { kind: 'novelty', claimed: { class: '' }, predicted: { class: '' }, time: T + 3, count: 4 },
    ])
    expect(live(detectorWith({ memory }), T + 100_000, 60, [{ ...fresh, pid: 6 }])).toEqual([])
  })

  test('an old program under a new name is not new', () => {
    const memory = lived([nginx])
    expect(
      live(detectorWith({ memory }), T, 60, [{ pid: 5, name: 'web', at: PLACES.nginx }]),
    ).toEqual([])
  })

  test.each([
    [0.6, 0],
    [0.8, 1],
  ])('one at %d from what another name does here: %d alerts', (x, alerts) => {
    const detector = detectorWith({ memory: lived([nginx]) })
    expect(opened(live(detector, T, 10, [{ pid: 5, name: 'web', at: [x, 0] }]))).toHaveLength(
      alerts,
    )
  })

  test.each([
    [55, 1],
    [65, 0],
  ])('two seconds, %d later two more: %d alerts', (gap, alerts) => {
    const detector = detectorWith({ memory: lived([nginx]) })
    live(detector, T, 2, [fresh])
    expect(opened(live(detector, T + 1 + gap, 2, [fresh]))).toHaveLength(alerts)
  })

  test('what is ordinary elsewhere is no news here', () => {
    const memory = lived([nginx])
    expect(live(detectorWith({ memory }), T, 60, [{ ...fresh, name: 'gzip' }])).toEqual([])
    expect(memory.known('gzip')).toBeDefined()
  })

  test('a new version of a known name is not new', () => {
    const memory = lived([{ pid: 1, name: 'php-fpm8.2', at: [4, 4] }])
    expect(
      live(detectorWith({ memory }), T, 60, [{ pid: 5, name: 'php-fpm8.4', at: [4.2, 4] }]),
    ).toEqual([])
  })
})

test.each([
  ['is judged in each second', 1, 600],
  ['is judged every 20 seconds', 20, 59 * 20],
])('Detector: a name that %s is known well after %d', (_, every, seconds) => {
  const memory = new HostMemory('toy', 2)
  memory.meet('top', T)
  const detector = detectorWith({ memory, learnSeconds: 86_400 })
  const top: Standing = { pid: 7, name: 'top', at: [9, -9] }
  const isKnown = (second: number) => {
    live(detector, second, 1, (second - T) % every === 0 ? [top] : [])
    return detector.status().coverage?.names?.remembered === 1
  }
  const known = Array.from({ length: 1_300 }, (_, i) => i).find((i) => isKnown(T + i))
  expect(known).toBe(seconds)
})

test('Detector.isSuspect(): a process with evidence on it, no other', () => {
  const detector = detectorWith()
  live(detector, T, 3, [nginx, { pid: 2, name: 'nginx', at: PLACES.cron }])
  const suspect = (pid: number) =>
    detector.isSuspect({ pid, name: 'nginx', startMs: (T - 1000) * 1000 })
  expect([1, 2, 3].map(suspect)).toEqual([false, true, false])
})

test('Detector.standing(): a process is known as long as half of its late windows are', () => {
  const detector = detectorWith()
  const process = { pid: 1, name: 'nginx', startMs: (T - 1000) * 1000 }
  live(detector, T, 20, [nginx])
  // Far from all classes, nearest to its own.
  const known = [0, 1, 2, 3].map((i) => {
    live(detector, T + 20 + i, 1, [{ ...nginx, at: [-3, -3] }])
    return detector.standing(process).known
  })
  expect(known).toEqual([true, true, true, false])
})

test.each([
  [1, false],
  [4, true],
])(
  'facts are asked for at a third of the level: with a budget of %d, %p after one window',
  (budget, isAsked) => {
    const asked: string[] = []
    const facts: FactJudge = {
      want: (_, question) => asked.push(question),
      findings: () => undefined,
      isAsking: () => false,
      context: () => undefined,
      proofs: () => [],
    }
    live(detectorWith({ facts, falseAlertsPerDay: budget }), T, 1, [
      { pid: 2, name: 'nginx', at: PLACES.cron },
    ])
    expect(asked).toEqual(isAsked ? ['masquerade'] : [])
  },
)

test('Detector: the same input gives the same messages, ids included', () => {
  const story = () =>
    live(detectorWith(), T, 400, (second) => [
      nginx,
      { pid: 2, name: 'nginx', at: second < T + 40 ? PLACES.cron : PLACES.nginx },
      { pid: -9, latest: 70 + (second % 7), name: 'nc', at: PLACES.miner },
    ])
  expect(story()).toEqual(story())
  expect(
    opened(story())
      .map(({ kind }) => kind)
      .sort(),
  ).toEqual(['masquerade', 'non-grata'])
  expect(story().some(({ state }) => state === 'closed')).toBe(true)
})

test('Detector: what is allowed is counted, not raised; a rule without a behaviour covers nothing critical', () => {
  const bad: Standing[] = [
    { pid: 2, name: 'nginx', at: PLACES.cron },
    { pid: 3, name: 'nginx', at: PLACES.miner },
  ]
  const detector = detectorWith({ allow: [{ name: 'nginx' }] })
  expect(opened(live(detector, T, 30, bad)).map(({ kind }) => kind)).toEqual(['non-grata'])
  expect(detector.status().allowed).toBeGreaterThan(0)
  const both = detectorWith({
    allow: [{ name: 'nginx' }, { name: 'nginx', behaviour: 'crypto-miner' }],
  })
  expect(live(both, T, 30, bad)).toEqual([])
  const over = detectorWith({ allow: [{ name: 'nginx', until: T - 1 }] })
  expect(opened(live(over, T, 30, bad))).toHaveLength(2)
})

test('Detector: a larger budget alerts sooner, a smaller one later', () => {
  const when = (falseAlertsPerDay: number) =>
    live(detectorWith({ falseAlertsPerDay }), T, 60, [
      { pid: 2, name: 'nginx', at: PLACES.cron },
    ])[0]!.time
  expect(when(100)).toBeLessThan(when(1))
  expect(when(1)).toBeLessThan(when(0.001))
})

test('Detector.end() closes what is open', () => {
  const detector = detectorWith()
  live(detector, T, 20, [{ pid: 2, name: 'nginx', at: PLACES.cron }])
  expect(detector.end()).toMatchObject([{ state: 'closed', time: T + 19 }])
})

describe('Detector and facts', () => {
  const process = { pid: 2, name: 'nginx', at: PLACES.cron } as const
  const facts = (findings: readonly Finding[] | undefined, proofs: Proof[] = []): FactJudge => ({
    want: () => {},
    findings: () => findings,
    isAsking: () => false,
    context: () => ({ user: 'www-data', uid: 33, peers: ['10.0.0.5:4444'] }),
    proofs: () => proofs.splice(0),
  })
  const finding = (says: Finding['says'], question: Finding['question'] = 'masquerade') => ({
    ...{ question, says, because: 'a fact' },
  })

  test('a refuted masquerade is an observation with its context', () => {
    const alerts = live(detectorWith({ facts: facts([finding('refutes')]) }), T, 60, [process])
    expect(alerts[0]).toMatchObject({
      ...{ severity: 'low', certainty: 'provisional', because: ['a fact'] },
      ...{ process: { user: 'www-data', uid: 33 }, peers: ['10.0.0.5:4444'] },
    })
    expect(alerts.every(({ severity }) => severity === 'low')).toBe(true)
  })

  test('a supported one is confirmed with the first message', () => {
    const [alert] = live(detectorWith({ facts: facts([finding('supports')]) }), T, 60, [process])
    expect(alert).toMatchObject({ kind: 'masquerade', severity: 'high', certainty: 'confirmed' })
  })

  test('a proof is an alert without any evidence of the model', () => {
    const proof = {
      process: { pid: 7, startMs: T * 1000, name: 'worker' },
      finding: finding('proves', 'crypto-miner'),
    }
    const [alert] = live(detectorWith({ facts: facts([], [proof]) }), T, 1, [])
    expect(alert).toMatchObject({
      ...{ kind: 'non-grata', behaviour: 'crypto-miner', severity: 'critical' },
      ...{ certainty: 'confirmed', because: ['a fact'], techniques: ['T1496.001'] },
      predicted: { class: 'crypto miner' },
    })
  })

  test('support that needs no statistics is listed and notifies nobody', () => {
    const proof = {
      process: { pid: 7, startMs: T * 1000, name: 'bash' },
      finding: finding('supports', 'exfiltration'),
    }
    const [alert] = live(detectorWith({ facts: facts([], [proof]) }), T, 1, [])
    expect(alert).toMatchObject({ behaviour: 'exfiltration', certainty: 'provisional' })
  })

  test('the operator decides about severities', () => {
    const policy = new Policy([{ behaviour: 'crypto-miner', severity: 'low' }])
    const alerts = live(detectorWith({ policy }), T, 60, [{ ...process, at: PLACES.miner }])
    expect(alerts.map(({ severity }) => severity)).toContain('low')
    expect(alerts.every(({ severity }) => severity === 'low')).toBe(true)
  })
})

describe('on a host that the model adapted to', () => {
  const names = ['nginx', 'cron', 'sshd'] as const
  const measured = (windows: number) =>
    new Map(names.map((name) => [classes.names.indexOf(name), { windows, wrong: 0 }]))
  const all = names.map((name, i) => ({ pid: 10 + i, name, at: PLACES[name] }))

  /** An hour of ordinary life while it learns, then a process under another one's name. */
  function found(measuredHere: ReturnType<typeof measured> | undefined, count = 1) {
    const memory = new HostMemory('toy', 2)
    const detector = detectorWith({ memory, learnSeconds: 86_400 })
    live(detector, T - 3_600, 3_600, all)
    detector.recalibrate({ ...calibration, ...(measuredHere && { measuredHere }) })
    const false_ = Array.from({ length: count }, (_, i) => ({
      ...{ pid: 90 + i, name: names[i % 2]!, at: PLACES.sshd },
    }))
    return live(detector, T, 60, [...all, ...false_])
      .filter(({ state }) => state === 'open')
      .map(({ kind, process, predicted }) => `${kind} ${process.name} ${predicted.class}`)
  }

  test('a masquerade is not taken in as usual while the host is learnt', () => {
    // Without a model that was measured here, what a name does in the first day is usual for it.
    expect(found(undefined)).toEqual([])
    expect(found(measured(100))).toEqual(['masquerade nginx sshd'])
  })

  test('several at once are no unrest of the host that hides them', () => {
    expect(found(measured(100), 6)).toEqual(['masquerade nginx sshd', 'masquerade cron sshd'])
  })
})
