/**
 * Synthetic states of windows that are not available: a model directory has no training data, but
 * prototypes of each class's states (detect/calibration.ts), and drawn around those, states of the
 * old classes can be shown to a readout again while it learns new ones. As long as what makes the
 * states does not change, they are as true as on the day they were measured.
 */
import type { DetectionCalibration } from '../../detect/calibration.ts'
import type { Random } from '../random.ts'

/**
 * Spread around a prototype per whitened component. Measured: 0.1 to 0.8 keep the old classes
 * equally well.
 */
const SPREAD = 0.4

/**
 * So many states of each class with prototypes, in the order of the classes.
 * @returns [n × stateSize], and the class of each
 */
export function replayStates(
  { prototypes, offsets, whitening: { matrix, size, stateSize } }: DetectionCalibration,
  perClass: number,
  random: Random,
): { states: Float32Array; labels: Int32Array } {
  const back = unwhitening(matrix, size, stateSize)
  const classes = Array.from({ length: offsets.length - 1 }, (_, c) => c).filter(
    (c) => offsets[c + 1]! > offsets[c]!,
  )
  const states = new Float32Array(classes.length * perClass * stateSize)
  const labels = new Int32Array(classes.length * perClass)
  const whitened = new Float64Array(size)
  let n = 0
  for (const c of classes) {
    const count = offsets[c + 1]! - offsets[c]!
    for (let i = 0; i < perClass; i++, n++) {
      const from = (offsets[c]! + (i % count)) * size
      for (let k = 0; k < size; k++) whitened[k] = prototypes[from + k]! + SPREAD * random.normal()
      for (let j = 0; j < stateSize; j++) {
        let sum = 0
        for (let k = 0; k < size; k++) sum += back[j * size + k]! * whitened[k]!
        // An LSTM's output lies between −1 and 1.
        states[n * stateSize + j] = Math.max(-1, Math.min(1, sum))
      }
      labels[n] = c
    }
  }
  return { states, labels }
}

/**
 * Rows of a whitening matrix are eigenvectors, scaled: so its inverse is its transpose, scaled back
 * twice.
 */
function unwhitening(matrix: Float32Array, size: number, stateSize: number): Float64Array {
  const back = new Float64Array(stateSize * size)
  for (let k = 0; k < size; k++) {
    let square = 0
    for (let j = 0; j < stateSize; j++) square += matrix[k * stateSize + j]! ** 2
    for (let j = 0; j < stateSize; j++) back[j * size + k] = matrix[k * stateSize + j]! / square
  }
  return back
}
