//! One file: written, renamed when it is whole, read and checked.
//!
//! Nothing is synchronised: after a loss of power a file may be torn, which its checksums tell.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::format::{self, BLOCK, END, End, HEAD_MAX, Head, START, Table, Torn};
use super::readers::{PIECE, Unread};
use super::{CLUSTER, Stored, make_directory, readers};

/// Files up to this length are read at once.
const AT_ONCE: u64 = (PIECE + (64 << 10)) as u64;

/// The name of a file.
pub(super) fn name(stamp: u64) -> String {
    format!("{stamp:016x}")
}

/// The directory of a file.
pub(super) fn shard(stamp: u64) -> String {
    format!("{:02x}", stamp & 0xff)
}

/// The number of a file by its name and its directory.
pub(super) fn stamp(shard: &str, name: &str) -> Option<u64> {
    let stamp = u64::from_str_radix(name, 16).ok()?;
    (self::name(stamp) == name && self::shard(stamp) == shard).then_some(stamp)
}

/// What a file of this length costs.
pub(super) fn cost(length: u64) -> u64 {
    length.div_ceil(CLUSTER).saturating_mul(CLUSTER)
}

/// A file that is being written. It is deleted unless it is finished.
pub(super) struct Writer {
    pub(super) file: Arc<File>,
    path: PathBuf,
    stamp: u64,
    body: u64,
    table: Table,
}

impl Writer {
    pub(super) fn create(root: &Path, stamp: u64) -> io::Result<Self> {
        let path = root.join("tmp").join(name(stamp));
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(0o600);
        let file = options.open(&path)?;
        let writer = Self {
            file: Arc::new(file),
            path,
            stamp,
            body: 0,
            table: Table::default(),
        };
        (&*writer.file).write_all(&format::start(stamp))?;
        Ok(writer)
    }

    pub(super) fn append(&mut self, data: &[u8]) -> io::Result<()> {
        (&*self.file).write_all(data)?;
        self.table.add(data);
        self.body += data.len() as u64;
        Ok(())
    }

    /// Content so far.
    pub(super) fn length(&self) -> usize {
        usize::try_from(self.body).unwrap_or(usize::MAX)
    }

    /// Writes the rest and gives it its place; the length of the file.
    pub(super) fn finish(mut self, root: &Path, head: &[u8]) -> io::Result<u64> {
        let table = std::mem::take(&mut self.table).finish();
        let end = End::new(self.stamp, self.body, &table, head);
        let rest = [&table, head, &end.bytes()].concat();
        (&*self.file).write_all(&rest)?;
        let directory = root.join(shard(self.stamp));
        let place = directory.join(name(self.stamp));
        if let Err(error) = std::fs::rename(&self.path, &place) {
            if error.kind() != io::ErrorKind::NotFound {
                return Err(error);
            }
            make_directory(&directory)?;
            std::fs::rename(&self.path, &place)?;
        }
        self.path = PathBuf::new();
        end.length().ok_or(io::ErrorKind::FileTooLarge.into())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.path.as_os_str().is_empty() {
            // What is left over is deleted at the next start.
            std::fs::remove_file(&self.path).ok();
        }
    }
}

/// Reads the end and the head of a file.
pub(super) fn read_head(path: &Path, stamp: u64) -> Result<(End, Head), Unread> {
    let file = File::open(path)?;
    let end = read_end(&file, file.metadata()?.len(), stamp)?;
    let mut head = vec![0; end.head as usize];
    file.read_exact_at(&mut head, end.head_at().ok_or(Torn("too long"))?)?;
    if format::sum(&head) != end.head_sum {
        return Err(Torn("its head is broken").into());
    }
    Ok((end, format::decode(&head)?))
}

fn read_end(file: &File, length: u64, stamp: u64) -> Result<End, Unread> {
    let at = length.checked_sub(END as u64).ok_or(Torn("too short"))?;
    let mut end = [0; END];
    file.read_exact_at(&mut end, at)?;
    let end = End::read(&end, length)?;
    if end.stamp != stamp {
        return Err(Torn("another file").into());
    }
    Ok(end)
}

/// Writes another head; the new length of the file.
pub(super) fn write_head(path: &Path, stamp: u64, head: &[u8]) -> Result<u64, Unread> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let old = read_end(&file, file.metadata()?.len(), stamp)?;
    if head.len() > HEAD_MAX {
        return Err(Torn("too large a head").into());
    }
    let end = End {
        head: u32::try_from(head.len()).unwrap_or(u32::MAX),
        head_sum: format::sum(head),
        ..old
    };
    let rest = [head, &end.bytes()].concat();
    file.write_all_at(&rest, end.head_at().ok_or(Torn("too long"))?)?;
    let length = end.length().ok_or(Torn("too long"))?;
    file.set_len(length)?;
    Ok(length)
}

/// A file whose content is being read. It can be read to its end even when it is deleted meanwhile.
pub struct Opened {
    file: Arc<File>,
    table: Bytes,
    length: usize,
    /// The first piece.
    first: Bytes,
}

impl Opened {
    pub(super) fn open(stored: &Stored) -> Result<Self, Unread> {
        let _whole_head = stored.head.read();
        Self::open_at(
            &stored.disk.path(stored.stamp),
            stored.stamp,
            stored.length(),
        )
    }

    pub(super) fn open_at(path: &Path, stamp: u64, length: usize) -> Result<Self, Unread> {
        let file = File::open(path)?;
        let file_length = file.metadata()?.len();
        let opened = if file_length <= AT_ONCE {
            Self::whole(file, file_length, stamp)?
        } else {
            Self::begin(file, file_length, stamp)?
        };
        if opened.length != length {
            return Err(Torn("of another length").into());
        }
        Ok(opened)
    }

    fn whole(file: File, file_length: u64, stamp: u64) -> Result<Self, Unread> {
        let mut bytes = vec![0; usize::try_from(file_length).unwrap_or_default()];
        file.read_exact_at(&mut bytes, 0)?;
        let (end, table, _, body) = format::parts(&bytes)?;
        if end.stamp != stamp {
            return Err(Torn("another file").into());
        }
        format::verify(body, 0, table)?;
        let (table, length) = (Bytes::copy_from_slice(table), body.len());
        let bytes = Bytes::from(bytes);
        Ok(Self {
            file: Arc::new(file),
            table,
            length,
            first: bytes.slice(START..START + length),
        })
    }

    fn begin(file: File, file_length: u64, stamp: u64) -> Result<Self, Unread> {
        let end = read_end(&file, file_length, stamp)?;
        // It fits: `End::read` has held the sum of all lengths against the file's.
        let length = usize::try_from(end.body).map_err(|_| Torn("too long"))?;
        let table = usize::try_from(format::table_length(end.body)).unwrap_or_default();
        let mut table = vec![0; table];
        file.read_exact_at(&mut table, end.table_at().ok_or(Torn("too long"))?)?;
        if format::sum(&table) != end.table_sum {
            return Err(Torn("its checksums are broken").into());
        }
        let first = read_blocks(&file, &table, 0, length)?;
        Ok(Self {
            file: Arc::new(file),
            table: table.into(),
            length,
            first,
        })
    }

    /// Length of the content.
    pub fn length(&self) -> usize {
        self.length
    }

    /// All of the content, where that was read at once.
    pub fn all(&self) -> Option<Bytes> {
        (self.first.len() == self.length).then(|| self.first.clone())
    }

    /// Content from a place on: some, but for the end.
    pub async fn read(&self, from: usize, to: usize) -> Result<Bytes, Unread> {
        let to = to.min(self.length);
        if from >= to {
            return Ok(Bytes::new());
        }
        if from < self.first.len() {
            return Ok(self.first.slice(from..to.min(self.first.len())));
        }
        let (file, table, length) = (self.file.clone(), self.table.clone(), self.length);
        let block = from / BLOCK;
        let piece = readers::run(move || read_blocks(&file, &table, block, length)).await?;
        let start = block * BLOCK;
        Ok(piece.slice(from - start..(to - start).min(piece.len())))
    }
}

/// A piece of content that begins with a block.
fn read_blocks(file: &File, table: &[u8], block: usize, length: usize) -> Result<Bytes, Unread> {
    let start = block * BLOCK;
    let mut piece = vec![0; PIECE.min(length.saturating_sub(start))];
    file.read_exact_at(&mut piece, (START + start) as u64)?;
    format::verify(&piece, block, table)?;
    Ok(piece.into())
}
