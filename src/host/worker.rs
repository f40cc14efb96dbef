//! Threads that audit what runs on a machine, one target after the other, each from within its network namespace.
//!
//! `/proc/sys/net` and a socket show the namespace of the thread that asks. So a thread joins the namespace of a target and does
//! all of its reading there; the rest of tunecheck stays where it is.

use std::fs::File;
use std::io;
use std::num::NonZero;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread;

use nix::errno::Errno;
use nix::sched::{CloneFlags, setns};

use super::choice::choose;
use super::live::{errno, refusal};
use super::of::{Netns, Of};
use super::processes::{self, Process};
use super::reader::Readers;
use super::shared::Shared;
use super::survey::{Subject, Survey};
use super::{Refusal, again::again};
use crate::model::bounds;

/// Audits each subject by the process that stands for it, on as many threads as there are CPUs, and passes on what comes of
/// each, with its number, as soon as it is there: none if its processes ended meanwhile. What is on the way is bounded, so
/// that a thousand take no more memory than one for each thread.
///
/// A refusal says that which process that is, or whether it ended, cannot be read.
pub fn each<T: Send>(
    survey: &Survey,
    audit: impl Fn(usize, &Of) -> T + Sync,
    mut take: impl FnMut(usize, Result<Option<T>, Refusal>),
) {
    let all = &survey.subjects;
    let own = processes::netns(std::process::id()).ok().flatten();
    // Whoever may join namespaces that he made need not be allowed back.
    let (mut order, others): (Vec<usize>, Vec<usize>) =
        (0..all.len()).partition(|at| all.get(*at).is_some_and(|subject| subject.netns() == own));
    order.extend(others);
    let next = AtomicUsize::new(0);
    let shared = Arc::<Shared>::default();
    let (order, next, audit, shared) = (&order, &next, &audit, &shared);
    let work = move |worker: &mut Worker| {
        let at = *order.get(next.fetch_add(1, Ordering::Relaxed))?;
        Some((at, worker.audit(all.get(at)?, |of| audit(at, of))))
    };
    let count = thread::available_parallelism().map_or(1, NonZero::get).min(bounds::WORKERS.count()).min(all.len());
    let (send, done) = sync_channel(count);
    thread::scope(|scope| {
        let mut failed = None;
        for _ in 0..count {
            let send = send.clone();
            let run = move || {
                let mut worker = Worker::new(own, shared);
                while let Some(audited) = work(&mut worker) {
                    if send.send(audited).is_err() {
                        return;
                    }
                }
            };
            // Those that were started do the work of all.
            if let Err(error) = thread::Builder::new().spawn_scoped(scope, run) {
                failed = Some(error);
            }
        }
        drop(send);
        done.iter().for_each(|(at, audited)| take(at, audited));
        while let Some(&at) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
            let none = || io::Error::from(io::ErrorKind::WouldBlock);
            take(at, Err(refusal(failed.get_or_insert_with(none))));
        }
    });
}

/// One such thread.
struct Worker {
    /// The network namespace of tunecheck's other threads.
    own: Option<u64>,
    /// That of this one. It is kept alive by it, so that no other can get its number.
    within: Option<u64>,
    shared: Arc<Shared>,
    readers: Rc<Readers>,
}

impl Worker {
    /// A thread begins where the one that started it is.
    fn new(own: Option<u64>, shared: &Arc<Shared>) -> Self {
        Self { own, within: own, shared: Arc::clone(shared), readers: Rc::default() }
    }

    /// Does some work for the process that stands for a subject, in its network namespace.
    fn audit<T>(&mut self, subject: &Subject, work: impl FnOnce(&Of) -> T) -> Result<Option<T>, Refusal> {
        let mut left: Vec<&Process> = subject.processes.iter().collect();
        for _ in 0..bounds::SUCCESSORS.count() {
            let chosen = choose(&left, |process| self.join(process, String::new()));
            let Some((process, why)) = chosen.or_else(none_if_ended)? else { return Ok(None) };
            match self.join(process, why) {
                Ok(of) => return Ok(Some(work(&of))),
                Err(refusal) => none_if_ended::<Of>(refusal)?,
            };
            let ended = process.pid;
            left.retain(|process| process.pid != ended);
        }
        Ok(None)
    }

    /// A process, from within its network namespace, as long as this thread joins no other.
    fn join(&mut self, process: &Process, why: String) -> Result<Of, Refusal> {
        let netns = match self.enter(process) {
            Ok(()) if process.netns.is_some() && process.netns == self.own => Netns::Same,
            Ok(()) => Netns::Here,
            Err(refusal) => Netns::Closed(refusal),
        };
        let of = Of::within(process, netns, why);
        if of.is_err() {
            // Its number may have been given to a process elsewhere.
            self.within = None;
        }
        Ok(of?.sharing(&self.shared, &self.readers))
    }

    fn enter(&mut self, process: &Process) -> Result<(), Refusal> {
        if process.netns.is_some() && process.netns == self.within {
            return Ok(());
        }
        let path = format!("/proc/{}/ns/net", process.pid);
        let namespace = again(|| File::open(&path)).map_err(|error| refusal(&error))?;
        setns(namespace, CloneFlags::CLONE_NEWNET).map_err(errno)?;
        self.within = process.netns;
        Ok(())
    }
}

fn none_if_ended<T>(refusal: Refusal) -> Result<Option<T>, Refusal> {
    if refusal == Refusal::Errno(Errno::ESRCH as i32) { Ok(None) } else { Err(refusal) }
}
