/**
 * Training against PyTorch, where Debian's python3-torch is installed: 40,000 made-up sequences, simple net of 64,
 * batches of 128, one thread, two epochs, the same batches in the same run. `bun test/bench/train.ts`; CPU seconds.
 */

import { initialParameters, type NetShape } from '../../src/train/nets.ts'
import { Random } from '../../src/train/random.ts'
import { StepRunner } from '../../src/train/step.ts'

const SEQUENCES = 40_000
const BATCH = 128
const EPOCHS = 2
const net: NetShape = { arch: 'simple', width: 160, frames: 10, hidden: 64, classes: 28 }

const random = new Random(1)
const calls = 10
const cells = Uint16Array.from({ length: SEQUENCES * net.frames * calls }, () =>
  random.below(net.width),
)
const labels = Int32Array.from({ length: SEQUENCES }, () => random.below(net.classes))

const runner = await StepRunner.open(net, { batch: BATCH, l2: 5e-4 }, initialParameters(net, 1))
const began = process.cpuUsage()
for (let epoch = 0; epoch < EPOCHS; epoch++)
  for (let from = 0; from + BATCH <= SEQUENCES; from += BATCH) {
    runner.rows.fill(0)
    runner.targets.fill(0)
    for (let n = 0; n < BATCH; n++) {
      for (let t = 0; t < net.frames; t++)
        for (let k = 0; k < calls; k++)
          runner.rows[
            (t * BATCH + n) * net.width + cells[((from + n) * net.frames + t) * calls + k]!
          ]! += 0.1
      runner.targets[n * net.classes + labels[from + n]!] = 1 / BATCH
    }
    await runner.run(0.001)
  }
const spent = process.cpuUsage(began)
await runner.close()
const ours = (spent.user + spent.system) / 1e6 / EPOCHS

const TORCH = `
import time, torch
torch.set_num_threads(1); torch.manual_seed(1)
n, b, w, h, c = ${SEQUENCES}, ${BATCH}, ${net.width}, ${net.hidden}, ${net.classes}
idx = torch.randint(0, w, (n, 10, ${calls})); y = torch.randint(0, c, (n,))
lstm = torch.nn.LSTM(w, h, batch_first=True); fc = torch.nn.Linear(h, c)
opt = torch.optim.Adam(list(lstm.parameters()) + list(fc.parameters()), lr=0.001)
t = time.process_time()
for e in range(${EPOCHS}):
    for i in range(0, n - b + 1, b):
        x = torch.zeros(b, 10, w).scatter_add_(2, idx[i:i+b], torch.full((b, 10, ${calls}), 0.1))
        loss = torch.nn.functional.cross_entropy(fc(lstm(x)[0][:, -1]), y[i:i+b]) + 2.5e-4 * (fc.weight ** 2).sum()
        opt.zero_grad(); loss.backward(); opt.step()
print((time.process_time() - t) / ${EPOCHS})
`
const torch = Bun.spawnSync(['/usr/bin/python3', '-c', TORCH], { stderr: 'ignore' })
const theirs = torch.success ? Number(torch.stdout.toString()) : undefined
console.log(
  JSON.stringify({
    bench: 'train',
    sequences: SEQUENCES,
    width: net.width,
    cpuSecondsPerEpoch: Math.round(ours * 100) / 100,
    pytorchCpuSecondsPerEpoch: theirs === undefined ? null : Math.round(theirs * 100) / 100,
    ratio: theirs === undefined ? null : Math.round((ours / theirs) * 100) / 100,
  }),
)
