//! Names and passwords, from the field to the verdict.

use argon2::password_hash::{PasswordHasher, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};

use super::*;
use crate::contract::consumers::ConsumerConfig;
use crate::contract::identity::Consumer;
use crate::contract::testing::{TestRequest, wait};

/// The least that Argon2id can be asked for: tests have no secrets.
fn hash(password: &str) -> Box<str> {
    let params = Params::new(8, 1, 1, None).unwrap();
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let salt = SaltString::from_b64("c29tZXNhbHQ").unwrap();
    let hash = argon2.hash_password(password.as_bytes(), &salt).unwrap();
    hash.to_string().into()
}

fn consumers() -> Directory {
    let mut directory = Directory::default();
    for (name, password) in [("ada", Some("lovelace: ü")), ("bob", None)] {
        let consumer = Consumer {
            name: name.into(),
            ..Consumer::default()
        };
        let config = ConsumerConfig {
            consumer,
            password: password.map(hash),
            ..ConsumerConfig::default()
        };
        directory.add(config).unwrap();
    }
    directory
}

fn judged(authorization: &str, consumers: &Directory) -> String {
    let config = BasicConfig { realm: "x".into() };
    let basic = Basic::compile(&config, &"people".into(), &Services::nothing()).unwrap();
    let request = TestRequest::get("http://a.example/").header("authorization", authorization);
    let view = request.view();
    let super::super::credential::Presented::One(credential) = basic.sources().read(&view) else {
        return "no credential".into();
    };
    match wait(basic.judge(&credential, &view, consumers)) {
        Verdict::Accepted(accepted) => accepted.identity.subject.to_string(),
        Verdict::Rejected(reason) => reason.label().into(),
        Verdict::Unavailable(_) | Verdict::Busy | Verdict::Answer(_) => "else".into(),
    }
}

fn basic(text: &str) -> String {
    format!("Basic {}", STANDARD.encode(text))
}

#[test]
fn a_password_may_hold_colons_and_umlauts() {
    assert_eq!(judged(&basic("ada:lovelace: ü"), &consumers()), "ada");
}

#[test]
fn who_is_wrong_is_rejected() {
    let consumers = consumers();
    for (text, reason) in [
        ("ada:lovelace", "proof"),
        ("ada:", "proof"),
        ("bob:", "unknown"),
        ("eve:lovelace: ü", "unknown"),
        ("ADA:lovelace: ü", "unknown"),
        (":lovelace: ü", "malformed"),
        ("ada", "malformed"),
        ("ada:love\0lace", "malformed"),
        ("", "malformed"),
    ] {
        assert_eq!(judged(&basic(text), &consumers), reason, "{text:?}");
    }
    assert_eq!(judged(&basic("ada:x"), &Directory::default()), "unknown");
}

#[test]
fn only_the_one_way_to_write_base64_is_read() {
    let consumers = consumers();
    let right = basic("ada:lovelace: ü");
    let bare = right.trim_end_matches('=');
    for wrong in [
        bare.to_owned(),
        format!("{right}="),
        right.replace("YWRh", "YWR-"),
        format!("Basic {}", "A".repeat(TEXT_BYTES_MAX + 4)),
        format!("Basic {}", STANDARD.encode([0xff, b':', 0xfe])),
    ] {
        if wrong != right {
            assert_eq!(judged(&wrong, &consumers), "malformed", "{wrong}");
        }
    }
}
