/**
 * What the agent asks the facts reader, and what it answers: JSON, a line each. Both ends are this
 * program, yet the reader holds rights that its asker has given up, so it takes a question apart
 * before it believes it.
 */
import { defined } from '../domain/defined.ts'
import { FACT_QUESTIONS, type FactQuestion, type ProcessFacts } from '../domain/process-facts.ts'

export interface FactRequest {
  readonly id: number
  readonly pid: number
  /** Unix seconds; 0 where it is not known. */
  readonly start: number
  readonly questions: readonly FactQuestion[]
  /**
   * A child of this process that is gone already: the question about its program is answered by
   * what lies where it was, as this process sees it.
   */
  readonly child?: { readonly name: string; readonly path: string }
  /**
   * Unix ms: a child of this process ended by then, and what was done to files later is not its
   * work.
   */
  readonly until?: number
}

/**
 * Why there is no answer. `gone`: the process ended first; `busy`: too many were asked at a time.
 */
export const FACT_FAILURES = ['gone', 'busy', 'late', 'failed', 'ended'] as const
export type FactFailure = (typeof FACT_FAILURES)[number]

export type FactAnswer =
  | { readonly id: number; readonly facts: ProcessFacts }
  | { readonly id: number; readonly failed: FactFailure }

/** Undefined for what is no question. */
export function parseRequest(line: string): FactRequest | undefined {
  const value = parsed(line)
  if (value === undefined) return undefined
  const { id, pid, start, questions, child, until } = value
  if (!isNumber(id) || !isNumber(pid) || pid === 0 || !isNumber(start) || !Array.isArray(questions))
    return undefined
  const known = FACT_QUESTIONS.filter((question) => questions.includes(question))
  if (known.length === 0) return undefined
  return {
    ...{ id, pid, start, questions: known },
    ...defined({ child: parseChild(child), until: isNumber(until) ? until : undefined }),
  }
}

function parseChild(value: unknown): FactRequest['child'] {
  if (typeof value !== 'object' || value === null) return undefined
  const { name, path } = value as Record<string, unknown>
  return typeof name === 'string' && typeof path === 'string' && path.startsWith('/')
    ? { name, path }
    : undefined
}

/** Undefined for what is no answer. */
export function parseAnswer(line: string): FactAnswer | undefined {
  const value = parsed(line)
  if (value === undefined || !isNumber(value.id)) return undefined
  const { id, facts, failed } = value
  const failure = FACT_FAILURES.find((reason) => reason === failed)
  if (failure !== undefined) return { id, failed: failure }
  return typeof facts === 'object' && facts !== null
    ? { id, facts: facts as ProcessFacts }
    : undefined
}

function parsed(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null
      ? (value as Record<string, unknown>)
      : undefined
  } catch {
    return undefined
  }
}

function isNumber(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}
