import { describe, expect, test } from 'bun:test'
import { type Suspicion, weigh } from '../../src/detect/weigh.ts'

const finding = (says: 'proves' | 'supports' | 'refutes') => ({
  question: 'masquerade' as const,
  says,
  because: says,
})
const suspicion = (more: Partial<Suspicion>): Suspicion => ({
  question: 'masquerade',
  confidence: 0.9,
  named: 0.9,
  isAnyProgram: false,
  seconds: 3,
  warm: false,
  findings: undefined,
  hasFacts: false,
  isAsking: false,
  ...more,
})

describe('weigh()', () => {
  test.each([
    [
      'no facts to be had',
      {},
      { kind: 'alert', certainty: 'provisional', because: [], isProven: false },
    ],
    [
      'no facts, and windows that do not overlap agree',
      { seconds: 10 },
      { kind: 'alert', certainty: 'confirmed', because: [], isProven: false },
    ],
    ['a guess below one half, cold', { confidence: 0.45 }, { kind: 'observation', because: [] }],
    [
      'the same where the memory agrees',
      { confidence: 0.45, warm: true, seconds: 10 },
      { kind: 'alert', certainty: 'confirmed', because: [], isProven: false },
    ],
    ...(
      [
        ['cold', { confidence: 0.47 }, 'observation'],
        ['cold', { confidence: 0.55, seconds: 10 }, 'provisional'],
        ['cold', { confidence: 0.65, seconds: 10 }, 'confirmed'],
        ['warm', { confidence: 0.33, warm: true }, 'observation'],
        ['warm', { confidence: 0.37, warm: true, seconds: 10 }, 'provisional'],
        ['warm', { confidence: 0.43, warm: true, seconds: 10 }, 'provisional'],
        ['warm', { confidence: 0.47, warm: true, seconds: 10 }, 'confirmed'],
        ['an interpreter', { confidence: 0.72, isAnyProgram: true, seconds: 10 }, 'provisional'],
        ['an interpreter', { confidence: 0.78, isAnyProgram: true, seconds: 10 }, 'confirmed'],
        ['an interpreter', { named: 0.55, isAnyProgram: true }, 'provisional'],
        ['an interpreter', { named: 0.45, isAnyProgram: true }, 'observation'],
      ] as const
    ).map(
      ([whose, given, outcome]) =>
        [
          `${whose}, ${JSON.stringify(given)}`,
          given,
          outcome === 'observation'
            ? { kind: outcome, because: [] }
            : { kind: 'alert', certainty: outcome, because: [], isProven: false },
        ] as const,
    ),
    ['facts not answered yet', { hasFacts: true }, { kind: 'wait' }],
    [
      'facts not answered for four seconds',
      { hasFacts: true, seconds: 4 },
      { kind: 'alert', certainty: 'provisional', because: [], isProven: false },
    ],
    [
      'an answer that takes longer is waited for',
      { hasFacts: true, isAsking: true, seconds: 29 },
      { kind: 'wait' },
    ],
    [
      'an answer that is late',
      { hasFacts: true, isAsking: true, seconds: 30 },
      { kind: 'alert', certainty: 'provisional', because: [], isProven: false },
    ],
    [
      'facts never answered',
      { hasFacts: true, seconds: 12 },
      { kind: 'alert', certainty: 'provisional', because: [], isProven: false },
    ],
    [
      'a question that no fact answers',
      { question: 'dns-tunnel', hasFacts: true, seconds: 12 },
      { kind: 'alert', certainty: 'confirmed', because: [], isProven: false },
    ],
    [
      "an interpreter's terminal, between two behaviours",
      { question: 'password-guessing', isAnyProgram: true, confidence: 0.65, named: 0.55 },
      { kind: 'observation', because: [] },
    ],
    [
      'a shell that is surely malicious and nobody knows in which way',
      { question: 'exfiltration', isAnyProgram: true, confidence: 0.76, named: 0.4 },
      { kind: 'observation', because: [] },
    ],
    [
      'an interpreter that is surely one behaviour',
      { question: 'dns-tunnel', isAnyProgram: true, confidence: 0.8, named: 0.7, seconds: 10 },
      { kind: 'alert', certainty: 'confirmed', because: [], isProven: false },
    ],
    [
      'facts that prove, whatever the model says',
      { hasFacts: true, confidence: 0, findings: [finding('proves'), finding('refutes')] },
      { kind: 'alert', certainty: 'confirmed', because: ['proves'], isProven: true },
    ],
    [
      'facts that refute what the model is sure of',
      { hasFacts: true, confidence: 1, seconds: 60, findings: [finding('refutes')] },
      { kind: 'observation', because: ['refutes'] },
    ],
    [
      'facts that support',
      { hasFacts: true, findings: [finding('supports')] },
      { kind: 'alert', certainty: 'confirmed', because: ['supports'], isProven: false },
    ],
    [
      'silent facts on a question that they settle',
      { question: 'reverse-shell', hasFacts: true, confidence: 1, seconds: 60, findings: [] },
      { kind: 'observation', because: [] },
    ],
    [
      'silent facts on a question that they do not settle',
      { question: 'exfiltration', hasFacts: true, seconds: 60, findings: [] },
      { kind: 'alert', certainty: 'confirmed', because: [], isProven: false },
    ],
  ] as const)('%s', (_, given, outcome) => {
    expect(weigh(suspicion(given))).toEqual(outcome as never)
  })
})
