/**
 * What is measured on a trained net before it is used: the temperature that makes its probabilities honest
 * on held-out windows, and where its classes lie in the space of its states.
 */
import { softmax } from '../model/classifier.ts'
import { argmaxRows, calibrationError } from './metrics.ts'

/** The temperature with the least loss on held-out windows (golden section over its logarithm), and the error that is left. */
export function fitTemperature(
  logits: Float32Array,
  labels: ArrayLike<number>,
  classes: number,
): { temperature: number; ece: number } {
  const n = labels.length
  if (n === 0) return { temperature: 1, ece: 0 }
  const loss = (temperature: number): number => {
    const probabilities = logits.slice()
    softmax(probabilities, n, classes, temperature)
    let sum = 0
    for (let i = 0; i < n; i++)
      sum -= Math.log(Math.max(1e-12, probabilities[i * classes + labels[i]!]!))
    return sum
  }
  const ratio = (Math.sqrt(5) - 1) / 2
  let low = Math.log(0.25)
  let high = Math.log(8)
  let a = high - ratio * (high - low)
  let b = low + ratio * (high - low)
  let lossA = loss(Math.exp(a))
  let lossB = loss(Math.exp(b))
  for (let i = 0; i < 24; i++) {
    if (lossA < lossB) {
      high = b
      b = a
      lossB = lossA
      a = high - ratio * (high - low)
      lossA = loss(Math.exp(a))
    } else {
      low = a
      a = b
      lossA = lossB
      b = low + ratio * (high - low)
      lossB = loss(Math.exp(b))
    }
  }
  const temperature = Math.exp((low + high) / 2)
  const probabilities = logits.slice()
  softmax(probabilities, n, classes, temperature)
  const top = argmaxRows(probabilities, classes)
  const confidence = Array.from(top, (c, i) => probabilities[i * classes + c]!)
  const right = Array.from(top, (c, i) => c === labels[i])
  return { temperature, ece: calibrationError(confidence, right) }
}

/** Mean state of each class, and W such that |W(a − b)|² is the distance whitened by the spread within classes. */
export function stateSpace(
  states: Float32Array,
  labels: ArrayLike<number>,
  classes: number,
  size: number,
): { centroids: Float32Array; whitening: Float32Array } {
  const centroids = new Float32Array(classes * size)
  const counts = new Float64Array(classes)
  const n = labels.length
  for (let i = 0; i < n; i++) {
    counts[labels[i]!]!++
    for (let j = 0; j < size; j++) centroids[labels[i]! * size + j]! += states[i * size + j]!
  }
  for (let c = 0; c < classes; c++)
    for (let j = 0; j < size; j++) centroids[c * size + j]! /= Math.max(1, counts[c]!)
  const covariance = new Float64Array(size * size)
  const difference = new Float64Array(size)
  for (let i = 0; i < n; i++) {
    const c = labels[i]!
    for (let j = 0; j < size; j++) difference[j] = states[i * size + j]! - centroids[c * size + j]!
    for (let j = 0; j < size; j++)
      for (let k = 0; k <= j; k++) covariance[j * size + k]! += difference[j]! * difference[k]!
  }
  // A little of the identity keeps directions in which nothing varied from counting without end.
  let trace = 0
  for (let j = 0; j < size; j++) trace += covariance[j * size + j]! / Math.max(1, n)
  for (let j = 0; j < size; j++)
    for (let k = 0; k <= j; k++) {
      covariance[j * size + k]! /= Math.max(1, n)
      if (j === k) covariance[j * size + k]! += 1e-6 + (0.05 * trace) / size
    }
  return { centroids, whitening: inverseCholesky(covariance, size) }
}

/** L⁻¹ of a symmetric matrix L·Lᵀ given by its lower half. */
export function inverseCholesky(matrix: Float64Array, size: number): Float32Array {
  const lower = new Float64Array(size * size)
  for (let i = 0; i < size; i++)
    for (let j = 0; j <= i; j++) {
      let sum = matrix[i * size + j]!
      for (let k = 0; k < j; k++) sum -= lower[i * size + k]! * lower[j * size + k]!
      lower[i * size + j] = i === j ? Math.sqrt(Math.max(sum, 1e-12)) : sum / lower[j * size + j]!
    }
  const inverse = new Float32Array(size * size)
  for (let column = 0; column < size; column++)
    for (let i = column; i < size; i++) {
      let sum = i === column ? 1 : 0
      for (let k = column; k < i; k++) sum -= lower[i * size + k]! * inverse[k * size + column]!
      inverse[i * size + column] = sum / lower[i * size + i]!
    }
  return inverse
}
