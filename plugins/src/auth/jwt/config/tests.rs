//! Tables, good and bad.

use super::*;

const GOOD: &str = "issuer = \"https://idp\"\naudience = [\"orders\"]\nalgorithms = [\"RS256\"]\n";

fn validate(table: &str) -> (Option<JwtConfig>, Vec<(&'static str, String)>) {
    let raw: RawJwt = toml::from_str(table).unwrap();
    let mut report = Report::default();
    let config = raw.validate(0..table.len(), &mut report);
    let complaints = report.complaints().iter();
    let complaints = complaints.map(|complaint| (complaint.code, complaint.message.clone()));
    (config, complaints.collect())
}

fn good(table: &str) -> JwtConfig {
    let (config, complaints) = validate(table);
    assert_eq!(complaints, []);
    config.unwrap()
}

#[track_caller]
fn assert_refused(table: &str, code: &str, part: &str) {
    let (_, complaints) = validate(table);
    let [(found, message)] = &complaints[..] else {
        panic!("one complaint, not {complaints:?}");
    };
    assert_eq!(*found, code, "{table}");
    assert!(message.contains(part), "{message}");
}

#[test]
fn fills_in_what_is_not_said() {
    let config = good(&format!("jwks = \"https://idp/keys\"\n{GOOD}"));
    assert!(matches!(config.keys, KeysConfig::Published(_)));
    let terms = &config.terms;
    assert_eq!(
        (terms.bytes_max, terms.rules.leeway),
        (16 << 10, Duration::from_secs(30))
    );
    assert_eq!(
        (&terms.types, terms.rules.age_max),
        (&TokenType::Usual, None)
    );
    assert_eq!(config.mapping, Mapping::default());
    assert!(config.sources.reads_authorization());
    assert!(config.files().is_empty() && config.secrets().is_empty());
}

#[test]
fn takes_what_is_said() {
    let config = good(&format!(
        "jwks = \"file:keys.json\"\n{GOOD}leeway = \"5min\"\nage-max = \"1h\"\nrequired = [\"a.b\"]\ntype = \"at+jwt\"\n\
         size-max = \"64KiB\"\nfrom = [\"cookie.t\"]\nconsumer = \"claim.azp\"\ngroups = \"claim.realm.roles\"\n"
    ));
    assert_eq!(config.files().len(), 1);
    let rules = &config.terms.rules;
    assert_eq!(
        (rules.leeway, rules.age_max),
        (LEEWAY_MAX, Some(Duration::from_hours(1)))
    );
    assert_eq!(config.terms.types, TokenType::Exactly("at+jwt".into()));
    assert_eq!(config.mapping.groups.as_deref(), Some("realm.roles"));
    assert!(!config.sources.reads_authorization());
}

#[test]
fn keys_come_from_one_place_and_fit() {
    assert_refused(GOOD, "auth.jwt-keys", "has no keys");
    let two = format!("jwks = \"https://idp/keys\"\nsecret = \"env:X\"\n{GOOD}");
    assert_refused(&two, "auth.jwt-keys", "two places");
    let secret = format!("secret = \"env:X\"\n{GOOD}");
    assert_refused(
        &secret,
        "auth.jwt-algorithms",
        "RS256 verifies with a public key",
    );
    for keys in [
        "jwks = \"https://idp/keys\"",
        "jwks = \"file:x\"",
        "public-key = \"file:x\"",
    ] {
        let table = format!("{keys}\n{}", GOOD.replace("RS256", "HS256"));
        assert_refused(
            &table,
            "auth.jwt-algorithms",
            "HS256 verifies with a secret",
        );
    }
}

#[test]
fn refuses_what_could_not_mean_anything() {
    let with = |text: &str| format!("jwks = \"https://idp/keys\"\n{GOOD}{text}");
    assert_refused(
        &with("leeway = \"301s\"\n"),
        "auth.jwt-leeway",
        "five minutes",
    );
    assert_refused(
        &with("size-max = \"65KiB\"\n"),
        "auth.jwt-size",
        "between 1KiB and 64KiB",
    );
    assert_refused(
        &with("size-max = \"1023B\"\n"),
        "auth.jwt-size",
        "between 1KiB and 64KiB",
    );
    assert_refused(
        &with("plan = \"header.x-plan\"\n"),
        "auth.claim",
        "no claim",
    );
    let empty = |from: &str, to: &str| with("").replace(from, to);
    assert_refused(&empty("[\"RS256\"]", "[]"), "auth.jwt-algorithms", "empty");
    assert_refused(
        &empty("\"RS256\"", "\"RS256\", \"RS256\""),
        "auth.jwt-algorithms",
        "twice",
    );
    assert_refused(&empty("[\"orders\"]", "[]"), "auth.jwt-audience", "nobody");
    assert_refused(
        &empty("\"orders\"", "\"orders\", \"\""),
        "auth.jwt-audience",
        "nobody",
    );
    assert_refused(
        &empty("\"https://idp\"\naud", "\"\"\naud"),
        "auth.jwt-issuer",
        "empty",
    );
}

#[test]
fn plain_http_is_for_this_machine() {
    let with = |url: &str| validate(&format!("jwks = \"{url}\"\n{GOOD}")).1;
    for here in [
        "http://127.0.0.1:8080/k",
        "http://[::1]/k",
        "http://localhost/k",
        "https://idp/k",
    ] {
        assert_eq!(with(here), [], "{here}");
    }
    for there in [
        "http://idp/k",
        "http://10.0.0.1/k",
        "http://localhost.example.com/k",
    ] {
        assert_eq!(with(there).first().unwrap().0, "auth.plain-http", "{there}");
    }
}

#[test]
fn knows_urls_of_services() {
    for text in [
        "https://idp/keys",
        "http://[::1]:1/",
        "https://idp",
        "file:keys.json",
        "file:/etc/keys",
    ] {
        assert!(text.parse::<KeySet>().is_ok(), "{text}");
    }
    for text in [
        "",
        "idp/keys",
        "/keys",
        "ftp://idp/",
        "https://",
        "https:///keys",
        "file:",
        "https://idp/#x",
        "https://i dp/",
    ] {
        assert!(text.parse::<KeySet>().is_err(), "{text}");
    }
    let error = "https://me:hunter2@idp/".parse::<KeySet>().unwrap_err();
    assert!(!error.to_string().contains("hunter2"), "{error}");
}
