/** The flags of commands with a complete pipeline (`watch`, `replay`). */
import { PIPELINE_SETTINGS } from '../settings/keys.ts'
import { settingArgs } from './common.ts'
import { inputFlags } from './input-flags.ts'

export const agentFlags = {
  duration: { type: 'string', description: 'stop after this time (30s, 10m)', valueHint: 'TIME' },
  ...inputFlags,
  ...settingArgs(...PIPELINE_SETTINGS),
} as const
