/**
 * What `agent train --base` learns and what it keeps: a quick base of laboratory A without eight
 * programs, extended by a recording of nothing but those, or of the whole host; judged on the last
 * fifth of A and on host B, which neither saw.
 */
import { openModel } from '../../src/model/model.ts'
import { type Recording, readRecordings } from '../../src/train/data/recording.ts'
import { ALL_TRAIN } from '../../src/train/data/split.ts'
import { evaluateWindows } from '../../src/train/evaluate/evaluate.ts'
import type { ClassFigures } from '../../src/train/evaluate/metrics.ts'
import { type Base, extend } from '../../src/train/extend.ts'
import { READOUT_FIT } from '../../src/train/net/fit-readout.ts'
import { manifestText } from '../../src/train/save-model.ts'
import type { Trained } from '../../src/train/train.ts'
import { programsOf } from '../support/left-out.ts'
import { baseWithout, clock, laboratoryA, split } from './left-out-base.ts'
import type { Bench } from './run.ts'

const B = 'models/recordings/lab-b/lab-b-normal-1.frames.ndjson.zst'
const LEFT_OUT = new Set('unbound memcached squid vsftpd node fetchmail mariadbd monit'.split(' '))

const bench: Bench = {
  name: 'extend',
  async run() {
    const a = await laboratoryA()
    const b = await readRecordings([B])
    const base = filesOf(await baseWithout(a, LEFT_OUT))
    const old = new Set(
      (
        JSON.parse(new TextDecoder().decode(base.files.manifest)) as Trained['manifest']
      ).classes.map(({ name }) => name),
    )
    const lines = [`base: ${await judged(base, a, b, old)}`]
    const only = a.map((recording) => programsOf(recording, (name) => LEFT_OUT.has(name)))
    for (const [what, recordings] of [
      ['by the eight programs alone', only],
      ['by all that the host does', a],
    ] as const) {
      const began = process.cpuUsage()
      const grown = await extend(
        base,
        { recordings, happenings: [], split },
        { stride: 2, windowsMin: 100, fit: READOUT_FIT, code: 'bench', name: 'grown' },
        clock,
      )
      const { user, system } = process.cpuUsage(began)
      lines.push(
        `extended ${what} in ${((user + system) / 1e6).toFixed(1)} s of CPU: ${await judged(filesOf(grown), a, b, old)}`,
      )
    }
    return lines
  },
}
export default bench

function filesOf({ onnx, manifest }: Trained): Base {
  return {
    files: { onnx, manifest: new TextEncoder().encode(manifestText(manifest)) },
    where: 'base',
  }
}

/**
 * Macro precision and recall of the left-out programs and of the base's own classes, on later A and
 * on B.
 */
async function judged(
  { files, where }: Base,
  a: readonly Recording[],
  b: readonly Recording[],
  old: ReadonlySet<string>,
): Promise<string> {
  const model = await openModel(files, where)
  const of = async (name: string, recordings: readonly Recording[], whole: boolean) => {
    const part = whole ? 'train' : 'test'
    const { figures } = await evaluateWindows(
      model,
      recordings,
      [],
      whole ? ALL_TRAIN : split,
      part,
    )
    const mean = (wanted: ReadonlySet<string>) => {
      const classes = figures.classes.filter((entry) => wanted.has(entry.name))
      const of = (figure: (entry: ClassFigures) => number) =>
        (
          classes.reduce((sum, entry) => sum + figure(entry), 0) / Math.max(1, classes.length)
        ).toFixed(3)
      return classes.length === 0 ? '–' : `${of((c) => c.precision)} / ${of((c) => c.recall)}`
    }
    return `${name} new ${mean(LEFT_OUT)}, old ${mean(old)}`
  }
  const said = [await of('later A:', a, false), await of('B:', b, true)].join('; ')
  await model.close()
  return said
}
