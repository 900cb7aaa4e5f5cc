/**
 * `agent read-facts`: the facts reader's own process. Hidden: it takes questions on stdin and
 * answers on stdout for the process that started it, and ends with its stdin
 * (facts/reader-process.ts).
 */
import { defineCommand } from 'citty'
import { runReader } from '../operate/facts-reader.ts'
import { selfCommand } from '../operate/kernel-collector.ts'
import { shutdownSignal } from './common.ts'

export default defineCommand({
  meta: {
    name: 'read-facts',
    description: 'Reader of facts about processes; started by the agent',
    hidden: true,
    examples: ['sudo agent watch # starts it'],
  },
  run: () => runReader(selfCommand('read-facts'), shutdownSignal()),
})
