/**
 * Habits that a tool can hold: heads of files, words, bounds in one place, nothing of the machine
 * that it was written on.
 */
import { describe, expect, test } from 'bun:test'
import { existsSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { Glob } from 'bun'

const ours = [...new Glob('{src,test,scripts}/**/*.{ts,sh}').scanSync('.')].filter(
  (file) => file !== 'test/tidy.test.ts',
)
const texts = new Map(
  await Promise.all(ours.map(async (file) => [file, await Bun.file(file).text()] as const)),
)
const documents = new Map(
  await Promise.all(
    [
      ...new Glob('*.{md,sh,json,toml}').scanSync('.'),
      ...new Glob('{models,docs,scripts}/**/*.md').scanSync('.'),
    ].map(async (file) => [file, await Bun.file(file).text()] as const),
  ),
)
const sources = [...texts].filter(([file]) => file.startsWith('src/') && file.endsWith('.ts'))

const withoutComments = (text: string): string => text.replace(/\/\*[\s\S]*?\*\//g, '')

/** Named like bounds, but parameters of a method: nothing grows without them. */
const parameters: readonly RegExp[] = [
  /^src\/train\//, // how a model is made
  /^src\/detect\/\S+ (LEVEL|COMPONENT|CONFIDENCE|REASONS|ABSENT|CLASS_PROTOTYPES)_(MAX|MIN)$/,
  /^src\/count\/open-frame\.ts COUNT_MAX$/, // what 32 bits hold
  /^src\/aggregator\/dashboard\//, // runs in the browser, which has no limits.ts
]

/** What is not written, and what is written instead. */
const bannedWords: readonly [RegExp, string][] = [
  [/\b(TODO|FIXME|XXX|HACK)\b/, 'an issue, or nothing'],
  [/\bblack-?list/i, 'non-grata list'],
  [/\bwhite-?list/i, 'allow list'],
  [/\bsystem_call/i, 'syscall'],
  [/\b(obviously|basically|of course|simply)\b/i, 'nothing'],
  [/(?<!fc\.)\b(dictionary|feature list)\b/i, 'Vocabulary'],
  [/\bnobody is\b|\binnocen|\brestless\b|\bconfess/i, 'who or what it is, without personification'],
  [/\b(bears|borne) (the|a|its) names?\b/i, 'has, is named'],
  [/\b(the|same|whole) street\b/i, 'the pipeline'],
  [/\bthe books\b/i, 'the ledger'],
  [/\bgood-bye\b|\blast words\b/i, 'clean end, offline status, MQTT will'],
  [/\bheld apart\b/i, 'quarantined'],
  [
    /takes what it takes|not wanted here|to be put right|is deaf\b|no use for "/i,
    'plain technical English',
  ],
  [/\b(DESIGN|STYLE|FACTS)\.md\b|\bDESIGN (section )?\d/, 'a document of this repository'],
]

describe('every file of ours', () => {
  test('opens by saying what it is for', () => {
    const without = [...texts].filter(
      ([file, text]) =>
        /^(src|scripts|test\/(support|bench))\/.*\.ts$/.test(file) &&
        !/^(#!.*\n)?(\/\*\*|\/\/ )/.test(text),
    )
    expect(without.map(([file]) => file)).toEqual([])
  })

  test('is named in kebab-case, and nothing is called utils', () => {
    const names = ours.map((file) => file.split('/').pop()!)
    expect(
      names.filter((name) => !/^[a-z0-9]+(-[a-z0-9]+)*(\.test|\.d)?\.(ts|sh)$/.test(name)),
    ).toEqual([])
    expect(names.filter((name) => /^(utils?|helpers?|misc|common-utils)\./.test(name))).toEqual([])
  })

  test('uses the words of the table', () => {
    // The laboratory's jobs write what other people's programs and files say.
    const checked = [...texts].filter(([file]) => !file.startsWith('scripts/lab/'))
    for (const [file, text] of [...checked, ...documents])
      for (const [word, instead] of bannedWords)
        expect(word.exec(text)?.[0], `${file}: write ${instead}`).toBeUndefined()
  })

  test('names no path of the machine that it was written on', () => {
    // alice, bob and carol live in the laboratory.
    for (const [file, text] of [...texts, ...documents])
      expect(
        /\/(?:home|Users)\/(?!alice\b|bob\b|carol\b)[a-z]+\//.exec(text)?.[0],
        file,
      ).toBeUndefined()
  })

  test('leaves no test out and none alone', () => {
    for (const [file, text] of texts)
      expect(/\b(test|it|describe)\.(only|todo|skip)\(/.exec(text)?.[0], file).toBeUndefined()
  })

  test('does not turn the type checker off', () => {
    for (const [file, text] of texts)
      expect(/@ts-(ignore|nocheck)/.exec(text)?.[0], file).toBeUndefined()
    for (const [file, text] of sources)
      expect(
        /@ts-expect-error|\bas any\b|: any[,;)\s]|<any>/.exec(withoutComments(text))?.[0],
        file,
      ).toBeUndefined()
  })
})

describe('every source', () => {
  test('takes its bounds from domain/limits.ts', () => {
    const bound = /^\s*(?:export )?const ([A-Z][A-Z0-9_]*_(?:MAX|MIN)(?:_MS)?)\b/gm
    const found = sources
      .filter(([file]) => file !== 'src/domain/limits.ts')
      .flatMap(([file, text]) => [...text.matchAll(bound)].map(([, name]) => `${file} ${name}`))
    expect(found.filter((name) => !parameters.some((pattern) => pattern.test(name)))).toEqual([])
  })

  test('says errors as cli.ts will print them: capital first, no full stop', () => {
    const message = /new AgentError\(\s*'ERR_[A-Z_]+',\s*(['"`])((?:(?!\1)[^\\]|\\.)*)\1/g
    for (const [file, text] of sources)
      for (const [, , words] of text.matchAll(message)) {
        expect(words, file).toMatch(/^([A-Z]|\$\{)/)
        expect(words, file).not.toMatch(/[.!]$/)
      }
  })

  test('writes to the terminal through commands/common.ts or the log', () => {
    for (const [file, text] of sources)
      expect(/\bconsole\.\w+\(/.exec(withoutComments(text))?.[0], file).toBeUndefined()
  })
})

describe('documents', () => {
  // A brace around slashes matches nothing in Bun: one pattern each.
  const pages = ['*.md', '{docs,models,scripts,test}/**/*.md', '.github/**/*.md'].flatMap(
    (pattern) => [...new Glob(pattern).scanSync({ cwd: '.', dot: true })],
  )

  test('are found', () => expect(pages.length).toBeGreaterThan(80))

  test('lead to files that exist', async () => {
    const dead: string[] = []
    for (const page of pages) {
      const text = await Bun.file(page).text()
      for (const [, target] of text.matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)[^)]*\)/g))
        if (!existsSync(join(dirname(page), target!))) dead.push(`${page}: ${target}`)
    }
    expect(dead).toEqual([])
  })

  test('name files that exist', async () => {
    const named = /`((?:[\w.-]+\/)+[\w.-]+\.(?:ts|md|sh|py|json|service))`/g
    const dead: string[] = []
    for (const page of pages.filter((page) => page !== 'CHANGELOG.md'))
      for (const [, path] of (await Bun.file(page).text()).matchAll(named)) {
        const places = [path!, `src/${path}`, join(dirname(page), path!)]
        if (!/\bNAME\b/.test(path!) && !places.some(existsSync)) dead.push(`${page}: ${path}`)
      }
    expect(dead).toEqual([])
  })

  test('comments name files that exist', () => {
    const named =
      /^\s*(?:\/\*\*|\*|\/\/).*?\b((?:src|test|scripts|docs)\/[\w/.-]+\.(?:ts|md|sh|py))/gm
    const rooms = readdirSync('src').join('|')
    const inRoom = new RegExp(
      `^\\s*(?:/\\*\\*|\\*|//).*?(?<![\\w./])((?:${rooms})/[\\w/-]+\\.ts)`,
      'gm',
    )
    const dead: string[] = []
    for (const [file, text] of texts)
      for (const [, path] of [...text.matchAll(named), ...text.matchAll(inRoom)])
        if (!existsSync(path!) && !existsSync(`src/${path}`)) dead.push(`${file}: ${path}`)
    expect(dead).toEqual([])
  })

  test('every decision is listed, and each has its context and its choice', async () => {
    const list = await Bun.file('docs/decisions/README.md').text()
    for (const file of readdirSync('docs/decisions').filter((name) => name !== 'README.md')) {
      expect(list).toContain(`](${file})`)
      const text = await Bun.file(`docs/decisions/${file}`).text()
      expect(text).toStartWith(`# ${Number(file.slice(0, 3))}. `)
      for (const part of ['**Context.**', '**Choice.**']) expect(text, file).toContain(part)
    }
  })
})
