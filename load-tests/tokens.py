"""Bearer tokens for the gateway job: tokens.py HS256|RS256|ES256 DIRECTORY COUNT, with the programs openssl and python3 only.

Writes into the directory: `tokens` (one a line, each of another subject, every tenth of the plan premium), `bad-token`
(the first one with another signature), `secret` (HS256) or `public.pem` (the others), and `jwks.json`.
"""

import base64
import hashlib
import hmac
import json
import os
import subprocess
import sys
import time

ISSUER = "https://idp.example.com/"
AUDIENCE = "orders"


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def openssl(*arguments: str, data: bytes = b"") -> bytes:
    return subprocess.run(["openssl", *arguments], input=data, stdout=subprocess.PIPE, check=True).stdout


def der_integers(der: bytes) -> list[bytes]:
    """The two integers of an ECDSA signature; short lengths are enough for P-256."""
    found, at = [], 2
    while at < len(der):
        length = der[at + 1]
        found.append(der[at + 2 : at + 2 + length].lstrip(b"\0").rjust(32, b"\0"))
        at += 2 + length
    return found


def make_key(algorithm: str, here: str) -> dict:
    """Makes a key, writes what verifies it, and returns its JWK."""
    if algorithm == "HS256":
        secret = os.urandom(32).hex().encode()
        write(here, "secret", secret)
        return {"kty": "oct", "k": b64(secret)}
    private, public = f"{here}/private.pem", f"{here}/public.pem"
    kind = ["rsa_keygen_bits:2048"] if algorithm == "RS256" else ["ec_paramgen_curve:P-256"]
    name = "RSA" if algorithm == "RS256" else "EC"
    openssl("genpkey", "-quiet", "-algorithm", name, "-pkeyopt", *kind, "-out", private)
    openssl("pkey", "-in", private, "-pubout", "-out", public)
    if algorithm == "RS256":
        modulus = openssl("rsa", "-in", private, "-noout", "-modulus").decode().strip().split("=")[1]
        return {"kty": "RSA", "n": b64(bytes.fromhex(modulus)), "e": "AQAB"}
    point = openssl("pkey", "-in", private, "-pubout", "-outform", "DER")[-64:]
    return {"kty": "EC", "crv": "P-256", "x": b64(point[:32]), "y": b64(point[32:])}


def sign(algorithm: str, here: str, text: bytes) -> bytes:
    if algorithm == "HS256":
        with open(f"{here}/secret", "rb") as file:
            return hmac.new(file.read(), text, hashlib.sha256).digest()
    signature = openssl("dgst", "-sha256", "-sign", f"{here}/private.pem", data=text)
    return signature if algorithm == "RS256" else b"".join(der_integers(signature))


def token(algorithm: str, here: str, number: int) -> str:
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": f"user-{number:05}",
        "plan": "premium" if number % 10 == 0 else "free",
        "iat": now,
        "exp": now + 86_400,
    }
    header = {"alg": algorithm, "typ": "JWT", "kid": "one"}
    text = ".".join(b64(json.dumps(part, separators=(",", ":")).encode()) for part in (header, claims))
    return f"{text}.{b64(sign(algorithm, here, text.encode()))}"


def write(here: str, name: str, data: bytes) -> None:
    with open(f"{here}/{name}", "wb") as file:
        file.write(data)


def main() -> None:
    algorithm, here, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    jwk = make_key(algorithm, here) | {"kid": "one", "alg": algorithm, "use": "sig"}
    write(here, "jwks.json", json.dumps({"keys": [jwk]}).encode())
    tokens = [token(algorithm, here, number) for number in range(count)]
    write(here, "tokens", "\n".join(tokens).encode() + b"\n")
    text, _, signature = tokens[0].rpartition(".")
    other = "A" if signature[0] != "A" else "B"
    write(here, "bad-token", f"{text}.{other}{signature[1:]}".encode())


main()
