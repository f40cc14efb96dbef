//! The files of a recording, from its directory or from a .tar.gz of it. An archive chooses its own sizes, names and
//! entries, so each of them has a bound, and so has their sum.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::rc::Rc;

use anyhow::{Context, Result, anyhow};
use nix::errno::Errno;

use super::below::Below;
use super::{Refusal, input};
use crate::model::bounds::{self, Bound};

/// What a name and its place in memory take beside their bytes.
const BESIDE: u64 = 128;

/// How a file begins that gzip packed: RFC 1952.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// The files of a recording.
#[derive(Debug, Default)]
pub(super) struct Store {
    /// Where those lie that are not kept yet; none for an archive, of which all are.
    folder: Option<Below>,
    /// Entries of an archive that are links.
    links: BTreeSet<String>,
    kept: BTreeMap<String, Rc<Vec<u8>>>,
    bytes: u64,
    /// Whether an archive ends early or is damaged.
    pub(super) damaged: bool,
    /// Files for which there was no room.
    pub(super) cut: usize,
}

/// Why a file is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// It is not there, or too much.
    Lost,
    /// It is a link, which may lead anywhere.
    Link,
    /// This user may not read it.
    Denied,
}

impl Store {
    /// Opens a directory or an archive.
    ///
    /// # Errors
    /// Those of opening it. What comes before damage in an archive is kept.
    pub(super) fn open(path: &Path) -> Result<Self> {
        if !input::is_folder(path) {
            return Ok(Self::unpacked(path)?);
        }
        let name = path.to_str().context("it has a name that is not UTF-8")?;
        let folder = Below::recording(name).map_err(|refusal| anyhow!("{refusal}"))?;
        Ok(Self { folder: Some(folder), ..Self::default() })
    }

    /// The content of a file.
    ///
    /// # Errors
    /// [`Missing`].
    pub(super) fn get(&mut self, name: &str) -> Result<Rc<Vec<u8>>, Missing> {
        if let Some(content) = self.kept.get(name) {
            return Ok(Rc::clone(content));
        }
        if self.links.contains(name) {
            return Err(Missing::Link);
        }
        let folder = self.folder.as_ref().ok_or(Missing::Lost)?;
        let most = bounds::RECORDED_FILE.most.min(bounds::RECORDING.most.saturating_sub(self.bytes));
        match folder.file(name, most) {
            Ok(content) => Ok(self.keep(name.to_owned(), content)),
            Err(Refusal::Errno(number)) if Errno::from_raw(number) == Errno::ELOOP => Err(Missing::Link),
            Err(refusal) if refusal.is_denied() => Err(Missing::Denied),
            Err(refusal) => {
                self.cut += usize::from(refusal == Refusal::Errno(Errno::EFBIG as i32));
                Err(Missing::Lost)
            }
        }
    }

    fn keep(&mut self, name: String, content: Vec<u8>) -> Rc<Vec<u8>> {
        self.bytes += name.len() as u64 + content.len() as u64 + BESIDE;
        let content = Rc::new(content);
        if let Some(before) = self.kept.insert(name, Rc::clone(&content)) {
            self.bytes -= before.len() as u64;
        }
        content
    }

    fn unpacked(path: &Path) -> io::Result<Self> {
        // Deflate has blocks that hold nothing, and a stream of them never ends.
        let mut packed = BufReader::new(input::open(path)?);
        if !packed.fill_buf()?.starts_with(&GZIP) {
            let what = "it is no directory and no .tar.gz of one; gzip makes one of a .tar";
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        let packed = packed.take(bounds::UNPACKED.most);
        let unpacked = flate2::read::GzDecoder::new(packed).take(bounds::UNPACKED.most);
        let mut archive = tar::Archive::new(unpacked);
        let mut store = Self::default();
        let mut before = Before::default();
        // Raw entries: the extended headers are read here, where they have a bound.
        for (count, entry) in archive.entries()?.raw(true).enumerate() {
            let too_many = bounds::RECORDED_ANSWERS.is_exceeded_by(count + 1);
            if too_many || entry.and_then(|entry| store.take(entry, &mut before)).is_err() {
                store.damaged = true;
                break;
            }
        }
        // A stream that is cut looks to tar like one that ends.
        store.damaged |= archive.into_inner().limit() == 0;
        store.strip();
        Ok(store)
    }

    /// Takes one entry of an archive.
    fn take(&mut self, mut entry: tar::Entry<'_, impl Read>, before: &mut Before) -> io::Result<()> {
        let kind = entry.header().entry_type();
        if kind.is_gnu_longname() {
            let name = whole(&mut entry, bounds::PATH)?;
            let name = name.strip_suffix(b"\0").unwrap_or(&name);
            before.name = Some(String::from_utf8_lossy(name).into_owned());
            return Ok(());
        }
        if kind.is_pax_local_extensions() {
            return before.extended(&whole(&mut entry, bounds::EXTENSIONS)?);
        }
        if kind.is_pax_global_extensions() || kind.is_gnu_longlink() {
            return Ok(());
        }
        let Before { name, is_odd } = std::mem::take(before);
        let name = name.unwrap_or_else(|| String::from_utf8_lossy(&entry.header().path_bytes()).into_owned());
        if bounds::PATH.is_exceeded_by(name.len()) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        if kind.is_symlink() || kind.is_hard_link() {
            self.bytes += name.len() as u64 + BESIDE;
            if self.bytes <= bounds::ARCHIVE.most {
                self.links.insert(name);
            }
            return Ok(());
        }
        // A sparse file may stand for any number of zeros.
        if !kind.is_file() || is_odd {
            return Ok(());
        }
        let (size, left) = (entry.size(), bounds::ARCHIVE.most.saturating_sub(self.bytes));
        if size > bounds::ARCHIVED_FILE.most || size + name.len() as u64 + BESIDE > left {
            self.cut += 1;
            return Ok(());
        }
        let content = whole(&mut entry, bounds::ARCHIVED_FILE)?;
        // Half a file would pass for a whole one.
        if content.len() as u64 != size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.keep(name, content);
        Ok(())
    }

    /// Names files from the folder in which the manifest lies.
    fn strip(&mut self) {
        let manifest = self.kept.keys().find(|name| name.ends_with(super::snapshot::MANIFEST));
        let top = manifest.and_then(|name| name.strip_suffix(super::snapshot::MANIFEST)).unwrap_or_default().to_owned();
        if !top.is_empty() {
            let all = std::mem::take(&mut self.kept).into_iter();
            self.kept =
                all.filter_map(|(name, content)| Some((name.strip_prefix(&top)?.to_owned(), content))).collect();
            let links = std::mem::take(&mut self.links).into_iter();
            self.links = links.filter_map(|name| Some(name.strip_prefix(&top)?.to_owned())).collect();
        }
    }
}

/// What stands before an entry and speaks of it.
#[derive(Debug, Default)]
struct Before {
    name: Option<String>,
    /// Whether its content is not what lies in the archive.
    is_odd: bool,
}

impl Before {
    fn extended(&mut self, header: &[u8]) -> io::Result<()> {
        for field in tar::PaxExtensions::new(header) {
            let field = field?;
            match field.key_bytes() {
                b"path" => self.name = Some(String::from_utf8_lossy(field.value_bytes()).into_owned()),
                b"size" => self.is_odd = true,
                key => self.is_odd |= key.starts_with(b"GNU.sparse."),
            }
        }
        Ok(())
    }
}

/// The whole content of an entry.
fn whole(entry: &mut tar::Entry<'_, impl Read>, most: Bound) -> io::Result<Vec<u8>> {
    let size = entry.size();
    if size > most.most {
        return Err(io::ErrorKind::InvalidData.into());
    }
    // No more than it says, and no room for more: what grows by doubling takes twice as much.
    let mut content = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
    entry.take(size).read_to_end(&mut content)?;
    Ok(content)
}
