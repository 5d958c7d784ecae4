//! Files that wait until it is known what others have forgotten.

use super::*;
use crate::cache::disk::heard::Heard;

/// A directory with two answers.
fn filled() -> Directory {
    let directory = Directory::new();
    let zone = zone_on(&directory, MEMORY, 1 << 20);
    settled(zone);
    for path in ["/a", "/b"] {
        put(zone, path, b"content");
    }
    close(zone);
    directory
}

/// A zone that follows a log, as soon as it has the directory.
fn following(directory: &Directory) -> (&'static Zone, Arc<Disk>) {
    let zone = zone::for_tests(MEMORY);
    zone.use_disk(Some((&directory.0, 1 << 20)), true);
    let disk = zone.disk().unwrap();
    while !disk.is_ours() {
        std::thread::yield_now();
    }
    assert!(runtime().block_on(disk.recorded()));
    (zone, disk)
}

fn forget(zone: &'static Zone, path: &str) {
    purge::purge(&[zone], &Target::Url(format!("http://a{path}")), false);
}

#[test]
fn they_are_found_when_that_is_known() {
    let directory = filled();
    let (zone, disk) = following(&directory);
    assert!(!disk.is_loaded() && found(zone, "/b").is_none());
    assert_eq!(disk.left_off(7), Some(None));
    forget(zone, "/a");
    let (log, place) = (7, b"1-1".to_vec());
    disk.heard(&Heard { log, place });
    assert_eq!(disk.left_off(7), None);
    settled(zone);
    assert!(found(zone, "/a").is_none());
    assert!(!found(zone, "/b").unwrap().is_expired());
    close(zone);
    let (zone, disk) = following(&directory);
    assert_eq!(disk.left_off(7), Some(Some(b"1-1".to_vec())));
    assert_eq!(disk.left_off(8), Some(None), "another log");
    disk.wait_no_more();
    close(zone);
}

#[test]
fn they_are_stale_when_that_takes_too_long() {
    let directory = filled();
    let (zone, disk) = following(&directory);
    disk.hearing.lose_patience();
    disk.queue.wake();
    settled(zone);
    assert!(found(zone, "/a").unwrap().is_expired());
    // It may still be heard.
    assert_eq!(disk.left_off(7), Some(None));
    close(zone);
}

#[test]
fn they_may_go_for_others_meanwhile() {
    let directory = filled();
    let (zone, disk) = following(&directory);
    disk.resize(0);
    settled(zone);
    assert_eq!((disk.census().bytes, directory.files().len()), (0, 0));
    close(zone);
}

#[test]
fn a_place_is_not_kept_while_something_is_not_on_record() {
    let directory = filled();
    let (zone, disk) = following(&directory);
    let heard = |place: &[u8]| {
        let place = place.to_vec();
        disk.heard(&Heard { log: 7, place });
    };
    heard(b"1-1");
    settled(zone);
    // A record cannot be written where a directory is.
    fs::remove_file(directory.0.join("purges")).ok();
    fs::create_dir(directory.0.join("purges")).unwrap();
    forget(zone, "/a");
    heard(b"2-2");
    assert!(!runtime().block_on(disk.recorded()));
    let said = fs::read(directory.0.join("heard")).unwrap();
    assert_eq!(Heard::read(&said).unwrap().place, b"1-1");
    fs::remove_dir(directory.0.join("purges")).unwrap();
    close(zone);
}
