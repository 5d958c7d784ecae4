//! The examples of RFC 7515, 7520 and 8037, and keys that are none.

use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;
use crate::auth::jwt::compact::Compact;
use crate::auth::jwt::fault::Part;

/// RFC 7515 appendix A.1 to A.3, and RFC 7519 section 3.1, which is A.1.
const JOE: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
const A1_KEY: &str =
    "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
const A1_SIGNATURE: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const A2_N: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
const A2_SIGNATURE: &str = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
const A3_X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
const A3_Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
const A3_SIGNATURE: &str =
    "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
/// RFC 7515 appendix A.4.
const A4: &str = "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA.AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn";
const A4_X: &str =
    "AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk";
const A4_Y: &str =
    "ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2";

/// RFC 7520 section 4: one text, signed by Bilbo.
const FRODO: &str = "SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4";
const BILBO_N: &str = "n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7nqQ0VEiZQHz_AJmSCpMaJMRBSFKrKb2wqVwGU_NsYOYL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3RBordaZ6Aj-oBHqFEHYpPe7Tpe-OfVfHd1E6cS6M1FZcD1NNLYD5lFHpPI9bTwJlsde3uhGqC0ZCuEHg8lhzwOHrtIQbS0FVbb9k3-tVTU4fg_3L_vniUFAKwuCLqKnS2BYwdq_mzSnbLY7h_qixoR7jig3__kRhuaxwUkRz5iaiQkqgc5gHdrNP5zw";
const BILBO_X: &str =
    "AHKZLLOsCOzz5cY97ewNUajB957y-C-U88c3v13nmGZx6sYl_oJXu9A5RkTKqjqvjyekWF-7ytDyRXYgCF5cj0Kt";
const BILBO_Y: &str =
    "AdymlHvOiLxXkEhayXQnNCvDX4h9htZaCJN34kfmC6pV5OhQHiraVySsUdaQkAgDPrwQrJmbnX9cwlGfP-HqHZR1";
const RS256: (&str, &str) = (
    "eyJhbGciOiJSUzI1NiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9",
    "MRjdkly7_-oTPTS3AXP41iQIGKa80A0ZmTuV5MEaHoxnW2e5CZ5NlKtainoFmKZopdHM1O2U4mwzJdQx996ivp83xuglII7PNDi84wnB-BDkoBwA78185hX-Es4JIwmDLJK3lfWRa-XtL0RnltuYv746iYTh_qHRD68BNt1uSNCrUCTJDt5aAE6x8wW1Kt9eRo4QPocSadnHXFxnt8Is9UzpERV0ePPQdLuW3IS_de3xyIrDaLGdjluPxUAhb6L2aXic1U12podGU0KLUQSE_oI-ZnmKJ3F4uOZDnd6QZWJushZ41Axf_fcIe8u9ipH84ogoree7vjbU5y18kDquDg",
);
const PS384: (&str, &str) = (
    "eyJhbGciOiJQUzM4NCIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9",
    "cu22eBqkYDKgIlTpzDXGvaFfz6WGoz7fUDcfT0kkOy42miAh2qyBzk1xEsnk2IpN6-tPid6VrklHkqsGqDqHCdP6O8TTB5dDDItllVo6_1OLPpcbUrhiUSMxbbXUvdvWXzg-UD8biiReQFlfz28zGWVsdiNAUf8ZnyPEgVFn442ZdNqiVJRmBqrYRXe8P_ijQ7p8Vdz0TTrxUeT3lm8d9shnr2lfJT8ImUjvAA2Xez2Mlp8cBE5awDzT0qI0n6uiP1aCN_2_jLAeQTlqRHtfa64QQSUmFAAjVKPbByi7xho0uTOcbH510a6GYmJUAfmWjwZ6oD4ifKo8DYM-X72Eaw",
);
const ES512: (&str, &str) = (
    "eyJhbGciOiJFUzUxMiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9",
    "AE_R_YZCChjn4791jSQCrdPZCNYqHXCTZH0-JZGYNlaAjP2kqaluUIIUnC9qvbu9Plon7KRTzoNEuT4Va2cmL1eJAQy3mtPBu_u_sDDyYjnAMDxXPn7XrT0lw-kvAD890jl8e2puQens_IEKBpHABlsbEPX6sFY8OcGDqoRuBomu9xQ2",
);
const HS256: (&str, &str) = (
    "eyJhbGciOiJIUzI1NiIsImtpZCI6IjAxOGMwYWU1LTRkOWItNDcxYi1iZmQ2LWVlZjMxNGJjNzAzNyJ9",
    "s0h6KThzkfBBBkLspW1h84VsJZFTsPPqMDA7g1Md7p0",
);
const HS256_KEY: &str = "hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg";

/// RFC 8037 appendix A.4.
const ED25519: &str = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
const ED25519_X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

fn bytes(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).unwrap()
}

fn rsa(n: &str) -> PublicKey {
    PublicKey::Rsa {
        n: bytes(n),
        e: bytes("AQAB"),
    }
}

fn point(curve: &'static str, x: &str, y: &str) -> PublicKey {
    let point = [vec![4], bytes(x), bytes(y)].concat();
    PublicKey::Point { curve, point }
}

/// Verifies a token, and its neighbour with one bit changed, which must not pass.
#[track_caller]
fn assert_only(token: &str, key: &Key) {
    let compact = Compact::parse(token, 4096).unwrap();
    assert_eq!(key.verify(compact.signed, compact.signature), Ok(()));
    let refuses = |signed: &[u8], signature: &[u8]| {
        let signature = URL_SAFE_NO_PAD.encode(signature);
        assert_eq!(key.verify(signed, &signature), Err(Fault::Signature));
    };
    let mut signature = bytes(compact.signature);
    signature[10] ^= 1;
    refuses(compact.signed, &signature);
    let mut signed = compact.signed.to_vec();
    signed[30] ^= 1;
    refuses(&signed, &bytes(compact.signature));
    for other in [&[][..], &[0; 64], &[0; 132], &[0; 256]] {
        refuses(compact.signed, other);
    }
}

#[test]
fn verifies_the_examples_of_rfc_7515_and_7519() {
    let hs256 = Key::secret(&bytes(A1_KEY), Algorithm::Hs256).unwrap();
    assert_only(
        &format!("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{JOE}.{A1_SIGNATURE}"),
        &hs256,
    );
    let rs256 = Key::public(&rsa(A2_N), Algorithm::Rs256).unwrap();
    assert_only(
        &format!("eyJhbGciOiJSUzI1NiJ9.{JOE}.{A2_SIGNATURE}"),
        &rs256,
    );
    let es256 = Key::public(&point("P-256", A3_X, A3_Y), Algorithm::Es256).unwrap();
    assert_only(
        &format!("eyJhbGciOiJFUzI1NiJ9.{JOE}.{A3_SIGNATURE}"),
        &es256,
    );
    let es512 = Key::public(&point("P-521", A4_X, A4_Y), Algorithm::Es512).unwrap();
    assert_only(A4, &es512);
}

#[test]
fn verifies_the_examples_of_rfc_7520() {
    let token = |(header, signature): (&str, &str)| format!("{header}.{FRODO}.{signature}");
    let rs256 = Key::public(&rsa(BILBO_N), Algorithm::Rs256).unwrap();
    assert_only(&token(RS256), &rs256);
    let ps384 = Key::public(&rsa(BILBO_N), Algorithm::Ps384).unwrap();
    assert_only(&token(PS384), &ps384);
    let es512 = Key::public(&point("P-521", BILBO_X, BILBO_Y), Algorithm::Es512).unwrap();
    assert_only(&token(ES512), &es512);
    let hs256 = Key::secret(&bytes(HS256_KEY), Algorithm::Hs256).unwrap();
    assert_only(&token(HS256), &hs256);
}

#[test]
fn verifies_the_example_of_rfc_8037() {
    let key = Key::public(&PublicKey::Edwards(bytes(ED25519_X)), Algorithm::EdDsa).unwrap();
    assert_only(ED25519, &key);
}

#[test]
fn their_payloads_that_are_no_claims_are_no_tokens_of_ours() {
    for token in [A4, ED25519] {
        let compact = Compact::parse(token, 4096).unwrap();
        assert_eq!(compact.claims(), Err(Fault::Json(Part::Payload)));
    }
}

#[test]
fn a_key_serves_its_own_kind_only() {
    let not_for = |key: &PublicKey, algorithm| {
        assert_eq!(
            Key::public(key, algorithm).unwrap_err(),
            KeyError::NotFor(algorithm)
        );
    };
    for hmac in [Algorithm::Hs256, Algorithm::Hs384, Algorithm::Hs512] {
        not_for(&rsa(A2_N), hmac);
        not_for(&point("P-256", A3_X, A3_Y), hmac);
        not_for(&PublicKey::Der(bytes(A2_N)), hmac);
    }
    for public in [
        Algorithm::Rs256,
        Algorithm::Ps512,
        Algorithm::Es256,
        Algorithm::EdDsa,
    ] {
        assert_eq!(
            Key::secret(&[7; 64], public).unwrap_err(),
            KeyError::NotFor(public)
        );
    }
    not_for(&rsa(A2_N), Algorithm::Es256);
    not_for(&point("P-256", A3_X, A3_Y), Algorithm::Es384);
    not_for(&point("P-256", A3_X, A3_Y), Algorithm::Rs256);
    not_for(&PublicKey::Edwards(vec![1; 31]), Algorithm::EdDsa);
    not_for(&point("P-256", A3_X, A3_X), Algorithm::Es256);
    not_for(
        &PublicKey::Rsa {
            n: vec![0, 0],
            e: vec![1, 0, 1],
        },
        Algorithm::Rs256,
    );
}

#[test]
fn weak_keys_are_refused() {
    let mut n = bytes(A2_N);
    n.truncate(128);
    n[127] |= 1;
    let weak = PublicKey::Rsa {
        n,
        e: vec![1, 0, 1],
    };
    assert_eq!(
        Key::public(&weak, Algorithm::Rs256).unwrap_err(),
        KeyError::Strength
    );
    assert_eq!(
        Key::public(&weak, Algorithm::Ps256).unwrap_err(),
        KeyError::Strength
    );
    for (algorithm, needs) in [
        (Algorithm::Hs256, 32),
        (Algorithm::Hs384, 48),
        (Algorithm::Hs512, 64),
    ] {
        assert!(Key::secret(&vec![7; needs], algorithm).is_ok());
        let has = needs - 1;
        let short = KeyError::ShortSecret {
            algorithm,
            needs,
            has,
        };
        assert_eq!(Key::secret(&vec![7; has], algorithm).unwrap_err(), short);
    }
}

#[test]
fn a_modulus_may_begin_with_a_zero() {
    let n = [vec![0], bytes(A2_N)].concat();
    let key = Key::public(
        &PublicKey::Rsa {
            n,
            e: vec![1, 0, 1],
        },
        Algorithm::Rs256,
    )
    .unwrap();
    assert_only(&format!("eyJhbGciOiJSUzI1NiJ9.{JOE}.{A2_SIGNATURE}"), &key);
}

#[test]
fn reads_one_public_key_of_a_pem_file() {
    let pem = |label: &str, der: &[u8]| {
        let content = STANDARD.encode(der);
        let lines: Vec<&str> = content
            .as_bytes()
            .chunks(64)
            .map(|line| str::from_utf8(line).unwrap())
            .collect();
        format!(
            "-----BEGIN {label}-----\r\n{}\r\n-----END {label}-----\r\n",
            lines.join("\r\n")
        )
    };
    let spki = parsed(&point("P-256", A3_X, A3_Y), Algorithm::Es256).unwrap();
    let spki: PublicKeyX509Der<'_> = spki.as_der().unwrap();
    let text = format!("our key:\n{}", pem("PUBLIC KEY", spki.as_ref()));
    let key = Key::public(&PublicKey::from_pem(&text).unwrap(), Algorithm::Es256).unwrap();
    assert_only(&format!("eyJhbGciOiJFUzI1NiJ9.{JOE}.{A3_SIGNATURE}"), &key);
    let der = PublicKey::from_pem(&text).unwrap();
    for other in [Algorithm::Rs256, Algorithm::Es384, Algorithm::EdDsa] {
        assert_eq!(
            Key::public(&der, other).unwrap_err(),
            KeyError::NotFor(other)
        );
    }
    let error = |text: &str| PublicKey::from_pem(text).unwrap_err();
    for label in ["PRIVATE KEY", "RSA PRIVATE KEY", "ENCRYPTED PRIVATE KEY"] {
        assert_eq!(error(&pem(label, b"x")), KeyError::Private, "{label}");
    }
    let several = format!("{text}{text}");
    for text in [
        "",
        "x",
        "-----BEGIN PUBLIC KEY-----",
        "-----BEGIN PUBLIC KEY-----\nAQ==",
        &several,
    ] {
        assert_eq!(error(text), KeyError::NotPem, "{text:?}");
    }
    assert_eq!(error(&pem("CERTIFICATE", b"x")), KeyError::NotPem);
}

#[test]
fn a_token_means_one_key_or_none() {
    let key = |kid: Option<&str>, algorithm| Key::public(&rsa(A2_N), algorithm).unwrap().named(kid);
    let keys = Keys::set(vec![
        key(Some("a"), Algorithm::Rs256),
        key(Some("a"), Algorithm::Rs512),
        key(Some("a"), Algorithm::Rs256),
        key(Some("b"), Algorithm::Rs256),
        key(None, Algorithm::Ps256),
    ]);
    assert_eq!(
        keys.keys.len(),
        4,
        "the second of two with one name is dropped"
    );
    let find = |kid, algorithm| keys.find(kid, algorithm).map(|key| key.kid.as_deref());
    assert_eq!(find(Some("a"), Algorithm::Rs512), Ok(Some("a")));
    assert_eq!(find(Some("c"), Algorithm::Rs256), Err(Fault::UnknownKey));
    assert_eq!(
        find(Some("c"), Algorithm::Ps256),
        Err(Fault::UnknownKey),
        "names are not guessed"
    );
    assert_eq!(
        find(Some("b"), Algorithm::Rs512),
        Err(Fault::NoKey(Algorithm::Rs512))
    );
    assert_eq!(find(None, Algorithm::Rs256), Err(Fault::SeveralKeys));
    assert_eq!(find(None, Algorithm::Rs512), Ok(Some("a")), "only one fits");
    assert_eq!(find(None, Algorithm::Ps256), Ok(None));
    assert_eq!(
        find(None, Algorithm::Es256),
        Err(Fault::NoKey(Algorithm::Es256))
    );
    let unnamed = Keys::unnamed(vec![
        key(None, Algorithm::Rs256),
        key(None, Algorithm::Ps256),
    ]);
    for kid in [None, Some("whatever"), Some("../../../dev/null")] {
        assert!(unnamed.find(kid, Algorithm::Rs256).is_ok());
    }
    assert!(unnamed.find(None, Algorithm::Rs384).is_err());
}
