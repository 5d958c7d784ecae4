//! Certificates in every state that `gateway check` has a word about.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, KeyPair, date_time_ymd};

const DAY: Duration = Duration::from_hours(24);

/// Writes `NAME.pem` and `NAME.key` for each.
pub(crate) fn make(directory: &Path) {
    fs::create_dir_all(directory).expect("a directory can be made");
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = date_time_ymd(1970, 1, 1) + now.expect("a clock after 1970");
    let make = |name: &str, hosts: &[&str], change: &dyn Fn(&mut CertificateParams)| {
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut params = CertificateParams::new(hosts).expect("names of hosts");
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        let cert = params.self_signed(&key).expect("a certificate");
        let write = |end: &str, text: String| {
            fs::write(directory.join(format!("{name}.{end}")), text).expect("a file");
        };
        write("pem", cert.pem());
        write("key", key.serialize_pem());
    };
    make("site", &["api.example.com", "*.example.net"], &|_| {});
    make("twin", &["www.example.com", "api.example.com"], &|_| {});
    make("other", &["other.example.com"], &|_| {});
    make("nameless", &[], &|_| {});
    make("expired", &["api.example.com"], &|params| {
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
    });
    make("early", &["api.example.com"], &|params| {
        params.not_before = date_time_ymd(3000, 1, 1);
    });
    make("soon", &["api.example.com"], &|params| {
        // Half a day more, so that a slow test still counts three.
        params.not_after = now + DAY * 3 + DAY / 2;
    });
    let successful = [0x30, 0x03, 0x0a, 0x01, 0x00];
    fs::write(directory.join("site.ocsp"), successful).expect("a file");
}
