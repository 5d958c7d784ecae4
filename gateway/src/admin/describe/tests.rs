use std::collections::BTreeMap;
use std::time::UNIX_EPOCH;

use super::*;
use crate::config::load_text;
use crate::runtime::compile::compile;
use crate::runtime::outside::Outside;

const TEXT: &str = r#"
[listener.public]
address = "127.0.0.1:0"

[upstream.orders]
targets = ["127.0.0.1:9000", { address = "orders.invalid:9001", weight = 3 }]

[defaults]
timeout = "3s"

[cors.app]
origins = ["https://app.example.com"]

[route.orders]
match = "GET api.example.com/orders/**"
upstream = "orders"
cors = "app"
strip-prefix = "/orders"

[route.copy]
like = "orders"
match = "/orders/copy"

[admin]
address = "127.0.0.1:0"
tokens = { read = "env:READ_TOKEN" }
"#;

fn snapshot() -> Snapshot {
    let env = BTreeMap::from([("READ_TOKEN".to_owned(), "hunter2".to_owned())]);
    let loaded = load_text("gateway.toml", TEXT, &env).unwrap();
    compile(loaded.into(), &Outside::nothing(), None).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn says_of_a_route_what_it_does_and_where_that_is_written() {
    let routes = routes(&snapshot().loaded);
    let orders = &routes[1];
    assert_eq!(orders["name"], "orders");
    assert_eq!(orders["at"], "gateway.toml:14");
    assert_eq!(orders["match"], "GET api.example.com/orders/**");
    assert_eq!(orders["match-at"], "gateway.toml:15");
    assert_eq!(orders["listeners"], json!(["public"]));
    assert_eq!(
        orders["action"],
        json!({ "kind": "upstream", "upstream": "orders" })
    );
    assert_eq!(orders["timeout"], "3s");
    assert_eq!(orders["path"], json!({ "strip-prefix": "/orders" }));
    let cors = &orders["policies"][0];
    assert_eq!(
        (&cors["plugin"], &cors["name"], &cors["layer"]),
        (&json!("cors"), &json!("app"), &json!("route"))
    );
    assert_eq!(
        (&cors["at"], &cors["text"]),
        (&json!("gateway.toml:17"), &json!("\"app\""))
    );
    assert_eq!(routes[0]["provenance"]["upstream"]["like"], "orders");
}

#[test]
fn says_of_an_upstream_which_targets_can_be_tried() {
    let upstreams = upstreams(&snapshot());
    let targets = &upstreams[0]["targets"];
    assert_eq!(targets[0]["addresses"], json!(["127.0.0.1:9000"]));
    assert_eq!(targets[0]["healthy"], true);
    assert_eq!(
        (&targets[1]["weight"], &targets[1]["healthy"]),
        (&json!(3), &json!(false))
    );
}

#[test]
fn shows_the_reference_of_a_token_and_never_its_value() {
    let config = config(&snapshot());
    assert_eq!(
        config["admin"]["tokens"],
        json!({ "read": "env:READ_TOKEN", "write": null })
    );
    assert!(!config.to_string().contains("hunter2"));
    assert_eq!(config["listeners"]["public"]["encoded-slash"], "refuse");
    assert_eq!(config["files"], json!(["gateway.toml"]));
}

#[test]
fn writes_times_as_the_configuration_does() {
    let cases = [
        (0, "0ms"),
        (250, "250ms"),
        (1_500, "1500ms"),
        (90_000, "90s"),
        (60_000, "1min"),
        (172_800_000, "2d"),
    ];
    for (millis, text) in cases {
        assert_eq!(duration(Duration::from_millis(millis)), text);
    }
    assert_eq!(time(UNIX_EPOCH), "1970-01-01T00:00:00.000Z");
}
