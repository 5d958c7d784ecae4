//! Notices changed files. Editors replace, containers swap links above the file, network disks tell nothing: so we watch
//! the directories, look again every few seconds all the same, and let the reloader compare the texts.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::reload::{Reloader, Trigger};
use crate::config::files;

/// Editors write in several steps; we look once they are quiet.
const QUIET: Duration = Duration::from_millis(200);
/// Longest wait for quiet.
const QUIET_MAX: Duration = Duration::from_secs(2);
/// For file systems without events.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Reloads whenever a file of the configuration changes; ends with its task.
pub async fn run(reloader: Arc<Reloader>, live: impl Fn() -> Arc<super::Snapshot>) {
    let (tell, mut changed) = mpsc::channel(1);
    let mut watcher = watcher(tell);
    let mut directories = BTreeSet::new();
    let mut seen = Looks::of(&live());
    if has_changed(&live()) {
        // Between the load and now. As nothing looks, so that the first round finds it.
        seen = Looks(Vec::new());
    }
    loop {
        if let Some(watcher) = &mut watcher {
            watch(watcher, &mut directories, &live());
        }
        match timeout(LOOK_AGAIN, changed.recv()).await {
            // Nobody tells any more: go on looking.
            Ok(None) => sleep(LOOK_AGAIN).await,
            Ok(Some(())) => quiet(&mut changed).await,
            Err(_elapsed) => {}
        }
        let looks = Looks::of(&live());
        if looks != seen {
            // Whatever comes of it has been logged and counted.
            drop(reloader.reload(Trigger::File).await);
            // As it was before the reload: what changed meanwhile, and what other files there are, is for the next round.
            seen = looks;
        }
    }
}

/// Waits until nothing has changed for a while, so that half a file is not taken for a whole one; not for ever, since
/// something else in the directory may never rest.
async fn quiet(changed: &mut mpsc::Receiver<()>) {
    let rounds = async { while let Ok(Some(())) = timeout(QUIET, changed.recv()).await {} };
    // Quiet or not: the files are compared by their looks, and a broken text changes nothing.
    drop(timeout(QUIET_MAX, rounds).await);
}

/// How the files look from outside, so that looking again costs no more than asking for it.
#[derive(PartialEq, Eq)]
struct Looks(Vec<Option<(SystemTime, u64, u64)>>);

impl Looks {
    fn of(snapshot: &super::Snapshot) -> Self {
        let sources = &snapshot.loaded.sources;
        let files = sources.files().iter().filter_map(|file| file.path());
        let named = sources.named().keys().map(PathBuf::as_path);
        let all = files.chain(sources.directories()).chain(named);
        Self(all.map(look).collect())
    }
}

/// Whether a file holds another text than the snapshot was made from.
fn has_changed(snapshot: &super::Snapshot) -> bool {
    let differs = |file: &crate::config::source::SourceFile| {
        let now = file.path().map(std::fs::read_to_string);
        now.is_some_and(|now| now.ok().as_deref() != Some(file.text()))
    };
    let sources = &snapshot.loaded.sources;
    let mut named = sources.named().iter();
    sources.files().iter().any(differs) || named.any(|(path, held)| files::digest_of(path) != *held)
}

/// Modification time, length and inode: an editor changes one of them, a swapped link the last.
fn look(path: &Path) -> Option<(SystemTime, u64, u64)> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len(), metadata.ino()))
}

fn watcher(tell: mpsc::Sender<()>) -> Option<RecommendedWatcher> {
    let on_event = move |_event| {
        // A full channel has been told already.
        tell.try_send(()).ok();
    };
    match notify::recommended_watcher(on_event) {
        Ok(watcher) => Some(watcher),
        Err(error) => {
            tracing::warn!(%error, "Cannot watch files; looking every few seconds instead");
            None
        }
    }
}

fn watch(
    watcher: &mut RecommendedWatcher,
    known: &mut BTreeSet<PathBuf>,
    snapshot: &super::Snapshot,
) {
    let wanted = self::directories(snapshot);
    for directory in wanted.difference(known) {
        if let Err(error) = watcher.watch(directory, RecursiveMode::NonRecursive) {
            tracing::debug!(%error, directory = %directory.display(), "Cannot watch a directory");
        }
    }
    *known = wanted;
}

/// Where files of the configuration are, and where a link to one of them leads.
fn directories(snapshot: &super::Snapshot) -> BTreeSet<PathBuf> {
    let sources = &snapshot.loaded.sources;
    let files = sources.files().iter().filter_map(|file| file.path());
    let named = sources.named().keys().map(PathBuf::as_path);
    let parents = files.chain(named).flat_map(|file| {
        [
            parent(file),
            file.canonicalize().ok().and_then(|file| parent(&file)),
        ]
    });
    parents
        .flatten()
        .chain(sources.directories().map(Path::to_owned))
        .collect()
}

fn parent(file: &Path) -> Option<PathBuf> {
    let parent = file.parent()?;
    Some(if parent.as_os_str().is_empty() {
        PathBuf::from(".")
    } else {
        parent.to_owned()
    })
}
