//! Every file in `conf/` is a configuration that runs.

use std::fs;
use std::path::{Path, PathBuf};

use harness::{Config, Gateway};

pub(crate) fn conf() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../conf")
}

/// The text with an address of our own for each that it listens at, and sockets in a folder of our own.
pub(crate) fn movable(text: &str) -> String {
    let mut moved = String::new();
    for line in text.lines() {
        let key = line.split('=').next().unwrap_or_default().trim();
        let listens = ["address", "probes", "metrics"].contains(&key);
        let line = match line.split_once("\"127.0.0.1:").filter(|_| listens) {
            Some((before, after)) => {
                let (port, after) = after.split_once('"').expect("a closed string");
                format!("{before}\"@address.p{port}@\"{after}")
            }
            None => line.replace("\"/run/gateway/", "\"@dir@/"),
        };
        moved += &line;
        moved.push('\n');
    }
    moved
}

/// The files beside the configurations, which they name.
fn with_files(mut config: Config) -> Config {
    for directory in ["pages", "tls", "consumers"] {
        for entry in fs::read_dir(conf().join(directory)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            config = config.file(&format!("{directory}/{name}"), fs::read(&path).unwrap());
        }
    }
    config
}

#[test]
fn every_example_starts() {
    let mut started = Vec::new();
    for entry in fs::read_dir(conf()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let mut config = with_files(Config::new(movable(&text)));
        for secret in text.split("\"env:").skip(1) {
            let name = secret.split('"').next().expect("a closed string");
            config = config.env(name, &format!("a value for {name}"));
        }
        // Not every one has an admin listener that could be asked without TLS.
        let mut gateway = Gateway::start_unready(config);
        gateway.wait_log(" Started ");
        assert!(gateway.is_running(), "{}", path.display());
        started.push(path.file_name().unwrap().to_string_lossy().into_owned());
    }
    started.sort();
    assert!(
        started.contains(&"upstreams.toml".to_owned()),
        "{started:?}"
    );
}
