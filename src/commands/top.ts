/**
 * `agent top`: the running agent, live. It only reads: the agent reports over a
 * socket in its state directory (agent/live-view.ts), so this starts no pipeline, needs no
 * capability and writes nothing.
 *
 * On a terminal the screen is redrawn each second, q or Ctrl-C ends it; elsewhere it prints one
 * table. With --json a document a second, for pipes.
 */
import { defineCommand } from 'citty'
import { type LiveDocument, watchLive } from '../agent/live-view.ts'
import { AgentError } from '../domain/error.ts'
import { loadSettings } from '../settings/settings.ts'
import { jsonArg, paintFor, settingArgs, shutdownSignal, writeJson, writeOut } from './common.ts'
import { pressed, TOP_VIEW, type TopView } from './top-keys.ts'
import { fit, screenLines, WAITING } from './top-screen.ts'

export default defineCommand({
  meta: {
    name: 'top',
    description:
      'Live view of processes: class, confidence, calls, suspicion; cost of the agent; exit code 4 if no agent runs',
    examples: [
      'sudo agent top # keys are shown below the rows',
      'agent top --once # one table',
      "agent top --json | jq '.processes[0]' # the most suspicious process, each second",
    ],
  },
  args: {
    once: { type: 'boolean', description: 'print one second and exit' },
    ...settingArgs('state'),
    ...jsonArg,
  },
  async run({ args }) {
    const { state } = loadSettings(args).settings
    const screen = process.stdout.isTTY === true && !args.once && !args.json
    const once = args.once || !(screen || args.json)
    const quit = new AbortController()
    const signal = AbortSignal.any([shutdownSignal(), quit.signal])
    const terminal = screen ? new Screen(() => quit.abort()) : undefined
    let shown = 0
    try {
      for await (const document of watchLive(state, signal)) {
        shown += 1
        if (terminal !== undefined) terminal.draw(document)
        else if (args.json) await writeJson(document)
        else await writeOut(`${screenLines(document, paintFor()).join('\n')}\n`)
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

const ENTER = '\x1b[?1049h\x1b[?25l'
const LEAVE = '\x1b[?25h\x1b[?1049l'

/** The terminal, given back as it was. */
class Screen {
  readonly #quit: () => void
  #last: LiveDocument | undefined
  #view: TopView = TOP_VIEW

  constructor(quit: () => void) {
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
    const { columns = 80, rows = 24 } = process.stdout
    const lines =
      this.#last === undefined
        ? [fit(WAITING, columns)]
        : screenLines(this.#last, paintFor(), { columns, rows }, this.#view)
    // Over what was there, each line to its end, then the rest: clearing first would flicker.
    process.stdout.write(`\x1b[H${lines.map((line) => `${line}\x1b[K`).join('\r\n')}\x1b[J`)
  }

  readonly #hear = (keys: Uint8Array): void => {
    for (const key of new TextDecoder().decode(keys)) {
      const next = pressed(this.#view, key)
      if (next === 'quit') {
        this.#quit()
        return
      }
      this.#view = next
    }
    this.#redraw()
  }
}
