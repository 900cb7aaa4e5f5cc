#!/bin/sh
# Generates src/platform/onnx/onnx-schema.js and .d.ts from onnx.proto: needs protoc (protobuf-compiler).
set -eu
cd "$(dirname "$0")/../src/platform/onnx"
protoc --plugin=protoc-gen-es=../../../node_modules/.bin/protoc-gen-es --es_out=. --es_opt=target=js+dts onnx.proto
mv onnx_pb.js onnx-schema.js
mv onnx_pb.d.ts onnx-schema.d.ts
