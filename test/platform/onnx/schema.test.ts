/**
 * The generated code and its schema: a field that is changed in onnx.proto must be generated again.
 */
import { expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import type { DescMessage } from '@bufbuild/protobuf'
import { file_onnx } from '../../../src/platform/onnx/onnx-schema.js'

test('onnx-schema.js has the fields of onnx.proto', () => {
  const proto = readFileSync('src/platform/onnx/onnx.proto', 'utf8')
  const written = [...proto.matchAll(/^\s+(?:\w+ )*?(\w+) = (\d+)(?: \[packed = true\])?;/gm)]
  const fields = (message: DescMessage): string[] => [
    ...message.fields.map(({ name, number }) => `${name} ${number}`),
    ...message.nestedMessages.flatMap(fields),
    ...message.nestedEnums.flatMap(({ values }) =>
      values.map(({ name, number }) => `${name} ${number}`),
    ),
  ]
  expect(file_onnx.messages.flatMap(fields).sort()).toEqual(
    written.map(([, name, number]) => `${name} ${number}`).sort(),
  )
})
