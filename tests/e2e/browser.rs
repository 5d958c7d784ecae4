//! What only a browser decides: which cookies it keeps and sends, and what it says of where a request comes from.

use harness::{Backend, Browser, Config, Gateway, Idp, Script};

const SECRET: &str = "app-secret-of-at-least-32-characters";

/// A page whose script asks for data, and whose button ends the session.
const PAGE: &str = r#"<!DOCTYPE html><title>Orders</title><h1>Orders of the day</h1>
    <form method="post" action="/oauth2/logout"><button id="out">Log out</button></form>"#;

const TEXT: &str = r#"
    [listener.public]
    address = "@address.public@"
    [upstream.orders]
    targets = ["@upstream.orders@"]
    [auth.browsers]
    oidc = {
      issuer = "ISSUER", client-id = "app", client-secret = "env:IDP_SECRET", external-url = "http://@address.public@",
      cookie-keys = ["env:COOKIE_KEY"], after-logout = "/bye",
    }
    [route.orders]
    match = "/**"
    upstream = "orders"
    auth = "browsers"
    [route.bye]
    match = "/bye"
    auth = "none"
    respond = { status = 200, body = "Good bye" }
"#;

#[test]
fn somebody_logs_in_and_out_in_a_browser() {
    if !Browser::is_installed() {
        // The machine may lack the package and the right to install it; the same steps are taken without a browser in `oidc`.
        eprintln!(
            "skipped: chromedriver is missing; tests/tools/install.sh brings it where it may"
        );
        return;
    }
    let (idp, orders) = (Idp::start(), Backend::start());
    orders.on(
        "/page",
        Script::answer(200, PAGE).header("content-type", "text/html"),
    );
    let text = TEXT.replace("ISSUER", &idp.issuer());
    let config = Config::new(text)
        .upstream("orders", orders.addr())
        .env("IDP_SECRET", SECRET)
        .env("COOKIE_KEY", "a key for cookies of more than 32 bytes");
    let gateway = Gateway::start(config);
    let base = format!("http://{}", gateway.addr());
    idp.register(
        "app",
        SECRET,
        &format!("{base}/oauth2/callback"),
        &format!("{base}/"),
    );
    let browser = Browser::start();

    browser.open(&format!("{base}/page?a=b"));
    assert!(
        browser.url().starts_with(&idp.url("/login/")),
        "{}",
        browser.url()
    );
    browser.write("login", "alice");
    browser.click("go");
    browser.arrive(&format!("{base}/page?a=b"));
    assert!(browser.source().contains("Orders of the day"));

    // Scripts see no cookie, and their requests carry it all the same.
    assert_eq!(
        browser.script("return document.cookie.includes('session=1.')"),
        false
    );
    assert_eq!(browser.script("return (await fetch('/data')).status"), 200);
    assert_eq!(
        browser.script("return (await fetch('/data', { method: 'POST' })).status"),
        200
    );
    let kept = browser.cookies();
    let session = kept
        .iter()
        .find(|cookie| cookie["name"] == "session")
        .expect("a session");
    assert_eq!(
        (&session["httpOnly"], &session["sameSite"]),
        (&true.into(), &"Lax".into())
    );

    browser.click("out");
    browser.arrive(&format!("{base}/bye"));
    assert!(browser.source().contains("Good bye"));
    assert_eq!(browser.script("return (await fetch('/data')).status"), 401);
    assert!(
        !browser
            .cookies()
            .iter()
            .any(|cookie| cookie["name"] == "session")
    );
}
