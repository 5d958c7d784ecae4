//! Each rule at its border, each wrong type.

use serde_json::json;

use super::*;

const NOW: u64 = 1_800_000_000;

fn rules() -> Rules {
    Rules {
        issuer: "https://idp.example.com/".into(),
        audience: ["orders".into(), "billing".into()].into(),
        leeway: Duration::from_secs(30),
        age_max: None,
        required: [].into(),
    }
}

fn claims(changes: &Value) -> Map<String, Value> {
    let mut claims = json!({ "iss": "https://idp.example.com/", "aud": "orders", "exp": NOW + 60 });
    let members = claims.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        members.insert(name.clone(), value.clone());
    }
    members.clone()
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

#[expect(clippy::needless_pass_by_value, reason = "calls read better")]
fn judge(rules: &Rules, changes: Value) -> Result<SystemTime, Fault> {
    rules.check(&claims(&changes), at(NOW))
}

#[test]
fn the_issuer_is_compared_to_the_letter() {
    assert!(judge(&rules(), json!({})).is_ok());
    for issuer in [
        "https://idp.example.com",
        "HTTPS://idp.example.com/",
        "https://idp.example.com//",
        "",
    ] {
        assert_eq!(
            judge(&rules(), json!({ "iss": issuer })),
            Err(Fault::Issuer),
            "{issuer}"
        );
    }
    for issuer in [json!(null), json!(["https://idp.example.com/"]), json!(1)] {
        assert_eq!(
            judge(&rules(), json!({ "iss": issuer })),
            Err(wrong_type("iss"))
        );
    }
    let mut none = claims(&json!({}));
    none.remove("iss");
    assert_eq!(rules().check(&none, at(NOW)), Err(missing("iss")));
}

#[test]
fn one_audience_must_be_ours() {
    for audience in [
        json!("billing"),
        json!(["x", "orders"]),
        json!(["orders", "orders"]),
    ] {
        assert!(judge(&rules(), json!({ "aud": audience })).is_ok());
    }
    for audience in [
        json!(""),
        json!("order"),
        json!("orders billing"),
        json!([]),
        json!(["x"]),
    ] {
        assert_eq!(
            judge(&rules(), json!({ "aud": audience })),
            Err(Fault::Audience)
        );
    }
    for audience in [
        json!(null),
        json!(7),
        json!({ "orders": 1 }),
        json!(["orders", 7]),
        json!([["orders"]]),
    ] {
        assert_eq!(
            judge(&rules(), json!({ "aud": audience })),
            Err(wrong_type("aud"))
        );
    }
    let mut none = claims(&json!({}));
    none.remove("aud");
    assert_eq!(rules().check(&none, at(NOW)), Err(missing("aud")));
}

#[test]
fn times_hold_to_the_second_of_their_leeway() {
    let ok = |changes| judge(&rules(), changes).is_ok();
    assert!(ok(json!({ "exp": NOW - 29 })));
    assert!(ok(json!({ "exp": 1_799_999_970.5 })));
    assert_eq!(
        judge(&rules(), json!({ "exp": NOW - 30 })),
        Err(Fault::Expired)
    );
    assert_eq!(judge(&rules(), json!({ "exp": 0 })), Err(Fault::Expired));
    assert!(ok(json!({ "nbf": NOW + 30 })));
    assert!(ok(json!({ "nbf": 0 })));
    assert_eq!(
        judge(&rules(), json!({ "nbf": NOW + 31 })),
        Err(Fault::NotYet)
    );
    assert_eq!(
        judge(&rules(), json!({ "nbf": 1_800_000_030.5 })),
        Err(Fault::NotYet)
    );
    assert!(ok(json!({ "iat": NOW + 30 })));
    assert_eq!(
        judge(&rules(), json!({ "iat": NOW + 31 })),
        Err(Fault::Future)
    );
    assert_eq!(judge(&rules(), json!({})), Ok(at(NOW + 90)));
    assert!(ok(json!({ "exp": 1e300 })), "far, not wrong");
}

#[test]
fn dates_are_numbers() {
    for name in ["exp", "nbf", "iat"] {
        for value in [
            json!("1900000000"),
            json!(null),
            json!(true),
            json!([1]),
            json!(-1),
            json!({}),
        ] {
            assert_eq!(
                judge(&rules(), json!({ name: value })),
                Err(wrong_type(name)),
                "{name} {value}"
            );
        }
    }
    let mut none = claims(&json!({}));
    none.remove("exp");
    assert_eq!(rules().check(&none, at(NOW)), Err(missing("exp")));
}

#[test]
fn age_counts_from_the_issue() {
    let rules = Rules {
        age_max: Some(Duration::from_mins(10)),
        ..rules()
    };
    assert_eq!(judge(&rules, json!({})), Err(missing("iat")));
    assert_eq!(
        judge(&rules, json!({ "iat": NOW - 600, "exp": NOW + 9_000 })),
        Ok(at(NOW + 30))
    );
    assert!(judge(&rules, json!({ "iat": NOW - 629 })).is_ok());
    assert_eq!(
        judge(&rules, json!({ "iat": NOW - 630 })),
        Err(Fault::TooOld)
    );
}

#[test]
fn required_claims_are_there() {
    let rules = Rules {
        required: ["tenant".into(), "realm.roles".into()].into(),
        ..rules()
    };
    let realm = json!({ "roles": [] });
    assert!(judge(&rules, json!({ "tenant": "a", "realm": realm })).is_ok());
    assert!(judge(&rules, json!({ "tenant": false, "realm.roles": 0 })).is_ok());
    assert_eq!(
        judge(&rules, json!({ "tenant": null, "realm": realm })),
        Err(missing("tenant"))
    );
    assert_eq!(
        judge(&rules, json!({ "tenant": "a" })),
        Err(missing("realm.roles"))
    );
}

#[test]
fn a_name_with_dots_is_a_name_first_and_then_a_path() {
    let claims = json!({
        "a.b": 1, "a": { "b": 2, "c": { "d": 3 }, "e.f": 4 }, "https://x.example/plan": "gold", "list": [{ "a": 1 }],
    });
    let claims = claims.as_object().unwrap();
    let find = |name| find(claims, name).cloned();
    assert_eq!(find("a.b"), Some(json!(1)));
    assert_eq!(find("a.c.d"), Some(json!(3)));
    assert_eq!(find("https://x.example/plan"), Some(json!("gold")));
    for name in [
        "", ".", "a.", ".a", "a.x", "list.0", "list.a", "a.c.d.e", "a.e.f",
    ] {
        assert_eq!(find(name), None, "{name:?}");
    }
}
