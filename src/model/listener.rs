//! A listening socket, as far as findings tell of it.

use super::fact::Gap;

/// Who listens, and what bounds the queue.
#[derive(Clone, Debug)]
pub struct Listener {
    /// Command name and pid of who holds the socket, as `nginx 812`, or why that is not known.
    pub process: Result<String, Gap>,
    /// What bounds the accept queue, if that is known.
    pub limit: Option<Limit>,
}

/// What bounds an accept queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// The application asked for as much as somaxconn allows, or for more.
    Somaxconn,
    /// The application asked for less.
    Application,
    /// The queue is longer than somaxconn allows by now.
    Former,
}

impl Limit {
    /// The words of the fact `listener[*].limited_by`.
    pub fn words(self) -> &'static str {
        match self {
            Self::Somaxconn => "somaxconn",
            Self::Application => "the application",
            Self::Former => "the application or a former, higher somaxconn",
        }
    }

    /// The limit of these words.
    pub fn of(words: &str) -> Option<Self> {
        [Self::Somaxconn, Self::Application, Self::Former].into_iter().find(|limit| limit.words() == words)
    }
}
