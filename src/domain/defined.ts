/**
 * Optional keys are absent, never undefined (`exactOptionalPropertyTypes`): what is encoded or
 * compared then has no empty keys. This is how a value that may be undefined becomes such a key: `{
 * id, ...defined({ exe, container }) }`.
 */
export type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> }

/** The same object without the keys whose value is undefined. */
export function defined<T extends object>(values: T): Defined<T> {
  const kept: Defined<T> = {}
  for (const key in values) {
    const value = values[key]
    if (value !== undefined) kept[key] = value as Exclude<T[typeof key], undefined>
  }
  return kept
}
