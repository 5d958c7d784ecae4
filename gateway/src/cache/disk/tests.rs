//! What is written is found again, and nothing else is.

use std::fs;
use std::sync::atomic::AtomicUsize;

use http::header::HeaderName;
use http::{HeaderMap, StatusCode};

use super::*;
use crate::cache::body::Body;
use crate::cache::entry::{Marks, Place, Uses};
use crate::cache::freshness::Times;
use crate::cache::key::Key;
use crate::cache::purge;
use crate::cache::query::QueryRule;
use crate::cache::zone;

mod waiting;

/// A directory of a test; it goes with it.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        let name = format!("gateway-disk-test-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        prepare(&path).unwrap();
        Self(path)
    }

    /// All files of answers.
    fn files(&self) -> Vec<PathBuf> {
        let shards = fs::read_dir(&self.0)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let shards = shards.filter(|path| path.is_dir() && !path.ends_with("tmp"));
        let files = shards.flat_map(|shard| fs::read_dir(shard).unwrap());
        files.map(|entry| entry.unwrap().path()).collect()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

const MEMORY: usize = 1 << 20;

/// A zone with this directory, as another process would have it.
fn zone_on(directory: &Directory, memory: usize, size: u64) -> &'static Zone {
    let zone = zone::for_tests(memory);
    zone.use_disk(Some((&directory.0, size)), false);
    zone
}

/// Everything that was to be done has been done; everything there is, is known.
fn settled(zone: &'static Zone) -> Arc<Disk> {
    let disk = zone.disk().unwrap();
    for _ in 0..100_000 {
        assert!(runtime().block_on(disk.recorded()));
        if disk.is_loaded() {
            // The first may still be among what is done before the record of purges is emptied; the second is told after that,
            // and after all deletions.
            assert!(runtime().block_on(disk.recorded()));
            assert!(runtime().block_on(disk.recorded()));
            return disk;
        }
    }
    panic!("the directory is never known");
}

fn close(zone: &'static Zone) {
    let disk = settled(zone);
    zone.leave_disk(&disk);
    runtime().block_on(disk.closed());
}

fn key(path: &str) -> Key {
    let mut key = Key::default();
    key.part(path.as_bytes());
    key
}

fn entry(zone: &Zone, path: &str, content: &[u8]) -> Arc<Entry> {
    let body = Body::default();
    body.push(Bytes::copy_from_slice(content));
    body.finish();
    let mut fields = HeaderMap::new();
    fields.insert("etag", "\"a\"".parse().unwrap());
    Arc::new(Entry {
        id: zone.new_id(),
        place: Arc::new(Place {
            key: key(path),
            url: format!("http://a{path}").into(),
            query: None,
            rule: Arc::new(QueryRule::All),
        }),
        vary: Vec::<HeaderName>::new().into(),
        values: Key::default(),
        status: StatusCode::OK,
        fields,
        times: Times {
            arrived: SystemTime::now(),
            initial_age: Duration::ZERO,
            lifetime: Duration::from_hours(1),
            stale_while_revalidate: Duration::ZERO,
            stale_if_error: Duration::ZERO,
            strict: false,
        },
        body: Arc::new(body),
        tags: [Arc::from("tag"), Arc::from(path)].into(),
        marks: Marks::default(),
        uses: Arc::new(Uses::default()),
    })
}

fn put(zone: &Zone, path: &str, content: &[u8]) -> Arc<Entry> {
    let entry = entry(zone, path, content);
    zone.insert(&entry);
    zone.charge(&entry, content.len());
    zone.keep(&entry);
    entry
}

fn found(zone: &Zone, path: &str) -> Option<Arc<Entry>> {
    zone.find(&key(path), &HeaderMap::new())
}

/// What a file says, if it says anything.
fn read(entry: &Entry) -> Result<Vec<u8>, readers::Unread> {
    runtime().block_on(async {
        let opened = entry.body.file().unwrap().open().await?;
        let (mut at, mut content) = (0, Vec::new());
        loop {
            let piece = opened.read(at, usize::MAX).await?;
            if piece.is_empty() {
                return Ok(content);
            }
            at += piece.len();
            content.extend_from_slice(&piece);
        }
    })
}

#[test]
fn what_one_process_keeps_the_next_one_finds() {
    let directory = Directory::new();
    let zone = zone_on(&directory, 8 << 20, 64 << 20);
    settled(zone);
    let large = vec![7; 700_000];
    put(zone, "/small", b"content");
    put(zone, "/large", &large);
    close(zone);
    let zone = zone_on(&directory, MEMORY, 64 << 20);
    let disk = settled(zone);
    assert_eq!(disk.census().objects, 2);
    let small = found(zone, "/small").unwrap();
    assert!(small.body.is_elsewhere());
    assert_eq!(
        (&small.fields["etag"], read(&small).unwrap()),
        (
            &"\"a\"".parse::<http::HeaderValue>().unwrap(),
            b"content".to_vec()
        )
    );
    let large_one = found(zone, "/large").unwrap();
    assert!(read(&large_one).unwrap() == large);
    close(zone);
}

#[test]
fn a_file_that_is_not_what_was_written_is_deleted_and_counted() {
    let directory = Directory::new();
    let zone = zone_on(&directory, MEMORY, 64 << 20);
    settled(zone);
    for path in ["/cut", "/head", "/content", "/good"] {
        put(zone, path, path.as_bytes());
        settled(zone);
    }
    close(zone);
    let mut files = directory.files();
    files.sort();
    assert_eq!(files.len(), 4);
    let change = |path: &PathBuf, edit: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = fs::read(path).unwrap();
        edit(&mut bytes);
        fs::write(path, bytes).unwrap();
    };
    for file in &files {
        let bytes = fs::read(file).unwrap();
        let (_, head, body) = format::parse(&bytes).unwrap();
        assert_eq!(head.place.url.as_bytes(), [b"http://a", body].concat());
        match body {
            b"/cut" => change(file, &|bytes| bytes.truncate(bytes.len() - 3)),
            b"/head" => change(file, &|bytes| bytes[40] ^= 1),
            b"/content" => change(file, &|bytes| bytes[20] ^= 1),
            _ => {}
        }
    }
    let shard = files[0].parent().unwrap();
    fs::write(shard.join("somebody-elses"), "x").unwrap();
    fs::write(directory.0.join("tmp/left-over"), "x").unwrap();
    let zone = zone_on(&directory, MEMORY, 64 << 20);
    let disk = settled(zone);
    assert!(found(zone, "/cut").is_none() && found(zone, "/head").is_none());
    assert_eq!(disk.counts.torn.load(Ordering::Relaxed), 3);
    assert_eq!(read(&found(zone, "/good").unwrap()).unwrap(), b"/good");
    // Content is looked at when it is wanted.
    let broken = read(&found(zone, "/content").unwrap());
    assert_eq!(
        broken,
        Err(readers::Unread::Torn(format::Torn("its content is broken")))
    );
    assert_eq!(disk.counts.torn.load(Ordering::Relaxed), 4);
    assert_eq!(fs::read_dir(directory.0.join("tmp")).unwrap().count(), 0);
    close(zone);
}

#[test]
fn holds_no_more_than_it_may() {
    let directory = Directory::new();
    let size = 1 << 20;
    let zone = zone_on(&directory, 64 << 20, size);
    settled(zone);
    for number in 0..200 {
        put(zone, &format!("/{number}"), &vec![1; 10_000]);
        if number % 20 == 0 {
            assert!(settled(zone).census().bytes <= size);
        }
    }
    let disk = settled(zone);
    let on_disk: u64 = directory
        .files()
        .iter()
        .map(|file| file::cost(fs::metadata(file).unwrap().len()))
        .sum();
    assert_eq!(disk.census().bytes, on_disk);
    assert!(on_disk <= size && on_disk > size / 2, "{on_disk}");
    assert!(disk.counts.evictions.load(Ordering::Relaxed) > 50);
    // What is larger than all of it is not written, and nothing goes for it.
    let before = disk.census().objects;
    put(zone, "/large", &vec![1; 2 << 20]);
    assert_eq!(settled(zone).census().objects, before);
    // A smaller directory drops what it cannot hold.
    disk.resize(size / 4);
    assert!(settled(zone).census().bytes <= size / 4);
    close(zone);
    let zone = zone_on(&directory, 64 << 20, size / 8);
    assert!(settled(zone).census().bytes <= size / 8);
    close(zone);
}

#[test]
fn what_memory_cannot_hold_is_found_on_disk_and_comes_back() {
    let directory = Directory::new();
    let zone = zone_on(&directory, MEMORY, 64 << 20);
    settled(zone);
    for number in 0..40 {
        put(zone, &format!("/{number}"), &vec![number; 50_000]);
        settled(zone);
        assert!(zone.census().bytes <= MEMORY);
    }
    let elsewhere = |zone: &Zone| {
        let all = (0..40).filter_map(|number| found(zone, &format!("/{number}")));
        all.filter(|entry| entry.body.is_elsewhere()).count()
    };
    assert_eq!(zone.census().entries, 40);
    assert!(elsewhere(zone) >= 15);
    let first = found(zone, "/0").unwrap();
    let content = read(&first).unwrap();
    assert!(content == vec![0; 50_000]);
    let here = zone.enter_memory(&first, content.into());
    assert!(first.is_gone() && !here.body.is_elsewhere() && !here.is_gone());
    assert!(Arc::ptr_eq(&here, &found(zone, "/0").unwrap()));
    // Whoever knew it as it was takes it out wherever it is now.
    assert!(zone.remove(&first) && found(zone, "/0").is_none());
    let disk = settled(zone);
    assert_eq!((zone.census().entries, disk.census().objects), (39, 39));
    assert_eq!(directory.files().len(), 39);
    assert!(zone.at_url("http://a/0").is_empty());
    close(zone);
}

#[test]
fn purges_reach_files_and_outlive_the_process() {
    let directory = Directory::new();
    let zone = zone_on(&directory, MEMORY, 64 << 20);
    settled(zone);
    for path in ["/a", "/b", "/c"] {
        put(zone, path, b"x");
    }
    settled(zone);
    let zones: [&'static Zone; 1] = [zone];
    assert_eq!(
        purge::purge(&zones, &Target::Tag("/a".to_owned()), false),
        1
    );
    assert_eq!(
        purge::purge(&zones, &Target::Url("http://a/b".to_owned()), true),
        1
    );
    assert!(runtime().block_on(purge::recorded(&zones)));
    close(zone);
    assert_eq!(directory.files().len(), 2);
    let zone = zone_on(&directory, MEMORY, 64 << 20);
    settled(zone);
    assert!(found(zone, "/a").is_none());
    assert!(found(zone, "/b").unwrap().is_expired());
    assert!(!found(zone, "/c").unwrap().is_expired());
    close(zone);
}

#[test]
fn a_file_that_came_back_is_held_against_what_is_on_record() {
    let directory = Directory::new();
    let zone = zone_on(&directory, MEMORY, 64 << 20);
    settled(zone);
    put(zone, "/a", b"x");
    put(zone, "/b", b"x");
    settled(zone);
    let saved: Vec<_> = directory
        .files()
        .into_iter()
        .map(|file| (file.clone(), fs::read(&file).unwrap()))
        .collect();
    let zones: [&'static Zone; 1] = [zone];
    purge::purge(&zones, &Target::Prefix("http://a/a".to_owned()), false);
    assert!(runtime().block_on(purge::recorded(&zones)));
    close(zone);
    for (file, bytes) in saved {
        fs::write(file, bytes).unwrap();
    }
    let zone = zone_on(&directory, MEMORY, 64 << 20);
    settled(zone);
    assert!(found(zone, "/a").is_none());
    assert!(found(zone, "/b").is_some());
    close(zone);
    assert_eq!(directory.files().len(), 1);
}

/// More purges than a start can tell files by: the record is emptied in time.
#[test]
fn many_purges_forget_no_more_than_they_say() {
    let directory = Directory::new();
    let zone = zone_on(&directory, MEMORY, 64 << 20);
    settled(zone);
    put(zone, "/a", b"x");
    let zones: [&'static Zone; 1] = [zone];
    for _ in 0..3 {
        for number in 0..600 {
            purge::purge(&zones, &Target::Tag(format!("{number}")), false);
        }
        let emptied = || fs::metadata(directory.0.join("purges")).unwrap().len() < 501 * 20;
        assert!((0..100_000).any(|_| settled(zone).is_loaded() && emptied()));
    }
    close(zone);
    let zone = zone_on(&directory, MEMORY, 64 << 20);
    settled(zone);
    assert!(found(zone, "/a").is_some());
    close(zone);
}

/// However far the directory is known by then.
#[test]
fn a_purge_at_the_start_reaches_what_is_not_known_yet() {
    for soft in [false, true] {
        let directory = Directory::new();
        let zone = zone_on(&directory, 64 << 20, 64 << 20);
        settled(zone);
        for number in 0..300 {
            put(zone, &format!("/{number}"), b"x");
        }
        close(zone);
        assert_eq!(directory.files().len(), 300);
        let zone = zone_on(&directory, 64 << 20, 64 << 20);
        let zones: [&'static Zone; 1] = [zone];
        purge::purge(&zones, &Target::Tag("tag".to_owned()), soft);
        settled(zone);
        let all: Vec<_> = (0..300)
            .filter_map(|number| found(zone, &format!("/{number}")))
            .collect();
        assert_eq!(all.len(), if soft { 300 } else { 0 });
        assert!(all.iter().all(|entry| entry.is_expired()));
        close(zone);
        let zone = zone_on(&directory, 64 << 20, 64 << 20);
        settled(zone);
        let first = found(zone, "/0");
        assert_eq!(first.map(|entry| entry.is_expired()), soft.then_some(true));
        close(zone);
    }
}

#[test]
fn a_damaged_record_speaks_against_everything() {
    let record = Record::new(5, true, Target::Tag("x".to_owned()));
    let bytes = record.bytes();
    assert_eq!(purges::read_all(&bytes), (vec![record.clone()], true));
    let twice = [&bytes[..], &bytes].concat();
    assert_eq!(
        purges::read_all(&twice[..bytes.len() + 9]),
        (vec![record], false)
    );
    let directory = Directory::new();
    let zone = zone_on(&directory, MEMORY, 64 << 20);
    settled(zone);
    put(zone, "/a", b"x");
    close(zone);
    fs::write(directory.0.join("purges"), &bytes[..9]).unwrap();
    let zone = zone_on(&directory, MEMORY, 64 << 20);
    assert_eq!(settled(zone).census().objects, 0);
    assert_eq!(directory.files().len(), 0);
    put(zone, "/b", b"x");
    close(zone);
    assert_eq!(directory.files().len(), 1);
    assert_eq!(fs::metadata(directory.0.join("purges")).unwrap().len(), 0);
}

#[test]
fn a_directory_has_one_user_at_a_time() {
    let directory = Directory::new();
    let zone = zone_on(&directory, MEMORY, 64 << 20);
    settled(zone);
    put(zone, "/a", b"x");
    settled(zone);
    let second = zone_on(&directory, MEMORY, 64 << 20);
    put(second, "/a", b"newer");
    let zones: [&'static Zone; 1] = [second];
    // It may say what is to be forgotten though it has not the directory yet.
    purge::purge(&zones, &Target::Tag("/b".to_owned()), false);
    assert!(runtime().block_on(purge::recorded(&zones)));
    assert!(found(second, "/b").is_none() && found(second, "/a").is_some());
    put(zone, "/c", b"x");
    assert!(!second.disk().unwrap().is_loaded());
    close(zone);
    settled(second);
    assert!(found(second, "/c").is_some());
    // What is newer stays.
    assert_eq!(found(second, "/a").unwrap().body.length(), 5);
    assert_eq!(directory.files().len(), 1);
    close(second);
}

#[test]
fn a_directory_that_was_removed_is_made_again() {
    let directory = Directory::new();
    let zone = zone_on(&directory, MEMORY, 64 << 20);
    settled(zone);
    put(zone, "/a", b"x");
    let disk = settled(zone);
    fs::remove_dir_all(&directory.0).unwrap();
    put(zone, "/b", b"x");
    settled(zone);
    assert_eq!(directory.files().len(), 1);
    let lost = found(zone, "/a").unwrap();
    assert_eq!(
        read(&lost),
        Err(readers::Unread::System(io::ErrorKind::NotFound))
    );
    zone.remove(&lost);
    settled(zone);
    assert_eq!(disk.census().objects, 1);
    close(zone);
}

#[test]
fn what_cannot_be_written_is_counted_and_stays_in_memory() {
    let directory = Directory::new();
    let zone = zone_on(&directory, MEMORY, 64 << 20);
    let disk = settled(zone);
    // A file where a directory should be: even root cannot write there.
    fs::remove_dir_all(directory.0.join("tmp")).unwrap();
    fs::write(directory.0.join("tmp"), "x").unwrap();
    put(zone, "/a", b"x");
    put(zone, "/b", b"x");
    settled(zone);
    assert_eq!(disk.counts.write_failed.load(Ordering::Relaxed), 1);
    // The next one is not even tried.
    assert_eq!(disk.counts.refused.load(Ordering::Relaxed), 1);
    assert!(found(zone, "/a").unwrap().body.file().is_none());
    assert_eq!(disk.census().bytes, 0);
    close(zone);
}

#[test]
fn an_answer_too_large_for_memory_goes_to_disk_while_it_comes() {
    let directory = Directory::new();
    let zone = zone_on(&directory, MEMORY, 64 << 20);
    let disk = settled(zone);
    let entry = entry(zone, "/", b"");
    let body = Arc::new(Body::default());
    let entry = Arc::new(Entry {
        body: body.clone(),
        ..Arc::into_inner(entry).unwrap()
    });
    zone.insert(&entry);
    let piece = |number: u8| Bytes::from(vec![number; 100_000]);
    body.push(piece(0));
    let spool = disk.spool(&entry).unwrap();
    for number in 1..30 {
        body.push(piece(number));
        disk.append(&spool, piece(number));
    }
    settled(zone);
    assert!(zone.census().bytes < 10_000);
    let content: Vec<u8> = (0..30).flat_map(|number| piece(number).to_vec()).collect();
    // Who comes late reads from the file what has left memory.
    let mut reader = crate::cache::body::Position::default();
    let piece = runtime().block_on(body.read(&mut reader)).unwrap().unwrap();
    assert!(!piece.is_empty() && content.starts_with(&piece));
    body.finish();
    disk.finish(spool, entry.clone());
    settled(zone);
    let kept = found(zone, "/").unwrap();
    assert!(kept.body.is_elsewhere() && entry.is_gone());
    assert!(read(&kept).unwrap() == content);
    let range = runtime().block_on(async {
        let opened = kept.body.file().unwrap().open().await.unwrap();
        opened.read(1_999_999, 2_000_002).await.unwrap()
    });
    assert_eq!(&range[..], [19, 20, 20]);
    close(zone);
    let zone = zone_on(&directory, MEMORY, 64 << 20);
    settled(zone);
    assert!(read(&found(zone, "/").unwrap()).unwrap() == content);
    close(zone);
}
