"""grpcio against a gateway: every kind of call, metadata, deadlines, errors.

    grpc_client.py ADDRESS [CA]     h2c, or TLS where a CA file is named
"""

import sys

import grpc


def channel(address, ca):
    if ca is None:
        return grpc.insecure_channel(address)
    with open(ca, "rb") as file:
        return grpc.secure_channel(address, grpc.ssl_channel_credentials(file.read()))


def failure(call):
    try:
        call()
    except grpc.RpcError as error:
        return error
    raise AssertionError("the call did not fail")


def calls(on):
    body = b"x" * 100_000
    assert on.unary_unary("/test.Echo/Unary")(b"one", timeout=10) == b"one"
    assert on.unary_unary("/test.Echo/Unary")(body, timeout=10) == body
    assert list(on.unary_stream("/test.Echo/ServerStream")(b"two", timeout=10)) == [b"two"] * 5
    parts = [b"a", b"b", body]
    assert on.stream_unary("/test.Echo/ClientStream")(iter(parts), timeout=10) == b"".join(parts)
    assert list(on.stream_stream("/test.Echo/Bidi")(iter(parts), timeout=10)) == parts


def ping_pong(on):
    """Each message is answered before the next is sent: nothing on the way waits for the end."""
    import queue

    outgoing = queue.Queue()
    answers = on.stream_stream("/test.Echo/Bidi")(iter(outgoing.get, None), timeout=10)
    for number in range(20):
        message = str(number).encode()
        outgoing.put(message)
        assert next(answers) == message
    outgoing.put(None)
    assert list(answers) == []


def errors(on):
    error = failure(lambda: on.unary_unary("/test.Echo/Fail")(b"", timeout=10))
    assert error.code() == grpc.StatusCode.FAILED_PRECONDITION, error
    assert error.details() == "nicht bereit – ☂ 100 %", error
    trailing = dict(error.trailing_metadata())
    assert trailing["x-reason"] == "asked"
    assert trailing["x-bytes-bin"] == bytes(range(256))
    answers = on.unary_stream("/test.Echo/FailMidway")(b"first", timeout=10)
    assert next(answers) == b"first"
    assert failure(lambda: next(answers)).code() == grpc.StatusCode.DATA_LOSS
    error = failure(lambda: on.unary_unary("/test.Echo/Nobody")(b"", timeout=10))
    assert error.code() == grpc.StatusCode.UNIMPLEMENTED, error


def metadata(on):
    sent = (("x-text", "plain"), ("x-data-bin", b"\x00\xff\x80"))
    answer, call = on.unary_unary("/test.Echo/Metadata").with_call(b"", metadata=sent, timeout=10)
    assert answer == b""
    assert dict(call.initial_metadata())["x-initial"] == "plain"
    assert dict(call.trailing_metadata())["x-back-bin"] == b"\x00\xff\x80"


def deadlines(on):
    left = int(on.unary_unary("/test.Echo/Remaining")(b"", timeout=5))
    assert 0 < left < 6000, left  # grpcio itself rounds up
    error = failure(lambda: on.unary_unary("/test.Echo/Slow")(b"", timeout=0.3))
    assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED, error


def refusals(on):
    """What the gateway answers itself is a proper gRPC status."""
    error = failure(lambda: on.unary_unary("/no.Route/Here")(b"", timeout=10))
    assert error.code() == grpc.StatusCode.UNIMPLEMENTED, error
    error = failure(lambda: on.unary_unary("/dead.Upstream/Call")(b"", timeout=10))
    assert error.code() == grpc.StatusCode.UNAVAILABLE, error


def main():
    address, ca = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None
    with channel(address, ca) as on:
        for part in (calls, ping_pong, errors, metadata, deadlines, refusals):
            part(on)
            print("passed", part.__name__, flush=True)


main()
