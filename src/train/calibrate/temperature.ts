/** Temperature scaling: calibrates the probabilities of a trained net. */
import { softmax } from '../../model/classifier.ts'
import { argmaxRows, calibrationError } from '../evaluate/metrics.ts'

/**
 * The temperature with the lowest loss on held-out windows (golden section over its logarithm), and
 * the remaining error.
 */
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
  return { temperature, ece: errorAt(temperature, logits, labels, classes) }
}

/** Expected calibration error of probabilities at a temperature. */
export function errorAt(
  temperature: number,
  logits: Float32Array,
  labels: ArrayLike<number>,
  classes: number,
): number {
  const probabilities = logits.slice()
  softmax(probabilities, labels.length, classes, temperature)
  const top = argmaxRows(probabilities, classes)
  const confidence = Array.from(top, (c, i) => probabilities[i * classes + c]!)
  const right = Array.from(top, (c, i) => c === labels[i])
  return calibrationError(confidence, right)
}
