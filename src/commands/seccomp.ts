/**
 * `agent seccomp NAME --audit`: a seccomp profile of what this host's buffer saw, with its
 * coverage.
 */
import { defineCommand } from 'citty'
import { AgentError } from '../domain/error.ts'
import { readBufferedFrames } from '../operate/buffered-frames.ts'
import { type Coverage, coverageOf, ENFORCE_BELOW, seccompProfile } from '../operate/seccomp.ts'
import { loadSettings } from '../settings/settings.ts'
import { note, safeText, settingArgs, writeOut } from './common.ts'

export default defineCommand({
  meta: {
    name: 'seccomp',
    description:
      'Prints a seccomp profile of the calls that a program made on this host, and its coverage',
    examples: [
      'agent seccomp nginx --audit > nginx.json # logs what the profile does not allow',
      'docker run --security-opt seccomp=nginx.json nginx',
    ],
  },
  args: {
    name: {
      type: 'positional',
      description: 'name of the program, as "agent top" shows it',
      valueHint: 'NAME',
      required: true,
    },
    audit: { type: 'boolean', description: 'the profile logs other calls' },
    enforce: {
      type: 'boolean',
      description:
        'the profile refuses other calls; only if less than one in 1,000 days is expected',
    },
    ...settingArgs('state', 'host'),
  },
  async run({ args }) {
    if (args.audit === args.enforce)
      throw new AgentError('ERR_USAGE', 'Cannot write a profile: say --audit or --enforce', {
        hint: 'An auditing profile logs the calls that it lacks, an enforcing one refuses them',
      })
    const { state, host } = loadSettings(args).settings
    const coverage = coverageOf(args.name, readBufferedFrames(state, host).frames)
    if (coverage.calls.length === 0)
      throw new AgentError(
        'ERR_INPUT',
        `Cannot write a profile: the buffer saw no "${args.name}"`,
        {
          hint: '"agent top" shows the names of what runs',
        },
      )
    for (const line of inWords(args.name, coverage)) note(line)
    if (args.enforce === true && coverage.missingPerDay > ENFORCE_BELOW)
      throw new AgentError(
        'ERR_FAILED',
        `Cannot write an enforcing profile: ${perDay(coverage.missingPerDay)}, at most one in 1,000 days may be missing`,
        {
          hint: 'Run the program under the --audit profile, and add what the kernel logs (type=SECCOMP)',
        },
      )
    await writeOut(`${JSON.stringify(seccompProfile(coverage, args.enforce === true), null, 2)}\n`)
  },
})

function inWords(name: string, coverage: Coverage): string[] {
  const { calls, processes, startNotSeen, seconds, activeSeconds, seenOnce, unnamed } = coverage
  const lines = [
    `${safeText(name)}: ${calls.length} calls of ${processes} processes, active in ${activeSeconds} of ${seconds} s (${(seconds / 3600).toFixed(1)} h)`,
    `${seenOnce} of them were seen in one second only: ${perDay(coverage.missingPerDay)}`,
  ]
  if (startNotSeen > 0)
    lines.push(
      `Warning: ${startNotSeen} of the processes began before the buffer does: what they call at their start is missing`,
    )
  if (unnamed > 0) lines.push(`Warning: ${unnamed} calls have no name that a profile could allow`)
  return lines
}

function perDay(missing: number): string {
  const often =
    missing >= 1 ? `${Math.round(missing)} a day` : `one in ${Math.round(1 / missing)} days`
  return `a call that the profile lacks is to be expected about ${often}`
}
