//! Forgetting answers: by URL, by prefix, by tag, at once and for all variants.

use harness::{Script, cli};

use super::{assert_cache, keeping, saying};

#[test]
fn answers_are_forgotten_by_url_prefix_and_tag() {
    let (gateway, orders) = keeping("{ query = { drop = [\"utm_*\"] } }");
    let tagged = |tags: &str| saying("max-age=60", "").header("surrogate-key", tags);
    orders.on("/a", tagged("one two").header("vary", "accept-language"));
    orders.on("/a/b", tagged("two")).on("/c", tagged("three"));
    let fetch = |path: &str, language: &str| {
        gateway.request("GET", path, &[("accept-language", language)], b"")
    };
    let all = [("/a?x=1", "de"), ("/a?x=1", "en"), ("/a/b", ""), ("/c", "")];
    let origin = format!("http://{}", gateway.addr());
    for (asked, gone) in [
        (format!("url={origin}/a?x%3D1"), &[0, 1][..]),
        (format!("url={origin}/a?utm_x%3D1%26x%3D1"), &[0, 1]),
        (format!("url={origin}/a"), &[]),
        (format!("prefix={origin}/a"), &[0, 1, 2]),
        ("tag=two".to_owned(), &[0, 1, 2]),
        ("tag=three".to_owned(), &[3]),
        ("tag=nobody".to_owned(), &[]),
    ] {
        for (path, language) in all {
            fetch(path, language);
        }
        let answer = gateway.admin_post(&format!("/purge?{asked}"));
        assert_eq!(
            (answer.status, &answer.json()["purged"]),
            (200, &gone.len().into()),
            "{asked}"
        );
        for (position, (path, language)) in all.into_iter().enumerate() {
            let expected = if gone.contains(&position) {
                "fwd=uri-miss"
            } else {
                "hit"
            };
            assert_cache(&fetch(path, language), expected);
        }
    }
}

#[test]
fn a_soft_purge_marks_stale() {
    let (gateway, orders) = keeping("{ stale-if-error = \"1h\" }");
    orders.always(saying("max-age=60", "old").header("etag", "\"a\""));
    assert_eq!(gateway.get("/").text(), "old");
    let url = format!("/purge?url=http://{}/&soft=true", gateway.addr());
    assert_eq!(gateway.admin_post(&url).json()["purged"], 1);
    orders.once(Script::status(503));
    assert_cache(&gateway.get("/"), "hit; fwd=stale");
    orders.once(Script::status(304).header("cache-control", "max-age=60"));
    let confirmed = gateway.get("/");
    assert_cache(&confirmed, "fwd=stale; fwd-status=304");
    assert_eq!(confirmed.text(), "old");
    assert_cache(&gateway.get("/"), "hit");
}

#[test]
fn a_purge_must_be_clear() {
    let (gateway, _orders) = keeping("\"60s\"");
    for asked in ["/purge", "/purge?url=a&tag=b", "/purge?tag=a&hard=true"] {
        let answer = gateway.admin_post(asked);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "admin.purge"),
            "{asked}"
        );
    }
    assert_eq!(gateway.admin_get("/purge?tag=a").status, 405);
}

#[test]
fn the_command_line_purges() {
    let (gateway, _orders) = keeping("\"60s\"");
    assert_eq!(gateway.get("/a?b=c").status, 200);
    let admin = format!("http://{}", gateway.admin_addr());
    let url = format!("http://{}/a?b=c", gateway.addr());
    let exit = cli(&["purge", "--admin", &admin, "--url", &url]);
    assert_eq!((exit.code, exit.stdout.as_str()), (Some(0), "purged: 1\n"));
    assert_cache(&gateway.get("/a?b=c"), "fwd=uri-miss");
    assert_eq!(cli(&["purge", "--admin", &admin]).code, Some(2));
    assert_eq!(
        cli(&["purge", "--admin", &admin, "--url", "a", "--tag", "b"]).code,
        Some(2)
    );
}
