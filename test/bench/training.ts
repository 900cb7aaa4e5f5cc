/**
 * Training against PyTorch (Debian's python3-torch): the same made-up sequences, the same batches
 * in the same order, the simple net of 64, Adam, one thread each; CPU time of an epoch, ours and
 * theirs by turns. Dense rows are made of the same sparse counts on both sides, as training does
 * for every batch.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { initialParameters, type NetShape } from '../../src/train/net/nets.ts'
import { StepRunner } from '../../src/train/net/step.ts'
import { Random } from '../../src/train/random.ts'
import type { Bench } from './run.ts'

const SEQUENCES = 40_000
const BATCH = 128
const EPOCHS = 2
const ROUNDS = 3
const CALLS = 10
const PYTHON = '/usr/bin/python3'
const net: NetShape = { arch: 'simple', width: 160, frames: 10, hidden: 64, classes: 28 }

const bench: Bench = {
  name: 'training',
  async run() {
    if (!Bun.spawnSync([PYTHON, '-c', 'import torch'], { stderr: 'ignore' }).success)
      return ['skipped: python3-torch is not installed']
    const directory = await mkdtemp(join(tmpdir(), 'bench-training-'))
    try {
      const data = madeUp()
      await Bun.write(join(directory, 'calls'), data.calls)
      await Bun.write(join(directory, 'labels'), data.labels)
      const rounds: { ours: Cost; theirs: Cost }[] = []
      for (let round = 0; round < ROUNDS; round++)
        rounds.push({ ours: await ourEpochs(data), theirs: theirEpochs(directory) })
      const [ours, theirs, ratio] = [
        median(rounds.map((round) => round.ours.seconds)),
        median(rounds.map((round) => round.theirs.seconds)),
        median(rounds.map((round) => round.ours.seconds / round.theirs.seconds)),
      ]
      const last = rounds.at(-1)!
      return [
        `${SEQUENCES} sequences of ${net.frames} × ${net.width}, ${net.hidden} hidden, batches of ${BATCH}: ` +
          `${ours.toFixed(2)} s of CPU an epoch, PyTorch ${theirs.toFixed(2)} s, ${ratio.toFixed(2)} × its time (medians of ${ROUNDS}, by turns)`,
        `loss after ${EPOCHS} epochs: ${last.ours.loss.toFixed(4)}, PyTorch ${last.theirs.loss.toFixed(4)}`,
      ]
    } finally {
      await rm(directory, { recursive: true })
    }
  },
}
export default bench

interface Cost {
  /** CPU of an epoch. */
  readonly seconds: number
  /** Mean over the last epoch. */
  readonly loss: number
}

interface MadeUp {
  /** [sequences × frames × CALLS] components; each stands for a tenth of its second's calls. */
  readonly calls: Uint16Array
  readonly labels: Int32Array
}

/** Each class favours some calls, so that there is something to learn. */
function madeUp(): MadeUp {
  const random = new Random(1)
  const labels = Int32Array.from({ length: SEQUENCES }, () => random.below(net.classes))
  const calls = Uint16Array.from({ length: SEQUENCES * net.frames * CALLS }, (_, i) => {
    const label = labels[Math.floor(i / (net.frames * CALLS))]!
    return random.next() < 0.3 ? (label * 5 + random.below(5)) % net.width : random.below(net.width)
  })
  return { calls, labels }
}

async function ourEpochs({ calls, labels }: MadeUp): Promise<Cost> {
  const runner = await StepRunner.open(net, { batch: BATCH, l2: 5e-4 }, initialParameters(net, 1))
  const began = process.cpuUsage()
  let loss = 0
  let steps = 0
  for (let epoch = 0; epoch < EPOCHS; epoch++) {
    loss = 0
    steps = 0
    for (let from = 0; from + BATCH <= SEQUENCES; from += BATCH) {
      runner.rows.fill(0)
      runner.targets.fill(0)
      for (let n = 0; n < BATCH; n++) {
        for (let t = 0; t < net.frames; t++)
          for (let k = 0; k < CALLS; k++) {
            const call = calls[((from + n) * net.frames + t) * CALLS + k]!
            runner.rows[(t * BATCH + n) * net.width + call]! += 1 / CALLS
          }
        runner.targets[n * net.classes + labels[from + n]!] = 1 / BATCH
      }
      loss += await runner.run(0.001)
      steps++
    }
  }
  const { user, system } = process.cpuUsage(began)
  await runner.close()
  return { seconds: (user + system) / 1e6 / EPOCHS, loss: loss / steps }
}

const TORCH = `
import sys, time, numpy, torch
torch.set_num_threads(1); torch.manual_seed(1)
n, b, w, h, c = ${SEQUENCES}, ${BATCH}, ${net.width}, ${net.hidden}, ${net.classes}
calls = torch.from_numpy(numpy.fromfile(sys.argv[1] + '/calls', 'u2').astype('i8')).view(n, ${net.frames}, ${CALLS})
y = torch.from_numpy(numpy.fromfile(sys.argv[1] + '/labels', 'i4').astype('i8'))
lstm = torch.nn.LSTM(w, h, batch_first=True); readout = torch.nn.Linear(h, c)
adam = torch.optim.Adam(list(lstm.parameters()) + list(readout.parameters()), lr=0.001)
share = torch.full((b, ${net.frames}, ${CALLS}), 1 / ${CALLS})
began = time.process_time()
for epoch in range(${EPOCHS}):
    total = steps = 0
    for i in range(0, n - b + 1, b):
        x = torch.zeros(b, ${net.frames}, w).scatter_add_(2, calls[i:i + b], share)
        loss = torch.nn.functional.cross_entropy(readout(lstm(x)[0][:, -1]), y[i:i + b]) + 2.5e-4 * (readout.weight ** 2).sum()
        adam.zero_grad(); loss.backward(); adam.step()
        total += loss.item(); steps += 1
print((time.process_time() - began) / ${EPOCHS}, total / steps)
`

function theirEpochs(directory: string): Cost {
  const torch = Bun.spawnSync([PYTHON, '-c', TORCH, directory])
  if (!torch.success) throw new Error(`PyTorch: ${torch.stderr.toString().slice(-300)}`)
  const [seconds, loss] = torch.stdout.toString().trim().split(' ').map(Number)
  return { seconds: seconds!, loss: loss! }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!
}
