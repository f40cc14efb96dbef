//! Recordings on disk: `manifest.json` and, below `files/`, the bytes of every file as they were read.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow, bail};
use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::archive::{Missing, Store};
use super::identity::Identity;
use super::output::{Folder, Readers, filled};
use super::{Answer, Ask, Host, Query, Recorder, Refusal, redacted};
use crate::model::bounds;
use crate::model::mismatch::without_content;
use crate::model::sysctl::{self, known};

/// The version of the format. A reader refuses another.
const SCHEMA: &str = "tunecheck.snapshot/v1";
pub(super) const MANIFEST: &str = "manifest.json";

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
    /// Whether a tree of files was recorded.
    #[serde(default)]
    tree: bool,
    /// Whether a bound ended it, so that what it lacks was not left out by choice.
    #[serde(default)]
    cut: bool,
    #[serde(deserialize_with = "bounded")]
    answers: Vec<Entry>,
}

/// As many answers as a recording may have.
fn bounded<'de, D: Deserializer<'de>>(list: D) -> Result<Vec<Entry>, D::Error> {
    struct Answers;

    impl<'de> Visitor<'de> for Answers {
        type Value = Vec<Entry>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a list of at most {} answers (tunecheck help limits)", bounds::RECORDED_ANSWERS)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<Entry>, A::Error> {
            let mut answers = Vec::new();
            while let Some(answer) = list.next_element()? {
                answers.push(answer);
                if bounds::RECORDED_ANSWERS.is_exceeded_by(answers.len()) {
                    return Err(de::Error::invalid_length(answers.len(), &self));
                }
            }
            Ok(answers)
        }
    }

    list.deserialize_seq(Answers)
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
    filled(path, Readers::Owner, |folder| fill(folder, recorder))
}

fn fill(folder: &Folder, recorder: Recorder<'_>) -> Result<usize> {
    let itself = recorder.judges_itself();
    let tree = recorder.is_tree();
    let cut = recorder.is_cut();
    let mut answers = Vec::new();
    for ((ask, of), answer) in recorder.into_answers() {
        let answer = match (answer, ask) {
            (Err(Refusal::NotRecorded), _) => continue,
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
        tree,
        cut,
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
    tree: bool,
    answers: BTreeMap<(Ask, String), Recorded>,
    lost: usize,
    /// Files of it that are links.
    links: usize,
    /// Files of it that this user may not read.
    denied: usize,
    cut: usize,
    truncated: bool,
    /// Whether a bound ended the recording.
    ended_early: bool,
}

/// An answer. What several questions share is there once.
type Recorded = Result<Rc<Vec<u8>>, Refusal>;

impl Replay {
    /// Opens a recording: a directory, or a .tar.gz of one.
    ///
    /// # Errors
    /// No manifest, one of another schema, or one that does not parse. A file that the manifest names and that is
    /// missing is no error: the facts in it are unknown, and the report says so.
    pub fn open(path: &Path) -> Result<Self> {
        fs::metadata(path).with_context(|| format!("cannot open snapshot {}", path.display()))?;
        let mut store = Store::open(path).with_context(|| format!("cannot read {}", path.display()))?;
        let text = store.get(MANIFEST).map_err(|missing| {
            let why = match (missing, store.damaged, store.cut) {
                (Missing::Denied, ..) => {
                    return anyhow!("{MANIFEST} of {}: permission denied: run as its owner or as root", path.display());
                }
                (Missing::Link, ..) => "a link, which is not followed, stands for its",
                (Missing::Lost, true, _) => "the .tar.gz ends early or is damaged, before its",
                (Missing::Lost, false, 1..) => "it is too large (tunecheck help limits) to have a",
                (Missing::Lost, false, 0) => "it has no",
            };
            anyhow!("{} is no snapshot: {why} {MANIFEST} (tunecheck snapshot DIR records one)", path.display())
        })?;
        if bounds::RECORDING_MANIFEST.is_exceeded_by(text.len()) {
            bail!("{MANIFEST} of {} is larger than {}", path.display(), bounds::RECORDING_MANIFEST);
        }
        let manifest: Manifest = serde_json::from_slice(&text).map_err(|error| {
            let (shown, why) = (path.display(), without_content(&error.to_string()));
            anyhow!("{MANIFEST} of {shown} does not parse: {why}; copy the snapshot again, or record a new one (tunecheck snapshot DIR)")
        })?;
        if manifest.schema != SCHEMA {
            bail!("{} is of another schema; this tunecheck reads {SCHEMA}: record a new one", path.display());
        }
        let (mut lost, mut links, mut denied) = (0, 0, 0);
        let answers = manifest.answers.into_iter().map(|entry| {
            let answer = match entry.answer {
                Stored::Refused(refusal) => Err(refusal),
                Stored::Text(text) => Ok(Rc::new(text.into_bytes())),
                Stored::File(name) => store.get(&name).map_err(|missing| match missing {
                    Missing::Lost => {
                        lost += 1;
                        Refusal::Unsupported(format!("{name} is missing from this snapshot"))
                    }
                    Missing::Denied => {
                        denied += 1;
                        Refusal::Unsupported(format!("{name} of this snapshot may not be read by this user"))
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
            tree: manifest.tree,
            answers,
            lost,
            links,
            denied,
            cut: store.cut,
            truncated: store.damaged,
            ended_early: manifest.cut,
        })
    }
}

impl Host for Replay {
    fn ask(&self, query: Query<'_>) -> Answer {
        let answer = self.answers.get(&(query.ask, query.of.to_owned()));
        // Recordings from before who made a socket was asked.
        let before = || {
            let asked = query.of.split(',').map(|socket| socket.split_once('/').map_or(socket, |(socket, _)| socket));
            self.answers.get(&(query.ask, asked.collect::<Vec<_>>().join(",")))
        };
        match answer.or_else(|| (query.ask == Ask::SocketOwners).then(before).flatten()) {
            // As of a live machine.
            Some(Ok(bytes)) if query.ask == Ask::Read && bounds::FILE.is_exceeded_by(bytes.len()) => {
                Err(Refusal::Unsupported(format!("{} is larger than {}", query.of, bounds::FILE)))
            }
            Some(Ok(bytes)) => Ok(bytes.to_vec()),
            Some(Err(refusal)) => Err(refusal.clone()),
            None if self.ended_early => {
                Err(Refusal::Unsupported("the recording met a bound before it (tunecheck help limits)".to_owned()))
            }
            None => Err(Refusal::NotRecorded),
        }
    }

    fn source(&self) -> String {
        format!("snapshot {}", self.name)
    }

    fn judges_itself(&self) -> bool {
        self.itself
    }

    fn is_tree(&self) -> bool {
        self.tree
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.truncated {
            notes.push("The snapshot archive ends early or is damaged.".to_owned());
        }
        if self.cut > 0 {
            notes.push(format!(
                "{} files of the snapshot were not read, since it is larger than what is taken (tunecheck help limits); \
                 what they held is unknown.",
                self.cut
            ));
        }
        if self.lost > 0 {
            notes.push(format!(
                "{} recorded files are missing from the snapshot; what they held is unknown.",
                self.lost
            ));
        }
        if self.denied > 0 {
            notes.push(format!(
                "{} files of the snapshot may not be read by this user; what they held is unknown. Run as its owner or as root.",
                self.denied
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
