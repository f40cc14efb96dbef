//! A process of our own that reads what may never be answered.
//!
//! A file system whose server is dead holds whoever touches it. Where the server took the question up and died over it, not
//! even SIGKILL ends the wait, and a process with a thread in it does not end either. So files of a target that may lie on
//! such a file system are read by another process, which is left behind if no answer comes.

use std::cell::{Cell, RefCell};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::mounts::{self, Remote};
use super::{Answer, Ask, Query, Refusal, inside};
use crate::model::bounds;

/// The only argument of such a process.
pub const READER: &str = "--read-for-another";
/// How long the answers of one target are waited for, and those of all targets of a run.
const OF_TARGET: Duration = Duration::from_millis(bounds::WAITED.most);
const OF_RUN: Duration = Duration::from_millis(bounds::WAITED_IN_ALL.most);

/// The readers of a run: one at a time, and another one when it is lost.
#[derive(Debug, Default)]
pub(super) struct Readers {
    reader: RefCell<Option<Reader>>,
    /// How long answers were waited for.
    waited: Cell<Duration>,
    /// File systems of this machine under which an overlay may lie.
    remote_here: std::cell::OnceCell<Remote>,
}

/// How one target answers.
#[derive(Debug, Default)]
pub(super) struct Patience {
    remote: std::cell::OnceCell<Remote>,
    waited: Cell<Duration>,
    lost: RefCell<Option<Refusal>>,
}

impl Patience {
    /// Takes what is known already of which file systems may not answer.
    pub(super) fn know(&self, remote: impl FnOnce() -> Remote) {
        self.remote.get_or_init(remote);
    }

    /// Why nothing of the target is read any more.
    pub(super) fn lost(&self) -> Option<Refusal> {
        self.lost.borrow().clone()
    }
}

impl Readers {
    /// Whether every file system of a process answers at once, as far as is known.
    pub(super) fn are_needless(&self, pid: u32, patience: &Patience) -> bool {
        let (remote, here) = self.remote(pid, patience);
        remote.is_none() && here.is_none()
    }

    fn remote<'a>(&'a self, pid: u32, patience: &'a Patience) -> (&'a Remote, &'a Remote) {
        let remote = patience.remote.get_or_init(|| mounts::remote(&pid.to_string()));
        (remote, self.remote_here.get_or_init(|| mounts::remote("self")))
    }

    /// Asks about a process, as [`inside::ask`].
    pub(super) fn ask(&self, pid: u32, query: Query<'_>, patience: &Patience) -> Answer {
        if self.are_needless(pid, patience) {
            return inside::ask(pid, query);
        }
        let (remote, here) = self.remote(pid, patience);
        if let Some(refusal) = patience.lost() {
            return Err(refusal);
        }
        let left = OF_TARGET.saturating_sub(patience.waited.get()).min(OF_RUN.saturating_sub(self.waited.get()));
        let began = Instant::now();
        let answer = self.asked(pid, query, began + left);
        let took = began.elapsed();
        patience.waited.set(patience.waited.get() + took);
        self.waited.set(self.waited.get() + took);
        answer.unwrap_or_else(|error| {
            // Dropped, it is not waited for.
            if let Some(mut reader) = self.reader.borrow_mut().take() {
                let _ = reader.child.kill();
            }
            let why = match error.kind() {
                io::ErrorKind::TimedOut if left.is_zero() => {
                    format!("files of others did not answer for {} s: this one was not asked", OF_RUN.as_secs())
                }
                io::ErrorKind::TimedOut => {
                    let of = if remote.is_none() { here } else { remote };
                    format!("no answer within {} s: a file system does not respond ({of})", OF_TARGET.as_secs())
                }
                _ => format!("the process that reads its files failed: {error}"),
            };
            let refusal = Refusal::Unsupported(why);
            patience.lost.replace(Some(refusal.clone()));
            Err(refusal)
        })
    }

    fn asked(&self, pid: u32, query: Query<'_>, until: Instant) -> io::Result<Answer> {
        let mut reader = self.reader.borrow_mut();
        let reader = match reader.as_mut() {
            Some(reader) => reader,
            None => reader.insert(Reader::start()?),
        };
        reader.questions.write_all(&framed(&(pid, query.ask, query.of))?)?;
        postcard::from_bytes(&reader.answer(until)?).map_err(io::Error::other)
    }
}

#[derive(Debug)]
struct Reader {
    child: Child,
    questions: ChildStdin,
    answers: ChildStdout,
}

impl Reader {
    fn start() -> io::Result<Self> {
        let mut command = Command::new("/proc/self/exe");
        command.arg0("tunecheck").arg(READER).current_dir("/");
        // Not /dev/null: it would be opened for writing here, and a run may have given that up.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(questions), Some(answers)) => Ok(Self { child, questions, answers }),
            _ => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn answer(&mut self, until: Instant) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut step = [0; 1 << 16];
        loop {
            if let Some((length, rest)) = bytes.split_first_chunk() {
                let length = length_of(*length)?;
                if rest.len() >= length {
                    return Ok(rest.to_vec());
                }
            }
            let left = until.saturating_duration_since(Instant::now());
            let left = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            let mut wait = [PollFd::new(self.answers.as_fd(), PollFlags::POLLIN)];
            match poll(&mut wait, left) {
                Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
                Ok(_) => {}
                Err(nix::errno::Errno::EINTR) => continue,
                Err(error) => return Err(error.into()),
            }
            match self.answers.read(&mut step)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => bytes.extend_from_slice(step.get(..count).unwrap_or_default()),
            }
        }
    }
}

/// Answers the questions on standard input until it is closed.
///
/// # Errors
/// Those of reading and writing.
pub fn serve() -> io::Result<()> {
    let (mut questions, mut answers) = (io::stdin().lock(), io::stdout().lock());
    loop {
        let mut length = [0; 4];
        match questions.read_exact(&mut length) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            read => read?,
        }
        let mut question = vec![0; length_of(length)?];
        questions.read_exact(&mut question)?;
        let (pid, ask, of): (u32, Ask, String) = postcard::from_bytes(&question).map_err(io::Error::other)?;
        answers.write_all(&framed(&inside::ask(pid, Query { ask, of: &of }))?)?;
        answers.flush()?;
    }
}

fn framed(what: &impl serde::Serialize) -> io::Result<Vec<u8>> {
    let bytes = postcard::to_stdvec(what).map_err(io::Error::other)?;
    let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
    Ok([length.to_le_bytes().as_slice(), &bytes].concat())
}

fn length_of(bytes: [u8; 4]) -> io::Result<usize> {
    let length = usize::try_from(u32::from_le_bytes(bytes)).map_err(io::Error::other)?;
    if length <= bounds::WAITED_ANSWER.count() { Ok(length) } else { Err(io::ErrorKind::InvalidData.into()) }
}
