//! A disk that is full: requests go on from memory, the trouble is counted and said once, and writing resumes when there is room.
//!
//! The directory is a small file system of its own in a namespace of the process; where the machine allows none, the test is
//! skipped and says so.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use harness::{Backend, Gateway};

use super::{DEADLINE, Directory, assert_hit, fetch, lasting, wait, wait_entries, wait_loaded};

/// Begins a namespace in which a directory is a file system of 2 MiB.
const WITHIN: &str = "mount -t tmpfs -o size=2m kept \"$0\" && exec \"$@\"";

fn unshare() -> Command {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", WITHIN]);
    command
}

/// Why there can be no such file system.
fn hindrance(kept: &Path) -> Option<String> {
    let mut probe = unshare();
    let tried = probe.arg(kept).arg("true").stdin(Stdio::null()).output();
    match tried {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(String::from_utf8_lossy(&output.stderr).into_owned()),
        Err(error) => Some(error.to_string()),
    }
}

/// A program that starts the gateway with a file system at `kept`.
fn wrapper(directory: &Directory, kept: &Path) -> PathBuf {
    let path = directory.0.join("gateway.sh");
    let text = format!(
        "#!/bin/sh\nexec unshare --user --map-root-user --mount sh -c '{WITHIN}' '{}' '{}' \"$@\"\n",
        kept.display(),
        Gateway::binary().display(),
    );
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// Takes all the room that there is; the file that holds it.
fn fill(gateway: &Gateway, kept: &Path) -> PathBuf {
    let root = format!("/proc/{}/root", gateway.pid());
    let path = PathBuf::from(format!("{root}{}", kept.join("filler").display()));
    let mut file = File::create(&path).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
    path
}

fn failures(gateway: &Gateway) -> u64 {
    gateway.metric("gateway_cache_disk_failures_total", &["kind=\"write\""])
}

#[test]
fn a_full_disk_hinders_nobody_and_is_used_again_when_there_is_room() {
    let (directory, orders) = (Directory::new(), Backend::start());
    let kept = directory.0.join("kept");
    fs::create_dir(&kept).unwrap();
    if let Some(reason) = hindrance(&kept) {
        eprintln!("skipped: no file system of its own can be made: {reason}");
        return;
    }
    let config = directory.config("8MiB", "64MiB", &orders);
    let gateway = Gateway::start(config.program(wrapper(&directory, &kept)));
    wait_loaded(&gateway);
    orders.always(lasting(vec![1; 50_000]));
    fetch(&gateway, "/before");
    wait_entries(&gateway, 1);
    let filler = fill(&gateway, &kept);
    let mut asked = 0;
    let mut more = || {
        asked += 1;
        let path = format!("/full/{asked}");
        assert_eq!(fetch(&gateway, &path).body.len(), 50_000);
        assert_hit(&fetch(&gateway, &path));
    };
    // The second time comes after a pause.
    wait::until(DEADLINE, "two writes that fail", || {
        more();
        failures(&gateway) >= 2
    });
    assert_eq!(orders.requests().len(), 1 + asked);
    let complaints = gateway.log().matches("an answer cannot be written").count();
    assert_eq!(complaints, 1, "{}", gateway.log());
    assert_hit(&fetch(&gateway, "/before"));
    // Too large for memory: it passes through.
    let large = vec![3; 1_500_000];
    orders.on("/large", lasting(large.clone()));
    for _ in 0..2 {
        assert!(fetch(&gateway, "/large").body == large);
    }
    // What cannot be put on record is forgotten nevertheless, and whoever wanted it hears of it.
    let purged = gateway.admin_post("/purge?url=http://shop.example/full/1");
    assert_eq!(
        (purged.status, purged.code().as_str()),
        (500, "admin.purge-not-recorded")
    );
    let told = fetch(&gateway, "/full/1");
    assert!(
        told.header("cache-status")
            .unwrap()
            .contains("fwd=uri-miss")
    );
    fs::remove_file(filler).unwrap();
    let before = gateway.metric("gateway_cache_disk_entries", &[]);
    let mut number = 0;
    wait::until(DEADLINE, "answers on disk again", || {
        number += 1;
        fetch(&gateway, &format!("/room/{number}"));
        gateway.metric("gateway_cache_disk_entries", &[]) > before
    });
    let purged = gateway.admin_post("/purge?url=http://shop.example/before");
    assert_eq!((purged.status, &purged.json()["purged"]), (200, &1.into()));
}
