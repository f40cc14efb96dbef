//! Recordings on disk: `manifest.json` and, below `files/`, the bytes of every file as they were read.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::identity::Identity;
use super::output;
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

/// Writes a recording into a directory, which is made if it is missing and has to be empty.
///
/// # Errors
/// A directory that holds something already, and those of writing.
pub fn write(recorder: Recorder<'_>, folder: &Path) -> Result<usize> {
    if folder.extension().is_some_and(|ending| ending == "gz" || ending == "tgz") {
        bail!("{}: name a directory; tar czf makes an archive of it", folder.display());
    }
    output::fresh(folder)?;
    let itself = recorder.judges_itself();
    // What is recorded of a machine is not for everybody on this one.
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
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
                let path = folder.join(&name);
                fs::create_dir_all(path.parent().unwrap_or(folder))?;
                let bytes = if ask == Ask::Read { redacted::kept(&of, &bytes) } else { bytes.as_slice().into() };
                fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
                fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
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
    let path = folder.join(MANIFEST);
    fs::write(&path, serde_json::to_string_pretty(&manifest)? + "\n")
        .with_context(|| format!("cannot write {}", path.display()))?;
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
        let store = if meta.is_dir() { Store::Folder(path.to_owned()) } else { Store::unpack(path)? };
        let text = store.get(MANIFEST).with_context(|| {
            let why = if store.truncated() { "the .tar.gz ends early or is damaged, before its" } else { "it has no" };
            format!("{} is no snapshot: {why} {MANIFEST} (tunecheck snapshot DIR records one)", path.display())
        })?;
        let manifest: Manifest = serde_json::from_slice(&text)
            .with_context(|| format!("{MANIFEST} of {} does not parse", path.display()))?;
        if manifest.schema != SCHEMA {
            bail!("{} has schema {:?}; this tunecheck reads {SCHEMA}", path.display(), manifest.schema);
        }
        let mut lost = 0;
        let answers = manifest.answers.into_iter().map(|entry| {
            let answer = match entry.answer {
                Stored::Refused(refusal) => Err(refusal),
                Stored::Text(text) => Ok(text.into_bytes()),
                Stored::File(name) => store.get(&name).ok_or_else(|| {
                    lost += 1;
                    Refusal::Unsupported(format!("{name} is missing from this snapshot"))
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
        notes
    }
}

/// The files of a recording.
enum Store {
    Folder(PathBuf),
    Archive { files: BTreeMap<String, Vec<u8>>, truncated: bool },
}

impl Store {
    /// Reads a .tar.gz into memory. What comes before damage is kept.
    fn unpack(path: &Path) -> Result<Self> {
        let packed = input::read(path, LARGEST_ARCHIVE).with_context(|| format!("cannot read {}", path.display()))?;
        let unpacked = flate2::read::GzDecoder::new(packed.as_slice()).take(LARGEST_ARCHIVE);
        let mut archive = tar::Archive::new(unpacked);
        let mut files = BTreeMap::new();
        let mut truncated = false;
        for entry in archive.entries()? {
            let content = entry.and_then(|mut entry| {
                let name = entry.path()?.to_string_lossy().into_owned();
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
        Ok(Self::Archive { files: files.into_iter().filter_map(below).collect(), truncated })
    }

    fn get(&self, name: &str) -> Option<Vec<u8>> {
        match self {
            Self::Archive { files, .. } => files.get(name).cloned(),
            Self::Folder(folder) => {
                let inside = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
                if inside { input::read(&folder.join(name), LARGEST_FILE).ok() } else { None }
            }
        }
    }

    fn truncated(&self) -> bool {
        matches!(self, Self::Archive { truncated: true, .. })
    }
}
