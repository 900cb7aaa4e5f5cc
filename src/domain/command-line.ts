/**
 * Command lines as they are shown and kept: one line, bounded, with secrets masked. What was a
 * secret is known from the option before it, from a key in front of it, or from the program.
 */
import { COMMAND_CHARS_MAX } from './limits.ts'
import { safeName } from './process.ts'

export function parseArguments(text: string): string[] {
  const words = text.split('\0')
  if (words.at(-1) === '') words.pop()
  return words
}

const SECRET_FLAG =
  /^--?[\w-]*(pass(word|wd|phrase)?|secret|token|api-?key|credential|auth|private-?key)[\w-]*$/i
const SECRET_PAIR =
  /((?:pass(?:word|wd|phrase)?|pwd|secret|token|api[-_]?key|credentials?|auth(?:orization)?|private[-_]?key)[\w-]*\s*[=:]\s*)("[^"]*"|'[^']*'|[^\s&;,"']+)/gi
const MASK = '***'
/** Options that are followed by a password and do not say so. */
const SECRET_NEXT: Readonly<Record<string, string>> = {
  ...{ sshpass: '-p', smbclient: '-U', 'redis-cli': '-a', 'valkey-cli': '-a' },
}

/**
 * The command line as one line for people, secrets masked, cut. '' for a process without arguments.
 */
export function maskedCommand(words: readonly string[]): string {
  const shown: string[] = []
  let hideNext = false
  const program = words[0]?.split('/').pop() ?? ''
  // Bounded before it is looked through: a command line may have two megabytes.
  for (const word of words.slice(0, 64)) {
    const text = word.slice(0, 1024)
    const masked: string = hideNext ? MASK : maskedWord(text, program)
    shown.push(masked)
    hideNext =
      (masked === text && SECRET_FLAG.test(text) && !text.includes('=')) ||
      text === SECRET_NEXT[program]
  }
  return safeName(shown.join(' ').slice(0, COMMAND_CHARS_MAX))
}

function maskedWord(word: string, program: string): string {
  // mysql -pSECRET, sshpass -pSECRET
  if (/^(mysql|mariadb|sshpass)/.test(program) && /^-p./.test(word)) return `-p${MASK}`
  if (/^(curl|wget)$/.test(program)) {
    const user = /^((?:-u|--user=|--proxy-user=)?[^\s:/]+:)(?!\/\/)\S+$/.exec(word)?.[1]
    if (user !== undefined && !/^https?:/.test(word)) return `${user}${MASK}`
  }
  return word
    .replace(/(\b[a-z][\w+.-]*:\/\/[^\s/:@]*:)[^\s/@]+@/gi, `$1${MASK}@`)
    .replace(/\b(Bearer|Basic)\s+[\w+/=.~-]+/gi, `$1 ${MASK}`)
    .replace(SECRET_PAIR, (_, key: string) => `${key}${MASK}`)
    .replace(/\bpass:\S+/g, `pass:${MASK}`)
}
