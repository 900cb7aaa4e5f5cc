import { expect, test } from 'bun:test'
import { fitTemperature } from '../../../src/train/calibrate/temperature.ts'
import {
  argmaxRows,
  auroc,
  calibrationError,
  figuresOf,
} from '../../../src/train/evaluate/metrics.ts'
import { Random } from '../../../src/train/random.ts'

test('figuresOf() gives precision and recall per class and their plain means', () => {
  //            truth      a a a b b c
  const figures = figuresOf(['a', 'b', 'c', 'd'], [0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 0, 3])
  expect(figures.classes.map(({ name, windows }) => [name, windows])).toEqual([
    ['a', 3],
    ['b', 2],
    ['c', 1],
  ])
  expect(figures.classes[0]).toMatchObject({ precision: 2 / 3, recall: 2 / 3 })
  expect(figures.classes[1]).toMatchObject({ precision: 1 / 2, recall: 1 / 2 })
  expect(figures.classes[2]).toMatchObject({ precision: 0, recall: 0 })
  expect(figures.macroPrecision).toBeCloseTo((2 / 3 + 1 / 2 + 0) / 3, 10)
  expect(figures.macroRecall).toBeCloseTo((2 / 3 + 1 / 2 + 0) / 3, 10)
  expect(figures.accuracy).toBeCloseTo(3 / 6, 10)
  expect(figures.confusion[2]).toEqual([0, 0, 0, 1])
})

test('argmaxRows() takes the first of equals', () => {
  expect([...argmaxRows(Float32Array.from([1, 3, 3, 0, -1, -2]), 3)]).toEqual([1, 0])
})

test('calibrationError() is 0 where confidence is accuracy, and their distance where not', () => {
  expect(calibrationError([0.75, 0.75, 0.75, 0.75], [true, true, true, false])).toBeCloseTo(0, 10)
  expect(calibrationError([0.95, 0.95], [true, false])).toBeCloseTo(0.45, 10)
})

test('fitTemperature() finds the temperature that overconfident logits need', () => {
  const random = new Random(2)
  const n = 4_000
  const logits = new Float32Array(n * 2)
  const labels = new Int32Array(n)
  for (let i = 0; i < n; i++) {
    const honest = 2 * random.normal()
    labels[i] = random.next() < 1 / (1 + Math.exp(-honest)) ? 1 : 0
    logits[2 * i + 1] = 3 * honest // three times too sure
  }
  const { temperature, ece } = fitTemperature(logits, labels, 2)
  expect(temperature).toBeGreaterThan(2.7)
  expect(temperature).toBeLessThan(3.3)
  expect(ece).toBeLessThan(0.03)
})

test('auroc() is the share of pairs in the right order, ties by half', () => {
  // 3 beats 1 and 2, ties with 3; 2 beats 1, ties with 2, loses to 3: (2.5 + 1.5) of 6.
  expect(auroc([3, 2], [1, 2, 3])).toBeCloseTo(4 / 6, 12)
  expect(auroc([5, 6], [1, 2])).toBe(1)
  expect(auroc([1], [2, 3])).toBe(0)
})
