/** `agent enrol URL --token-file FILE`: gets this host's certificate from its aggregator. */
import { readFileSync } from 'node:fs'
import { defineCommand } from 'citty'
import { AgentError } from '../domain/error.ts'
import { enrol } from '../operate/enrol.ts'
import { loadSettings } from '../settings/settings.ts'
import { jsonArg, note, settingArgs, writeJson, writeOut } from './common.ts'

export default defineCommand({
  meta: {
    name: 'enrol',
    description: 'Gets a certificate for this host from its aggregator, and prints the settings',
    examples: [
      'sudo -u callsign agent enrol https://fleet.example:8470 --token-file - --state /var/lib/callsign <token | sudo tee -a /etc/callsign/agent.toml',
      'sudo systemctl restart callsign # connects with the certificate, and renews it by itself',
    ],
  },
  args: {
    url: {
      type: 'positional',
      required: true,
      description: 'address of the page of an aggregator with --enrol',
      valueHint: 'URL',
    },
    tokenFile: {
      type: 'string',
      required: true,
      description:
        'file with the token that "agent aggregate token" printed; - is standard input, where only another user may read the file',
      valueHint: 'FILE',
    },
    ...settingArgs('state', 'host'),
    ...jsonArg,
  },
  async run({ args }) {
    const { state, host } = loadSettings(args).settings
    const enrolled = await enrol(state, args.url, tokenIn(args.tokenFile), host, Date.now())
    if (args.json) await writeJson(enrolled)
    else {
      const { site, broker, ca, cert, key, aggregatorKey, expires } = enrolled
      const lines = { site, host, broker, ca, cert, key, aggregator_key: aggregatorKey }
      await writeOut(
        Object.entries(lines)
          .map(([name, value]) => `${name} = ${JSON.stringify(value)}\n`)
          .join(''),
      )
      const until = new Date(expires * 1000).toISOString().slice(0, 10)
      note(`Enrolled as ${site}/${host} until ${until}; a running agent renews it by itself`)
    }
  },
})

function tokenIn(path: string): string {
  try {
    // Not /dev/stdin: sudo -u may read what the shell opened, but not open it again.
    return readFileSync(path === '-' ? 0 : path, 'utf8').trim()
  } catch (cause) {
    throw new AgentError('ERR_CONFIG', `Cannot read token file "${path}"`, {
      hint: 'Give the file that holds the token of "agent aggregate token"',
      cause,
    })
  }
}
