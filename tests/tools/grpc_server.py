"""A gRPC server whose messages are raw bytes: every kind of call, errors, metadata, deadlines.

Prints its port. Ends when its standard input does.
"""

import sys
import time
from concurrent import futures

import grpc


def unary(request, context):
    return request


def server_stream(request, context):
    for _ in range(5):
        yield request


def client_stream(requests, context):
    return b"".join(requests)


def bidi(requests, context):
    yield from requests


def fail(request, context):
    context.set_trailing_metadata((("x-reason", "asked"), ("x-bytes-bin", bytes(range(256)))))
    context.abort(grpc.StatusCode.FAILED_PRECONDITION, "nicht bereit – ☂ 100 %")


def fail_midway(request, context):
    yield request
    context.abort(grpc.StatusCode.DATA_LOSS, "midway")


def metadata(request, context):
    sent = {key: value for key, value in context.invocation_metadata()}
    context.send_initial_metadata((("x-initial", sent.get("x-text", "")),))
    context.set_trailing_metadata((("x-back-bin", sent.get("x-data-bin", b"")),))
    return request


def remaining(request, context):
    left = context.time_remaining()
    return str(-1 if left is None or left > 1e9 else int(left * 1000)).encode()


def slow(request, context):
    while context.is_active():
        time.sleep(0.01)
    return request


HANDLERS = {
    "Unary": grpc.unary_unary_rpc_method_handler(unary),
    "ServerStream": grpc.unary_stream_rpc_method_handler(server_stream),
    "ClientStream": grpc.stream_unary_rpc_method_handler(client_stream),
    "Bidi": grpc.stream_stream_rpc_method_handler(bidi),
    "Fail": grpc.unary_unary_rpc_method_handler(fail),
    "FailMidway": grpc.unary_stream_rpc_method_handler(fail_midway),
    "Metadata": grpc.unary_unary_rpc_method_handler(metadata),
    "Remaining": grpc.unary_unary_rpc_method_handler(remaining),
    "Slow": grpc.unary_unary_rpc_method_handler(slow),
}


def main():
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=16))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Echo", HANDLERS),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    sys.stdin.read()
    server.stop(0)


main()
