//! The same seen by other people's programs: `openssl s_client` and curl.

use std::net::SocketAddr;
use std::process::{Command, Stdio};

use harness::{Authority, Backend, Gateway};

use super::{config, start};

/// What `openssl s_client` says of a handshake.
fn s_client(addr: SocketAddr, args: &[&str]) -> String {
    let output = Command::new("openssl")
        .args(["s_client", "-connect", &addr.to_string()])
        .args(args)
        .stdin(Stdio::null())
        .output()
        .expect("openssl runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

#[test]
fn openssl_agrees() {
    let (gateway, authority, _orders) = start("", "");
    let file = gateway.path("authority.pem");
    std::fs::write(&file, authority.pem()).unwrap();
    let file = file.display().to_string();
    let trusted = [
        "-CAfile",
        &file,
        "-servername",
        "localhost",
        "-verify_return_error",
    ];
    let with = |more: &[&str]| s_client(gateway.addr(), &[&trusted[..], more].concat());
    let said = with(&["-alpn", "h2,http/1.1"]);
    assert!(said.contains("Verify return code: 0 (ok)"), "{said}");
    assert!(said.contains("ALPN protocol: h2"), "{said}");
    assert!(said.contains("TLSv1.3"), "{said}");
    assert!(with(&["-tls1_2"]).contains("Protocol  : TLSv1.2"));
    for old in ["-tls1_1", "-tls1"] {
        let said = with(&[old, "-cipher", "ALL:@SECLEVEL=0"]);
        assert!(said.contains("Cipher is (NONE)"), "{old}: {said}");
    }
    assert!(with(&["-status"]).contains("OCSP response: no response sent"));
}

#[test]
fn openssl_sees_the_stapled_response() {
    let (authority, orders) = (Authority::new("site"), Backend::start());
    // A response that says `successful` and nothing else.
    let response = [0x30, 0x03, 0x0a, 0x01, 0x00];
    let text = "[listener.public]\naddress = \"@address.public@\"\n\
        tls = { certificates = [{ cert = \"file:site.pem\", key = \"file:site.key\", ocsp = \"file:site.ocsp\" }] }\n\
        [route.all]\nmatch = \"/**\"\nrespond = { status = 204 }\n";
    let identity = authority.issue(&["localhost"]);
    let gateway = super::with_pair(harness::Config::new(text), "site", &identity);
    let gateway = Gateway::start(gateway.file("site.ocsp", response));
    let said = s_client(gateway.addr(), &["-status", "-servername", "localhost"]);
    assert!(said.contains("OCSP Response Status: successful"), "{said}");
    drop(orders);
}

#[test]
fn curl_speaks_both_versions() {
    let (authority, orders) = (Authority::new("site"), Backend::start());
    let identity = authority.issue(&["localhost"]);
    let config = config("", "", &identity, &orders).file("authority.pem", authority.pem());
    let gateway = Gateway::start(config);
    let port = gateway.addr().port();
    for (flag, version) in [("--http2", "2"), ("--http1.1", "1.1")] {
        let output = Command::new("curl")
            .args(["--silent", "--show-error", "--cacert"])
            .arg(gateway.path("authority.pem"))
            .args(["--resolve", &format!("localhost:{port}:127.0.0.1"), flag])
            .args([
                "--output",
                "/dev/null",
                "--write-out",
                "%{http_code} %{http_version}",
            ])
            .arg(format!("https://localhost:{port}/orders"))
            .output()
            .expect("curl runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(said, format!("200 {version}"), "{output:?}");
    }
}
