//! Recordings on disk: `manifest.json` and, below `files/`, the bytes of every file as they were read.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow, bail};
use nix::errno::Errno;
use serde::{Deserialize, Serialize};

use super::below::Below;
use super::identity::Identity;
use super::output::Folder;
use super::{Answer, Ask, Host, Query, Recorder, Refusal, input, redacted};
use crate::model::sysctl::{self, known};

/// The version of the format. A reader refuses another.
const SCHEMA: &str = "tunecheck.snapshot/v1";
const MANIFEST: &str = "manifest.json";
const LARGEST_FILE: u64 = 16 << 20;
const LARGEST_ARCHIVE: u64 = 256 << 20;

#[derive(Serialize, Deserialize)]
struct Manifest {
    schema: String,
    /// The version of tunecheck that recorded it.
    tunecheck: String,
    /// Seconds since 1970-01-01T00:00:00Z.
    recorded: u64,
    identity: Identity,
    /// Whether tunecheck's own limits were what was asked for.
    #[serde(default)]
    itself: bool,
    answers: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    ask: Ask,
    of: String,
    #[serde(flatten)]
    answer: Stored,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Stored {
    /// In this file below the recording.
    File(String),
    /// These words.
    Text(String),
    /// Not at all.
    Refused(Refusal),
}

/// Writes a recording into a directory, which is made if it is missing and has to be empty. What is recorded of a machine
/// is for nobody else on this one.
///
/// # Errors
/// A directory that holds something already, or is another user's, and those of writing.
pub fn write(recorder: Recorder<'_>, path: &Path) -> Result<usize> {
    if path.extension().is_some_and(|ending| ending == "gz" || ending == "tgz") {
        bail!("{}: name a directory; tar czf makes an archive of it", path.display());
    }
    let folder = Folder::new(path)?;
    let itself = recorder.judges_itself();
    let mut answers = Vec::new();
    for ((ask, of), answer) in recorder.into_answers() {
        let answer = match (answer, ask) {
            (Err(refusal), _) => Stored::Refused(refusal),
            (Ok(_), Ask::Read) if is_secret(&of) => {
                Stored::Refused(Refusal::Unsupported("it is for root alone, and is not recorded".to_owned()))
            }
            (Ok(bytes), Ask::Read | Ask::SockDiag | Ask::Connections) => {
                let name = match ask {
                    Ask::Read => format!("files{of}"),
                    Ask::Connections => format!("sock_diag/connections/{of}"),
                    _ => format!("sock_diag/{of}"),
                };
                let bytes = if ask == Ask::Read { redacted::kept(&of, &bytes) } else { bytes.as_slice().into() };
                folder.write(&name, &bytes)?;
                Stored::File(name)
            }
            (Ok(bytes), _) => Stored::Text(String::from_utf8_lossy(&bytes).into_owned()),
        };
        answers.push(Entry { ask, of, answer });
    }
    let count = answers.len();
    let manifest = Manifest {
        schema: SCHEMA.into(),
        tunecheck: env!("CARGO_PKG_VERSION").into(),
        recorded: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
        identity: Identity::live(),
        itself,
        answers,
    };
    folder.write(MANIFEST, (serde_json::to_string_pretty(&manifest)? + "\n").as_bytes())?;
    Ok(count)
}

/// Whether a file below /proc/sys is for root alone.
fn is_secret(path: &str) -> bool {
    path.strip_prefix("/proc/sys/").is_some_and(|name| known::is_secret(&sysctl::dotted(name)))
}

/// A recording, as a host.
pub struct Replay {
    name: String,
    itself: bool,
    answers: BTreeMap<(Ask, String), Answer>,
    lost: usize,
    /// Files of it that are links.
    links: usize,
    truncated: bool,
}

impl Replay {
    /// Opens a recording: a directory, or a .tar.gz of one.
    ///
    /// # Errors
    /// No manifest, one of another schema, or one that does not parse. A file that the manifest names and that is
    /// missing is no error: the facts in it are unknown, and the report says so.
    pub fn open(path: &Path) -> Result<Self> {
        let meta = fs::metadata(path).with_context(|| format!("cannot open snapshot {}", path.display()))?;
        let store = if meta.is_dir() { Store::folder(path)? } else { Store::unpack(path)? };
        let text = store.get(MANIFEST).map_err(|missing| {
            let why = match missing {
                Missing::Link => "a link, which is not followed, stands for its",
                Missing::Lost if store.truncated() => "the .tar.gz ends early or is damaged, before its",
                Missing::Lost => "it has no",
            };
            anyhow!("{} is no snapshot: {why} {MANIFEST} (tunecheck snapshot DIR records one)", path.display())
        })?;
        let manifest: Manifest = serde_json::from_slice(&text)
            .with_context(|| format!("{MANIFEST} of {} does not parse", path.display()))?;
        if manifest.schema != SCHEMA {
            bail!("{} has schema {:?}; this tunecheck reads {SCHEMA}", path.display(), manifest.schema);
        }
        let (mut lost, mut links) = (0, 0);
        let answers = manifest.answers.into_iter().map(|entry| {
            let answer = match entry.answer {
                Stored::Refused(refusal) => Err(refusal),
                Stored::Text(text) => Ok(text.into_bytes()),
                Stored::File(name) => store.get(&name).map_err(|missing| match missing {
                    Missing::Lost => {
                        lost += 1;
                        Refusal::Unsupported(format!("{name} is missing from this snapshot"))
                    }
                    Missing::Link => {
                        links += 1;
                        Refusal::Unsupported(format!("{name} is a link in this snapshot, and is not followed"))
                    }
                }),
            };
            ((entry.ask, entry.of), answer)
        });
        let answers = answers.collect();
        Ok(Self {
            name: path.display().to_string(),
            itself: manifest.itself,
            answers,
            lost,
            links,
            truncated: store.truncated(),
        })
    }
}

impl Host for Replay {
    fn ask(&self, query: Query<'_>) -> Answer {
        match self.answers.get(&(query.ask, query.of.to_owned())) {
            Some(answer) => answer.clone(),
            None => Err(Refusal::Unsupported("it was not recorded in this snapshot".into())),
        }
    }

    fn source(&self) -> String {
        format!("snapshot {}", self.name)
    }

    fn judges_itself(&self) -> bool {
        self.itself
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.truncated {
            notes.push("The snapshot archive ends early or is damaged.".to_owned());
        }
        if self.lost > 0 {
            notes.push(format!(
                "{} recorded files are missing from the snapshot; what they held is unknown.",
                self.lost
            ));
        }
        if self.links > 0 {
            notes.push(format!(
                "{} files of the snapshot are links. None is followed, since it may lead to files of this machine; what they \
                 held is unknown. tunecheck writes no links.",
                self.links
            ));
        }
        notes
    }
}

/// The files of a recording.
enum Store {
    Folder(Below),
    Archive { files: BTreeMap<String, Vec<u8>>, links: BTreeSet<String>, truncated: bool },
}

/// Why a file is not read.
enum Missing {
    Lost,
    Link,
}

impl Store {
    fn folder(path: &Path) -> Result<Self> {
        let name = path.to_str().with_context(|| format!("{} is a name that is not UTF-8", path.display()))?;
        let folder = Below::recording(name).map_err(|refusal| anyhow!("cannot open {}: {refusal}", path.display()))?;
        Ok(Self::Folder(folder))
    }

    /// Reads a .tar.gz into memory. What comes before damage is kept.
    fn unpack(path: &Path) -> Result<Self> {
        let packed = input::read(path, LARGEST_ARCHIVE).with_context(|| format!("cannot read {}", path.display()))?;
        let unpacked = flate2::read::GzDecoder::new(packed.as_slice()).take(LARGEST_ARCHIVE);
        let mut archive = tar::Archive::new(unpacked);
        let mut files = BTreeMap::new();
        let mut links = BTreeSet::new();
        let mut truncated = false;
        for entry in archive.entries()? {
            let content = entry.and_then(|mut entry| {
                let name = entry.path()?.to_string_lossy().into_owned();
                let kind = entry.header().entry_type();
                if kind.is_symlink() || kind.is_hard_link() {
                    links.insert(name);
                    return Ok(None);
                }
                let mut content = Vec::new();
                entry.by_ref().take(LARGEST_FILE + 1).read_to_end(&mut content)?;
                // Half a file would pass for a whole one; it counts as missing instead.
                Ok((content.len() as u64 <= LARGEST_FILE).then_some((name, content)))
            });
            match content {
                Ok(file) => files.extend(file),
                Err(_) => {
                    truncated = true;
                    break;
                }
            }
        }
        let top = files.keys().find(|name| name.ends_with(MANIFEST)).cloned().unwrap_or_default();
        let top = top.strip_suffix(MANIFEST).unwrap_or_default();
        let below = |(name, content): (String, Vec<u8>)| Some((name.strip_prefix(top)?.to_owned(), content));
        let links = links.iter().filter_map(|name| Some(name.strip_prefix(top)?.to_owned())).collect();
        Ok(Self::Archive { files: files.into_iter().filter_map(below).collect(), links, truncated })
    }

    fn get(&self, name: &str) -> Result<Vec<u8>, Missing> {
        match self {
            Self::Archive { links, .. } if links.contains(name) => Err(Missing::Link),
            Self::Archive { files, .. } => files.get(name).cloned().ok_or(Missing::Lost),
            Self::Folder(folder) => folder.file(name, LARGEST_FILE).map_err(|refusal| match refusal {
                Refusal::Errno(number) if Errno::from_raw(number) == Errno::ELOOP => Missing::Link,
                _ => Missing::Lost,
            }),
        }
    }

    fn truncated(&self) -> bool {
        matches!(self, Self::Archive { truncated: true, .. })
    }
}
