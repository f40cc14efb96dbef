//! A thread in another network namespace: the rest of tunecheck stays where it is.

use std::fs::File;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use nix::sched::{CloneFlags, setns};

use super::{Answer, Ask, Host, Live, Query, Refusal};

/// Answers questions as they are answered in that namespace. Ends, with its thread, when it is dropped.
#[derive(Debug)]
pub(super) struct Guest {
    /// Taken when it ends: the thread waits for questions as long as somebody could ask one.
    questions: Option<Sender<(Ask, String)>>,
    answers: Receiver<Answer>,
    thread: Option<JoinHandle<()>>,
}

impl Guest {
    /// A guest of the network namespace that a process is in.
    ///
    /// # Errors
    /// Those of opening and joining it: `EACCES` or `EPERM` without rights.
    pub(super) fn of(pid: u32) -> Result<Self, Refusal> {
        let file = File::open(format!("/proc/{pid}/ns/net")).map_err(|error| super::live::refusal(&error))?;
        let (questions, asked) = channel::<(Ask, String)>();
        let (answer, answers) = channel();
        let thread = thread::Builder::new()
            .stack_size(256 << 10)
            .spawn(move || {
                let joined = setns(&file, CloneFlags::CLONE_NEWNET);
                // Held open it would keep the namespace alive.
                drop(file);
                let told = joined.map(|()| Vec::new()).map_err(|error| Refusal::Errno(error as i32));
                let stays = told.is_ok();
                if answer.send(told).is_err() || !stays {
                    return;
                }
                for (ask, of) in asked {
                    if answer.send(Live.ask(Query { ask, of: &of })).is_err() {
                        return;
                    }
                }
            })
            .map_err(|error| super::live::refusal(&error))?;
        let guest = Self { questions: Some(questions), answers, thread: Some(thread) };
        guest.answers.recv().map_err(|_| gone())??;
        Ok(guest)
    }

    /// Asks, and waits for the answer.
    pub(super) fn ask(&self, query: Query<'_>) -> Answer {
        let questions = self.questions.as_ref().ok_or_else(gone)?;
        questions.send((query.ask, query.of.to_owned())).map_err(|_| gone())?;
        self.answers.recv().map_err(|_| gone())?
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.questions.take();
        if let Some(thread) = self.thread.take() {
            // How it ended makes no difference any more.
            let _ = thread.join();
        }
    }
}

fn gone() -> Refusal {
    Refusal::Unsupported("the thread in its network namespace ended".to_owned())
}
