//! A listening socket, as far as findings tell of it.

use std::net::SocketAddr;

use super::fact::Gap;

/// Who listens, and what bounds the queue.
#[derive(Clone, Debug)]
pub struct Listener {
    /// Command name and pid of who holds the socket, as `nginx 812`, or why that is not known.
    pub process: Result<String, Gap>,
    /// The unit, container or pod that made the socket, if its cgroup tells.
    pub unit: Option<String>,
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

/// The address of a listener: those that share one are told apart by a number behind it, as `[::]:80#2`.
pub fn address_of(subject: &str) -> &str {
    subject.split_once('#').map_or(subject, |(address, _)| address)
}

/// Whether only this machine reaches a listener.
pub fn is_local(subject: &str) -> bool {
    address_of(subject).parse::<SocketAddr>().is_ok_and(|address| address.ip().to_canonical().is_loopback())
}

/// Listeners that share one address by `SO_REUSEPORT`: the kernel spreads new connections over them by a hash, so that a
/// burst falls as dice do.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    /// How many they are.
    pub listeners: u64,
}

impl Group {
    /// What each of them gets of a burst on average.
    pub fn mean(self, burst: u64) -> u64 {
        burst.div_ceil(self.listeners.max(1))
    }

    /// What hardly any of them gets more of: three standard deviations beyond the average.
    pub fn most(self, burst: u64) -> u64 {
        match self.listeners {
            ..=1 => burst,
            _ => {
                let mean = self.mean(burst);
                let chance = mean.saturating_mul(9).isqrt().saturating_add(1);
                mean.saturating_add(chance).min(burst)
            }
        }
    }

    /// The largest burst of which each has room for its part.
    pub fn carries(self, room: u64) -> u64 {
        let (mut fits, mut beyond) = (0, room.saturating_mul(self.listeners.max(1)).saturating_add(1));
        while beyond - fits > 1 {
            let middle = fits + (beyond - fits) / 2;
            if self.most(middle) <= room { fits = middle } else { beyond = middle }
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_carries_what_each_of_it_has_room_for() {
        for (listeners, room) in [(1, 512), (2, 512), (4, 512), (64, 128), (4, 0), (3, u64::MAX)] {
            let group = Group { listeners };
            let carries = group.carries(room);
            assert!(group.most(carries) <= room && carries <= room.saturating_mul(listeners), "{listeners} of {room}");
            assert!(carries >= room.min(u64::MAX / 2) / 2 * listeners.min(2) / 2, "{listeners} of {room}: {carries}");
        }
        assert_eq!(Group { listeners: 1 }.carries(512), 512);
        assert_eq!((Group { listeners: 4 }.mean(2000), Group { listeners: 4 }.most(2000)), (500, 568));
        assert_eq!(Group { listeners: 4 }.carries(512), 1792);
    }
}
