//! The rules one by one, then the properties against a naive normaliser.

use proptest::prelude::*;
use proptest::sample::select;

use super::*;

const STRICT: PathPolicy = PathPolicy {
    encoded_slash: Tolerance::Refuse,
    path_params: Tolerance::Refuse,
};

#[test]
fn normalises() {
    for (raw, normal) in [
        ("", "/"),
        ("/", "/"),
        ("/a/b", "/a/b"),
        ("/a/b/", "/a/b/"),
        ("//a///b//", "/a/b/"),
        ("/a/./b/../c", "/a/c"),
        ("/a/..", "/"),
        ("/a/b/..", "/a/"),
        ("/a/.", "/a/"),
        ("/a//../b", "/b"),
        ("/%61%2d%7E", "/a-~"),
        ("/%2e%2E/a", "!path.above-root"),
        ("/a/%2e%2e/b", "/b"),
        ("/%c3%a4%20", "/%C3%A4%20"),
        ("/.well-known/a..b/...", "/.well-known/a..b/..."),
        ("/100%25", "/100%25"),
        ("/a:b@c!$&'()*+,=", "/a:b@c!$&'()*+,="),
    ] {
        let got = normalise(raw, STRICT);
        match normal.strip_prefix('!') {
            Some(code) => assert_eq!(got.unwrap_err().code(), code, "{raw}"),
            None => assert_eq!(got.unwrap(), normal, "{raw}"),
        }
    }
}

#[test]
fn refuses() {
    for (raw, refusal) in [
        ("a", PathRefusal::NotAbsolute),
        ("*", PathRefusal::NotAbsolute),
        ("/a b", PathRefusal::IllegalByte),
        ("/a?b", PathRefusal::IllegalByte),
        ("/a#b", PathRefusal::IllegalByte),
        ("/ä", PathRefusal::IllegalByte),
        ("/\0", PathRefusal::Control),
        ("/\x7f", PathRefusal::Control),
        ("/%00", PathRefusal::Control),
        ("/%0a", PathRefusal::Control),
        ("/%7F", PathRefusal::Control),
        ("/a\\b", PathRefusal::Backslash),
        ("/a%5cb", PathRefusal::Backslash),
        ("/%", PathRefusal::MalformedEscape),
        ("/%4", PathRefusal::MalformedEscape),
        ("/%+1", PathRefusal::MalformedEscape),
        ("/%g0", PathRefusal::MalformedEscape),
        ("/%252e", PathRefusal::DoubleEscape),
        ("/%25%34%31", PathRefusal::DoubleEscape),
        ("/%ff", PathRefusal::InvalidUtf8),
        ("/%C0%AF", PathRefusal::InvalidUtf8),
        ("/%C3", PathRefusal::InvalidUtf8),
        ("/%C3a", PathRefusal::InvalidUtf8),
        ("/%E0%80%AF", PathRefusal::InvalidUtf8),
        ("/%ED%A0%80", PathRefusal::InvalidUtf8),
        ("/%A4", PathRefusal::InvalidUtf8),
        ("/a%2Fb", PathRefusal::EncodedSlash),
        ("/a;b", PathRefusal::PathParams),
        ("/a%3bb", PathRefusal::PathParams),
        ("/..", PathRefusal::AboveRoot),
        ("/a/../../b", PathRefusal::AboveRoot),
    ] {
        assert_eq!(normalise(raw, STRICT), Err(refusal), "{raw}");
    }
}

#[test]
fn keeps_what_the_listener_keeps_but_no_hidden_dots() {
    let lenient = |raw| normalise(raw, PathPolicy::LENIENT).map(Cow::into_owned);
    assert_eq!(lenient("/a%2fb"), Ok("/a%2Fb".into()));
    assert_eq!(lenient("/a;v=1/b"), Ok("/a;v=1/b".into()));
    for raw in [
        "/a/..;/b",
        "/a/..%2Fb",
        "/a%2f..",
        "/%2e%2e%2fa",
        "/.;x",
        "/a/..%3b",
    ] {
        assert_eq!(lenient(raw), Err(PathRefusal::HiddenDots), "{raw}");
    }
}

#[test]
fn borrows_what_is_normal_already() {
    for raw in ["/a/b", "/.well-known/x", "/a%20b/%C3%A4", "/a..b"] {
        assert!(
            matches!(normalise(raw, STRICT), Ok(Cow::Borrowed(_))),
            "{raw}"
        );
    }
}

/// Decodes everything that may be decoded, then walks a stack.
fn naive(raw: &str) -> Option<String> {
    let mut text = raw.to_owned();
    for byte in 0u8..=127 {
        let plain = char::from(byte);
        let meant = plain.is_ascii_alphanumeric() || "-._~".contains(plain);
        let becomes = if meant {
            plain.to_string()
        } else {
            format!("%{byte:02X}")
        };
        for escape in [format!("%{byte:02x}"), format!("%{byte:02X}")] {
            text = text.replace(&escape, &becomes);
        }
    }
    let mut stack = Vec::new();
    let segments: Vec<&str> = text.split('/').collect();
    for segment in &segments {
        match *segment {
            "" | "." => {}
            ".." => {
                stack.pop()?;
            }
            name => stack.push(name),
        }
    }
    let open = matches!(segments.last(), Some(&("" | "." | "..")));
    let slash = if open && !stack.is_empty() { "/" } else { "" };
    Some(format!("/{}{slash}", stack.join("/")))
}

fn soup() -> impl Strategy<Value = String> {
    let pieces = vec![
        "/", "/", "/", ".", "..", "a", "b", "%2e", "%2E", "%61", "%2f", "%5c", "%25", "%c3%a4",
        "%20", "%00", ";", "\\", "%", "41", "%3b", "~", "%7e", "ä", "%ff",
    ];
    prop::collection::vec(select(pieces), 0..12).prop_map(|all| format!("/{}", all.concat()))
}

fn tame() -> impl Strategy<Value = String> {
    let pieces = vec![
        "/", "/", "/", ".", "..", "a", "b", "%2e", "%2E", "%61", "%20", "%7e", "/../", "/./",
    ];
    prop::collection::vec(select(pieces), 0..12).prop_map(|all| format!("/{}", all.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn normal_paths_stay_as_they_are(raw in prop_oneof![soup(), "/\\PC{0,20}"], lenient: bool) {
        let policy = if lenient { PathPolicy::LENIENT } else { STRICT };
        if let Ok(once) = normalise(&raw, policy) {
            prop_assert!(once.starts_with('/'));
            prop_assert!(!once.contains("//"));
            prop_assert!(!segments(&once).any(|segment| matches!(segment, "." | "..")));
            let twice = normalise(&once, policy);
            prop_assert!(matches!(&twice, Ok(Cow::Borrowed(same)) if **same == *once), "{raw}");
        }
    }

    #[test]
    fn equals_a_naive_normaliser(raw in tame()) {
        match (normalise(&raw, STRICT), naive(&raw)) {
            (Ok(path), Some(expected)) => prop_assert_eq!(path, expected),
            (Err(refusal), expected) => {
                prop_assert_eq!(refusal, PathRefusal::AboveRoot);
                prop_assert_eq!(expected, None);
            }
            (Ok(path), None) => prop_assert!(false, "{raw} escaped to {path}"),
        }
    }
}
