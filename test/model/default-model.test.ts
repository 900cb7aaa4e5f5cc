/**
 * The shipped model is whole, knows what it should, and still reaches on recordings what its card
 * says.
 */
import { expect, test } from 'bun:test'
import { cardSection } from '../../scripts/recognition-by-source.ts'
import table from '../../src/domain/unseen-calls.json' with { type: 'json' }
import { loadModel } from '../../src/model/model.ts'
import { readRecordings } from '../../src/train/data/recording.ts'
import { readSplit } from '../../src/train/data/split.ts'
import { evaluationOf } from '../../src/train/evaluate/evaluate-all.ts'

test('the shipped model loads, with classes of all three sorts, calibrated detection and a card', async () => {
  const model = await loadModel('models/default')
  const { names, malicious, background } = model.classes
  expect(names.length).toBeGreaterThan(60)
  expect(malicious.filter(Boolean).length).toBeGreaterThan(10)
  expect(background).toBeDefined()
  expect(model.manifest.detection).toBeDefined()
  expect(Date.parse(model.manifest.expires)).toBeGreaterThan(Date.parse(model.manifest.created))
  expect(model.classes.claimedBy('php-fpm8.4')).toBe(model.classes.claimedBy('php-fpm8.2')!)
  expect(await Bun.file('models/default/MODEL_CARD.md').text()).toContain(
    model.manifest.id.slice(0, 16),
  )
  await model.close()
})

test('the figures by source are of this model, and in its card', async () => {
  const { manifest, close } = await loadModel('models/default')
  await close()
  // Else: bun scripts/recognition-by-source.ts
  expect(table.recognition.model).toBe(manifest.id)
  expect(await Bun.file('models/default/MODEL_CARD.md').text()).toContain(cardSection(table))
})

test("the shipped model keeps its figures on laboratory A's later fifth, which it never saw", async () => {
  const evaluation = await evaluationOf({
    model: 'models/default',
    recordings: await readRecordings(['models/recordings/lab-a/lab-a-normal.frames.ndjson.zst']),
    baseline: [],
    happenings: [],
    split: await readSplit('models/recordings/lab-a/split.json'),
    part: 'test',
    falseAlertsPerDay: 1,
    detection: false,
  })
  // Names with 200 windows in the whole recording have some 40 in its fifth.
  const large = evaluation.classes.filter(({ windows }) => windows >= 40)
  const mean = (of: 'precision' | 'recall') =>
    large.reduce((sum, figures) => sum + figures[of], 0) / large.length
  expect(large.length).toBeGreaterThanOrEqual(40)
  expect(mean('precision')).toBeGreaterThan(0.97)
  expect(mean('recall')).toBeGreaterThan(0.97)
  expect(evaluation.ece).toBeLessThan(0.03)
}, 120_000)
