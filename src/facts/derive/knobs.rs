//! What to change in which program for a longer accept queue.
//!
//! Measured with `ss -ltn` on Linux 6.18 under net.core.somaxconn=60000, each without a setting of its own: nginx 1.22
//! 511, haproxy 2.6 the maxconn of the frontend (500 by `maxconn 500`, 900 by `backlog 900`), redis-server 7.0 511,
//! memcached 1.6 1024, apache2 2.4 511, php-fpm 8.2 60000, mariadbd 10.11 80 (50 + max_connections / 5), PostgreSQL 15
//! 304 with max_connections=130, sshd 9.2 128, Node 20 511, Java ServerSocket, ServerSocketChannel and HttpServer 50,
//! Python 3.11 socket.listen() 128, asyncio 100, http.server 5, gunicorn 20.1 2048, caddy 2.6 (Go) 60000, Rust's std and
//! Tokio 1.54 (mio 1.2) 128.
//!
//! Read: uvicorn/config.py (`backlog: int = 2048`); golang/go src/net/sock_linux.go (maxListenerBacklog); netty
//! common/.../NetUtil.java (SOMAXCONN from /proc/sys); Tomcat's HTTP connector (acceptCount, 100); envoy
//! config/listener/v3/listener.proto (tcp_backlog_size: somaxconn on Linux if it is not set);
//! <https://learn.microsoft.com/dotnet/api/microsoft.aspnetcore.server.kestrel.transport.sockets.sockettransportoptions.backlog>
//! (512); <https://docs.haproxy.org/> (backlog); `systemd.socket(5)` (Backlog=).

/// What one program, or several that are alike, can be told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Knob<'a> {
    /// Command names, cut to 15 bytes as the kernel does; a star at the end stands for any ending.
    pub(super) names: &'a [&'a str],
    /// What to change, as the beginning of a sentence.
    pub(super) change: &'a str,
    /// What it asks for if it is told nothing.
    pub(super) asks: Asks,
}

/// What a program asks for if it is told nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Asks {
    /// A number of its own.
    ForItself,
    /// As much as somaxconn allows.
    ForSomaxconn,
    /// A number of its own, whatever it is told.
    Always,
}

/// The first row that fits counts.
const KNOBS: &[Knob<'static>] = &[
    Knob {
        names: &["nginx"],
        change: "backlog=N in the listen directive of that address (511 unless it is set)",
        asks: Asks::ForItself,
    },
    Knob {
        names: &["haproxy"],
        change: "backlog N in the frontend, which else asks for its maxconn",
        asks: Asks::ForItself,
    },
    Knob {
        names: &["envoy"],
        change: "Envoy asks for somaxconn unless tcp_backlog_size of the listener says less",
        asks: Asks::ForSomaxconn,
    },
    Knob { names: &["apache2", "httpd"], change: "ListenBacklog N (511 unless it is set)", asks: Asks::ForItself },
    Knob {
        names: &[
            "caddy",
            "traefik",
            "kubelet",
            "kube-proxy",
            "kube-apiserver",
            "etcd",
            "coredns",
            "containerd",
            "dockerd",
            "prometheus",
            "node_exporter",
            "consul",
            "vault",
        ],
        change: "a Go program asks for somaxconn when it begins to listen and seldom has a setting for it",
        asks: Asks::ForSomaxconn,
    },
    Knob {
        names: &["node", "nodejs"],
        change: "the backlog of server.listen() (511 unless it is given)",
        asks: Asks::ForItself,
    },
    Knob {
        names: &["java"],
        change: "Tomcat acceptCount (100 unless it is set), new ServerSocket(port, N) (50), Netty SO_BACKLOG (somaxconn)",
        asks: Asks::ForItself,
    },
    Knob { names: &["gunicorn*", "uvicorn"], change: "--backlog N (2048 unless it is set)", asks: Asks::ForItself },
    Knob {
        names: &["python*"],
        change: "--backlog N of gunicorn and uvicorn (2048 unless it is set), backlog=N of asyncio.start_server (100), \
                 socket.listen(N) (128), request_queue_size of socketserver and http.server (5)",
        asks: Asks::ForItself,
    },
    Knob {
        names: &["redis-server"],
        change: "tcp-backlog N in redis.conf (511 unless it is set)",
        asks: Asks::ForItself,
    },
    Knob {
        names: &["postgres"],
        change: "max_connections: it asks for about twice as many; a pooler in front of it takes bursts better",
        asks: Asks::ForItself,
    },
    Knob { names: &["mysqld", "mariadbd"], change: "back_log in its configuration", asks: Asks::ForItself },
    Knob {
        names: &["php-fpm*"],
        change: "php-fpm asks for somaxconn unless listen.backlog of the pool says less",
        asks: Asks::ForSomaxconn,
    },
    Knob {
        names: &["sshd"],
        change: "sshd asks for 128 and has no setting for it; MaxStartups bounds its logins long before",
        asks: Asks::Always,
    },
    Knob {
        names: &["dotnet"],
        change: "Kestrel's SocketTransportOptions.Backlog (512 unless it is set)",
        asks: Asks::ForItself,
    },
    Knob { names: &["memcached"], change: "-b N (1024 unless it is set)", asks: Asks::ForItself },
    Knob {
        names: &["systemd"],
        change: "Backlog=N in the [Socket] section of the unit that listens, then restart the socket unit",
        asks: Asks::ForItself,
    },
];

/// A program that is not in the table: it may be anything.
const OTHER: Knob<'static> = Knob {
    names: &[],
    change: "the backlog that it gives to listen(), in its own settings or its source: which program it is, its name does \
             not say",
    asks: Asks::ForItself,
};

/// What a command of this name can be told.
pub(super) fn knob(name: &str) -> Knob<'static> {
    let fits = |pattern: &&str| match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == *pattern,
    };
    *KNOBS.iter().find(|knob| knob.names.iter().any(fits)).unwrap_or(&OTHER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_one_that_the_kernel_can_give_and_finds_its_own_row() {
        for row in KNOBS {
            for name in row.names {
                assert!(name.len() <= 15, "{name}");
                assert_eq!(knob(name.trim_end_matches('*')).change, row.change, "{name}");
            }
        }
    }

    #[test]
    fn a_name_with_a_version_finds_its_program_and_a_foreign_one_the_general_words() {
        assert!(knob("python3.11").change.contains("socket.listen(N)"));
        assert_eq!(knob("php-fpm8.2").asks, Asks::ForSomaxconn);
        for other in ["", "gateway", "nginx2", "anode", "py", "busybox httpd"] {
            assert_eq!(knob(other).change, OTHER.change, "{other}");
        }
    }
}
