/**
 * The simple net and its training written out by hand, number by number: an independent witness for
 * the graph (`step.ts`). Slow and plain on purpose; nothing of src/train's arithmetic is used.
 */
export interface PlainNet {
  readonly width: number
  readonly frames: number
  readonly hidden: number
  readonly classes: number
  /** wx [width][4h], wh [hidden][4h], b [4h], wo [hidden][classes], bo [classes]; gates i f o g. */
  wx: number[][]
  wh: number[][]
  b: number[]
  wo: number[][]
  bo: number[]
}

type Matrix = number[][]
const sigmoid = (x: number) => 1 / (1 + Math.exp(-x))
const zeros = (rows: number, columns: number): Matrix =>
  Array.from({ length: rows }, () => new Array<number>(columns).fill(0))

export interface PlainGradients {
  loss: number
  wx: Matrix
  wh: Matrix
  b: number[]
  wo: Matrix
  bo: number[]
}

/**
 * Mean cross-entropy over the batch plus l2/2·|wo|², and its gradients by back-propagation through
 * time.
 */
export function lossAndGradients(
  net: PlainNet,
  batch: number[][][],
  labels: number[],
  l2: number,
): PlainGradients {
  const { frames, hidden, classes, width } = net
  const g: PlainGradients = {
    loss: 0,
    wx: zeros(width, 4 * hidden),
    wh: zeros(hidden, 4 * hidden),
    b: new Array<number>(4 * hidden).fill(0),
    wo: zeros(hidden, classes),
    bo: new Array<number>(classes).fill(0),
  }
  for (const [n, sequence] of batch.entries()) {
    const past: {
      i: number[]
      f: number[]
      o: number[]
      c: number[]
      cell: number[]
      out: number[]
    }[] = []
    let cell = new Array<number>(hidden).fill(0)
    let out = new Array<number>(hidden).fill(0)
    for (let t = 0; t < frames; t++) {
      const sums = net.b.map((bias, k) => {
        let sum = bias
        for (let x = 0; x < width; x++) sum += sequence[t]![x]! * net.wx[x]![k]!
        for (let h = 0; h < hidden; h++) sum += out[h]! * net.wh[h]![k]!
        return sum
      })
      const i = sums.slice(0, hidden).map(sigmoid)
      const f = sums.slice(hidden, 2 * hidden).map(sigmoid)
      const o = sums.slice(2 * hidden, 3 * hidden).map(sigmoid)
      const c = sums.slice(3 * hidden).map(Math.tanh)
      cell = cell.map((old, h) => f[h]! * old + i[h]! * c[h]!)
      out = cell.map((value, h) => o[h]! * Math.tanh(value))
      past.push({ i, f, o, c, cell, out })
    }
    const logits = net.bo.map((bias, c) =>
      out.reduce((sum, value, h) => sum + value * net.wo[h]![c]!, bias),
    )
    const top = Math.max(...logits)
    const total = logits.reduce((sum, value) => sum + Math.exp(value - top), 0)
    const share = logits.map((value) => Math.exp(value - top) / total)
    g.loss -= Math.log(share[labels[n]!]!) / batch.length
    const dLogits = share.map((p, c) => (p - (c === labels[n] ? 1 : 0)) / batch.length)
    let dOut = new Array<number>(hidden).fill(0)
    for (let c = 0; c < classes; c++) {
      g.bo[c]! += dLogits[c]!
      for (let h = 0; h < hidden; h++) {
        g.wo[h]![c]! += out[h]! * dLogits[c]!
        dOut[h]! += net.wo[h]![c]! * dLogits[c]!
      }
    }
    let dCell = new Array<number>(hidden).fill(0)
    for (let t = frames - 1; t >= 0; t--) {
      const now = past[t]!
      const before = past[t - 1]
      const dSums = new Array<number>(4 * hidden).fill(0)
      const nextDCell = new Array<number>(hidden).fill(0)
      for (let h = 0; h < hidden; h++) {
        const tanhCell = Math.tanh(now.cell[h]!)
        const d = dCell[h]! + dOut[h]! * now.o[h]! * (1 - tanhCell ** 2)
        dSums[h] = d * now.c[h]! * now.i[h]! * (1 - now.i[h]!)
        dSums[hidden + h] = d * (before?.cell[h] ?? 0) * now.f[h]! * (1 - now.f[h]!)
        dSums[2 * hidden + h] = dOut[h]! * tanhCell * now.o[h]! * (1 - now.o[h]!)
        dSums[3 * hidden + h] = d * now.i[h]! * (1 - now.c[h]! ** 2)
        nextDCell[h] = d * now.f[h]!
      }
      const nextDOut = new Array<number>(hidden).fill(0)
      for (let k = 0; k < 4 * hidden; k++) {
        g.b[k]! += dSums[k]!
        for (let x = 0; x < width; x++) g.wx[x]![k]! += sequence[t]![x]! * dSums[k]!
        for (let h = 0; h < hidden; h++) {
          g.wh[h]![k]! += (before?.out[h] ?? 0) * dSums[k]!
          nextDOut[h]! += net.wh[h]![k]! * dSums[k]!
        }
      }
      dOut = nextDOut
      dCell = nextDCell
    }
  }
  for (let h = 0; h < hidden; h++)
    for (let c = 0; c < classes; c++) {
      g.loss += (l2 / 2) * net.wo[h]![c]! ** 2
      g.wo[h]![c]! += l2 * net.wo[h]![c]!
    }
  return g
}

/** Adam on one list of numbers, in place. */
export function adam(
  numbers: number[],
  gradient: readonly number[],
  memory: { mean: number[]; square: number[] },
  step: number,
  rate: number,
): void {
  for (let i = 0; i < numbers.length; i++) {
    memory.mean[i] = 0.9 * (memory.mean[i] ?? 0) + 0.1 * gradient[i]!
    memory.square[i] = 0.999 * (memory.square[i] ?? 0) + 0.001 * gradient[i]! ** 2
    const mean = memory.mean[i]! / (1 - 0.9 ** step)
    const square = memory.square[i]! / (1 - 0.999 ** step)
    numbers[i]! -= (rate * mean) / (Math.sqrt(square) + 1e-8)
  }
}
