// connect-node's gRPC-Web client against a gateway in front of a gRPC server: unary, streamed, binary metadata, an error with
// a Unicode message, cancel.
//
//     grpc_web_client.mjs BASE_URL 1.1|2
import assert from "node:assert/strict";
import { create, createFileRegistry } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient, decodeBinaryHeader, encodeBinaryHeader } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-node";

const [baseUrl, httpVersion] = process.argv.slice(2);

const method = (name, serverStreaming = false) => ({
    name, inputType: ".test.Text", outputType: ".test.Text", serverStreaming, clientStreaming: false,
});
const file = create(FileDescriptorProtoSchema, {
    name: "test.proto", package: "test", syntax: "proto3",
    messageType: [{ name: "Text", field: [{ name: "text", number: 1, label: 1, type: 9, jsonName: "text" }] }],
    service: [{
        name: "Echo",
        method: [method("Unary"), method("ServerStream", true), method("Fail"), method("Metadata"), method("Slow")],
    }],
});
const registry = createFileRegistry(file, () => undefined);
const client = createClient(registry.getService("test.Echo"), createGrpcWebTransport({ baseUrl, httpVersion }));

const refused = async (call) => {
    const error = await call().then(() => assert.fail("the call did not fail"), (error) => error);
    assert(error instanceof ConnectError, String(error));
    return error;
};

assert.equal((await client.unary({ text: "one ☂" })).text, "one ☂");
const large = "x".repeat(100_000);
assert.equal((await client.unary({ text: large })).text, large);

const streamed = [];
for await (const { text } of client.serverStream({ text: "two" })) streamed.push(text);
assert.deepEqual(streamed, Array(5).fill("two"));

const bytes = new Uint8Array([0, 255, 128]);
let initial, trailing;
await client.metadata({ text: "" }, {
    headers: { "x-text": "plain", "x-data-bin": encodeBinaryHeader(bytes) },
    onHeader: (headers) => { initial = headers; },
    onTrailer: (trailers) => { trailing = trailers; },
});
assert.equal(initial.get("x-initial"), "plain");
assert.deepEqual(decodeBinaryHeader(trailing.get("x-back-bin")), bytes);

const failed = await refused(() => client.fail({ text: "" }));
assert.equal(failed.code, Code.FailedPrecondition);
assert.equal(failed.rawMessage, "nicht bereit – ☂ 100 %");
assert.equal(failed.metadata.get("x-reason"), "asked");

const abort = new AbortController();
setTimeout(() => abort.abort(), 500);
assert.equal((await refused(() => client.slow({ text: "" }, { signal: abort.signal }))).code, Code.Canceled);
assert.equal((await refused(() => client.slow({ text: "" }, { timeoutMs: 200 }))).code, Code.DeadlineExceeded);
console.log("passed");
process.exit(0);
