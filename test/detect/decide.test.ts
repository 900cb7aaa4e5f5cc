import { expect, test } from 'bun:test'
import { decide, mostProbable } from '../../src/detect/decide.ts'

const classes = { names: ['nginx', 'cron', 'miner'], malicious: [false, false, true] }

// [Paper III]: novelty is low confidence, non-grata a malicious class, masquerade another class
// than claimed, in this order.
test.each([
  ['sure of what it claims', 0, 0.9, 0, 'expected'],
  ['unsure of what it claims', 0, 0.3, 0, 'novelty'],
  ['unsure of a malicious class', 2, 0.3, 0, 'novelty'],
  ['sure of a malicious class', 2, 0.9, 0, 'nonGrata'],
  ['sure of a malicious class, and that is what it claims', 2, 0.9, 2, 'nonGrata'],
  ['sure of a malicious class under a name of no class', 2, 0.9, undefined, 'nonGrata'],
  ['sure of another class', 1, 0.9, 0, 'masquerade'],
  ['sure, under a name that claims nothing', 1, 0.9, undefined, 'expected'],
  ['exactly as sure as it must be', 1, 0.5, 0, 'masquerade'],
] as const)('decide() %s', (_, predicted, confidence, claimed, kind) => {
  expect(decide({ class: predicted, confidence }, claimed, classes, 0.5).kind).toBe(kind)
})

test('decide() names the class and the confidence it decided on', () => {
  expect(decide({ class: 1, confidence: 0.8 }, 0, classes, 0.5)).toEqual({
    kind: 'masquerade',
    className: 'cron',
    confidence: 0.8,
  })
})

test('mostProbable() reads its own row and passes over the class it was told to', () => {
  const probabilities = Float32Array.of(0.9, 0.05, 0.05, 0.25, 0.5, 0.25)
  expect(mostProbable(probabilities, 1, 3)).toEqual({ class: 1, confidence: 0.5 })
  expect(mostProbable(probabilities, 1, 3, (of) => of !== 1).class).toBe(0)
})
