/** What a person said that an alert really was (`agent label`). */
import { Fields, reading } from './untrusted.ts'

export interface AlertLabel {
  /** Of the alert. */
  readonly id: string
  /** `fine`, `bad`, or the name of a class. */
  readonly label: string
  /** Unix seconds of its evidence. */
  readonly from: number
  readonly to: number
}

/** A stored label as a value; undefined where it is none. */
export function parseAlertLabel(value: unknown): AlertLabel | undefined {
  const read = reading((): AlertLabel => {
    const label = new Fields(value, '')
    return {
      id: label.text('id', 128),
      label: label.text('label', 64),
      from: label.integer('from'),
      to: label.integer('to'),
    }
  })
  return read.ok ? read.value : undefined
}
