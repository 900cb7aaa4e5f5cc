/**
 * Combines evidence and facts: the model and the host's baseline have accumulated evidence on a
 * question (evidence.ts); facts about the process confirm or refute it.
 *
 *   a fact proves      → confirmed at once
 *   a fact refutes     → an observation: the behaviour is unusual, but not what the model says
 *   a fact supports    → confirmed as soon as the evidence reaches its level
 *   not answered yet   → wait, for FACT_SECONDS at most
 *   facts are silent   → an observation where facts can settle the question (a reverse shell has a socket, an
 *                        encryptor leaves unreadable files); else as if there were none
 *   no answer in time  → provisional, whatever the model says
 *   no facts to be had → provisional at the level, confirmed once windows that do not overlap agree
 */
import type { Certainty } from '../domain/alert.ts'
import type { BehaviourId } from '../domain/behaviour.ts'
import type { Finding, Question } from '../domain/finding.ts'
import { SEQUENCE_FRAMES } from '../domain/limits.ts'
import { CERTAINTY, FACT_SECONDS } from './thresholds.ts'

export interface Suspicion {
  readonly question: Question
  /** Mean probability, over the run, of what the alert would say. */
  readonly confidence: number
  /** That of the one class that it would name. */
  readonly named: number
  /** Its name is a shell's or an interpreter's: any program may run under it. */
  readonly isAnyProgram: boolean
  /** Seconds since the evidence last left zero. */
  readonly seconds: number
  /** The host's memory finds it strange, too. */
  readonly warm: boolean
  /** Undefined: not answered yet, or facts cannot be read here. */
  readonly findings: readonly Finding[] | undefined
  /** Facts can be read here. */
  readonly hasFacts: boolean
  /** An answer is under way. */
  readonly isAsking: boolean
}

export type Outcome =
  | { readonly kind: 'wait' }
  | { readonly kind: 'observation'; readonly because: readonly string[] }
  | {
      readonly kind: 'alert'
      readonly certainty: Certainty
      readonly because: readonly string[]
      /** By a fact: no statistics were needed. */
      readonly isProven: boolean
    }

/** Questions that facts answer either way on an ordinary host. */
const SETTLED_BY_FACTS: ReadonlySet<Question> = new Set<BehaviourId>([
  'file-encryption',
  'reverse-shell',
  'crypto-miner',
  'network-scan',
  'password-guessing',
])

export function weigh(suspicion: Suspicion): Outcome {
  const { question, findings, hasFacts, isAsking, seconds } = suspicion
  const saying = (what: Finding['says']) =>
    (findings ?? []).filter(({ says }) => says === what).map(({ because }) => because)
  const speaking = [...saying('proves'), ...saying('supports')]
  if (saying('proves').length > 0) return alert('confirmed', speaking, true)
  const against = saying('refutes')
  if (against.length > 0) return { kind: 'observation', because: against }
  if (speaking.length > 0) return alert('confirmed', speaking)
  if (hasFacts) {
    const patience = isAsking ? FACT_SECONDS.most : FACT_SECONDS.least
    if (findings === undefined && seconds < patience) return { kind: 'wait' }
    if (findings !== undefined && SETTLED_BY_FACTS.has(question))
      return { kind: 'observation', because: [] }
  }
  return byEvidenceAlone(suspicion)
}

function byEvidenceAlone(suspicion: Suspicion): Outcome {
  const { question, confidence, named, isAnyProgram, seconds, warm } = suspicion
  const { hasFacts, findings } = suspicion
  const bar = CERTAINTY[isAnyProgram ? 'anyProgram' : warm ? 'warm' : 'cold']
  if (confidence < bar.provisional || named < bar.named) return { kind: 'observation', because: [] }
  const hasAnswer = question === 'masquerade' || SETTLED_BY_FACTS.has(question)
  const isUnanswered = hasFacts && hasAnswer && findings === undefined
  const isSure = seconds >= SEQUENCE_FRAMES && confidence >= bar.confirmed
  return alert(isSure && !isUnanswered ? 'confirmed' : 'provisional', [])
}

function alert(certainty: Certainty, because: readonly string[], isProven = false): Outcome {
  return { kind: 'alert', certainty, because, isProven }
}
