/**
 * `agent top`: the running agent, live. It only reads: the agent reports over a
 * socket in its state directory (agent/live-view.ts), so this starts no pipeline, needs no
 * capability and writes nothing.
 *
 * On a terminal the screen is redrawn each second, q or Ctrl-C ends it; elsewhere it prints one
 * table. With --json a document a second, for pipes. With --at it shows an earlier second, which is
 * read from the buffer and classified again (operate/look-back.ts).
 *
 * User, unit and command line are read here, from /proc, for the rows that are shown: the agent has
 * nothing to do for them.
 */
import { defineCommand } from 'citty'
import { type LiveDocument, type LiveProcess, watchLive } from '../agent/live-view.ts'
import { AgentError } from '../domain/error.ts'
import { isHost } from '../domain/source.ts'
import { historyOf } from '../operate/alert-history.ts'
import { lookLocal } from '../operate/local-alerts.ts'
import { lookBack } from '../operate/look-back.ts'
import { openModelInUse } from '../operate/models.ts'
import { ProcessLooks } from '../operate/process-look.ts'
import { systemClock } from '../platform/clock.ts'
import type { Settings } from '../settings/keys.ts'
import { loadSettings } from '../settings/settings.ts'
import { jsonArg, paintFor, settingArgs, shutdownSignal, writeJson, writeOut } from './common.ts'
import { explained } from './explain.ts'
import { detailLines } from './top-detail.ts'
import { arranged, keyLine, keysOf, pressed, rowKey, TOP_VIEW, type TopView } from './top-keys.ts'
import { fit, type LookAt, screenLines, WAITING } from './top-screen.ts'
import { momentOf } from './when.ts'

export default defineCommand({
  meta: {
    name: 'top',
    description:
      'Live view of processes: class, confidence, calls, suspicion; cost of the agent; exit code 4 if no agent runs',
    examples: [
      'sudo agent top # keys are shown below the rows',
      'agent top --once # one table',
      "agent top --json | jq '.processes[0]' # the most suspicious process, each second",
      'sudo agent top --at 03:12:40 # an earlier second, from the buffer',
    ],
  },
  args: {
    once: { type: 'boolean', description: 'print one second and exit' },
    at: {
      type: 'string',
      description:
        'an earlier second (UTC), as far as the buffer goes: 03:12:40, 90s or a date with time',
      valueHint: 'TIME',
    },
    ...settingArgs('state', 'model'),
    ...jsonArg,
  },
  async run({ args }) {
    const { settings } = loadSettings(args)
    const { state } = settings
    if (args.at !== undefined) return showAt(args.at, settings, args.json)
    const screen = process.stdout.isTTY === true && !args.once && !args.json
    const once = args.once || !(screen || args.json)
    const quit = new AbortController()
    const signal = AbortSignal.any([shutdownSignal(), quit.signal])
    const terminal = screen ? new Screen(state, () => quit.abort()) : undefined
    const looks = looksFor()
    let shown = 0
    try {
      for await (const document of watchLive(state, signal)) {
        shown += 1
        if (terminal !== undefined) terminal.draw(document)
        else if (args.json) await writeJson(document)
        else await writeOut(table(document, looks(document)))
        if (once) return
      }
    } finally {
      terminal?.close()
    }
    if (!signal.aborted)
      throw new AgentError(
        'ERR_NOT_RUNNING',
        shown === 0
          ? `Cannot look at the agent of "${state}": too many clients are connected`
          : `The agent of "${state}" has stopped`,
        { hint: 'Run "agent status" to see why' },
      )
  },
})

async function showAt(at: string, settings: Settings, json: boolean | undefined): Promise<void> {
  const second = momentOf(at, '--at', Math.floor(systemClock.now() / 1000))
  const model = await openModelInUse(settings.model, settings.state)
  try {
    const document = await lookBack(settings.state, model, second)
    if (json) await writeJson(document)
    else await writeOut(table(document, looksFor()(document)))
  } finally {
    await model.close()
  }
}

function table(document: LiveDocument, lookAt: LookAt): string {
  return `${screenLines(document, paintFor(), undefined, TOP_VIEW, lookAt).join('\n')}\n`
}

function looksFor(): (document: LiveDocument) => LookAt {
  const looks = new ProcessLooks()
  return ({ agent }) =>
    isHost({ name: agent.source }) ? ({ pid, start }) => looks.of(pid, start) : () => undefined
}

const ENTER = '\x1b[?1049h\x1b[?25l'
const LEAVE = '\x1b[?25h\x1b[?1049l'

/** The terminal, given back as it was. */
class Screen {
  readonly #quit: () => void
  readonly #state: string
  readonly #looks = looksFor()
  #last: LiveDocument | undefined
  #view: TopView = TOP_VIEW

  constructor(state: string, quit: () => void) {
    this.#state = state
    this.#quit = quit
    process.stdout.write(ENTER)
    process.stdout.on('resize', this.#redraw)
    this.#redraw()
    // In raw mode Ctrl-C is a key like others.
    if (process.stdin.isTTY) {
      process.stdin.setRawMode(true)
      process.stdin.on('data', this.#hear)
    }
  }

  draw(document: LiveDocument): void {
    this.#last = document
    this.#redraw()
  }

  close(): void {
    process.stdout.off('resize', this.#redraw)
    if (process.stdin.isTTY) {
      process.stdin.off('data', this.#hear)
      process.stdin.setRawMode(false)
      process.stdin.pause()
    }
    process.stdout.write(LEAVE)
  }

  readonly #redraw = (): void => {
    const lines = this.#lines()
    // Over what was there, each line to its end, then the rest: clearing first would flicker.
    process.stdout.write(`\x1b[H${lines.map((line) => `${line}\x1b[K`).join('\r\n')}\x1b[J`)
  }

  #lines(): string[] {
    const { columns = 80, rows = 24 } = process.stdout
    const size = { columns, rows }
    const view = this.#view
    if (this.#last === undefined) return [fit(WAITING, columns)]
    const lookAt = this.#looks(this.#last)
    if (!view.isOpen) return screenLines(this.#last, paintFor(), size, view, lookAt)
    const chosen = this.#last.processes.find((one) => rowKey(one) === view.chosen)
    const look = chosen === undefined ? undefined : lookAt(chosen)
    const why = chosen === undefined ? undefined : explanationOf(this.#state, chosen)
    return detailLines(chosen, look, why, keyLine(view), paintFor(), size)
  }

  readonly #hear = (keys: Uint8Array): void => {
    for (const key of keysOf(new TextDecoder().decode(keys))) {
      const rows = arranged(this.#last?.processes ?? [], this.#view).map(rowKey)
      const next = pressed(this.#view, key, rows)
      if (next === 'quit') {
        this.#quit()
        return
      }
      this.#view = next
    }
    this.#redraw()
  }
}

/** Of the newest alert of a process, as `agent explain` prints it. */
function explanationOf(state: string, { pid, start }: LiveProcess): string | undefined {
  const alert = lookLocal(state, (store) => store.alerts.list({ limit: ALERTS_LOOKED_AT })).find(
    ({ process }) => process.pid === pid && Math.abs(process.start - start) <= 1,
  )
  return alert === undefined ? undefined : explained(alert, historyOf(state, alert))
}

const ALERTS_LOOKED_AT = 1_000
