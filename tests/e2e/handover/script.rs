//! `deploy/upgrade.sh`: another program under the same name, under load; and back again where it fails.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use harness::wait::{self, DEADLINE};
use harness::{Backend, Client, Gateway, Stranger};

use super::load::Load;
use super::{TEXT, config, generation};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/upgrade.sh");

/// A folder with programs; gone with this value.
struct Programs(PathBuf);

impl Programs {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("gateway-{name}-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    /// A program that does this before it becomes the gateway under its own name.
    fn add(&self, name: &str, before: &str) -> PathBuf {
        let path = self.0.join(name);
        let binary = Gateway::binary();
        let binary = fs::canonicalize(binary).unwrap();
        let text = format!(
            "#!/usr/bin/env bash\n{before}\nexec -a \"$0\" {} \"$@\"\n",
            binary.display()
        );
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }
}

impl Drop for Programs {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

fn run(new: &Path, installed: &Path, gateway: &Gateway) -> Output {
    let mut command = Command::new(SCRIPT);
    command.arg("--binary").arg(new);
    command.arg("--installed").arg(installed);
    command.arg("--config").arg(gateway.path("gateway.toml"));
    command.output().unwrap()
}

#[test]
fn replaces_the_binary_under_load_and_keeps_the_former_one() {
    let backend = Backend::start();
    let programs = Programs::new("replaces");
    let installed = programs.add("gateway", "");
    let new = programs.add("new", "export GENERATION=2");
    let mut gateway = Gateway::start(config(TEXT, &backend).program(&installed));
    let load = Load::start(gateway.addr());
    load.wait_for("1");
    let output = run(&new, &installed, &gateway);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{output:?}");
    let process = said.split("process ").nth(1);
    let process = process.and_then(|rest| rest.split(' ').next()?.parse().ok());
    let successor = Stranger(process.unwrap_or_else(|| panic!("{output:?}")));
    load.wait_for("2");
    assert_eq!(gateway.wait_exit(DEADLINE).code(), Some(0));
    assert_eq!(load.stop().failures, Vec::<String>::new());
    let [now, former] = [&installed, &programs.0.join("gateway.former")]
        .map(|path| fs::read_to_string(path).unwrap());
    assert!(now.contains("GENERATION=2") && !former.contains("GENERATION=2"));
    assert!(successor.signal("TERM"));
    wait::until(DEADLINE, "nobody serves any more", || {
        Client::try_connect(gateway.addr()).is_err()
    });
}

#[test]
fn puts_the_former_binary_back_where_the_new_one_fails() {
    let backend = Backend::start();
    let programs = Programs::new("puts-back");
    let installed = programs.add("gateway", "");
    let gateway = Gateway::start(config(TEXT, &backend).program(&installed));
    for (name, before, code, said) in [
        ("dies", "[ \"$1\" != run ] || exit 3", 1, "exit status: 3"),
        (
            "refuses",
            "[ \"$1\" != check ] || exit 2",
            2,
            "Nothing was touched",
        ),
    ] {
        let new = programs.add(name, before);
        let output = run(&new, &installed, &gateway);
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(complaint.contains(said), "{complaint}");
        assert!(!fs::read_to_string(&installed).unwrap().contains("exit"));
        assert_eq!(generation(&gateway), "1");
    }
}
