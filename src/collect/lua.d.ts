/** Bun embeds text files that are imported `with { type: 'text' }`. */
declare module '*.lua' {
  const text: string
  export default text
}
