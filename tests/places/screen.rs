//! The live screen, in a real terminal: tmux holds it, presses keys and reads the picture.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::harness::{NETWORK, Need, Place, Scene, done, program};
use crate::namespaces::loopback_up;

pub(crate) const PLACES: &[Place] = &[
    Place {
        name: "the_screen_names_a_queue_that_overflows_and_obeys_keys",
        needs: &[Need::Root, Need::Program("ip"), Need::Program("tmux"), Need::Program("python3")],
        own: NETWORK,
        trial: names_a_queue_that_overflows_and_obeys_keys,
    },
    Place {
        name: "the_terminal_is_given_back_on_every_way_out",
        needs: &[Need::Root, Need::Program("ip"), Need::Program("tmux")],
        own: NETWORK,
        trial: given_back_on_every_way_out,
    },
    Place {
        name: "the_screen_ends_with_its_terminal",
        needs: &[Need::Root, Need::Program("ip"), Need::Program("tmux")],
        own: NETWORK,
        trial: ends_with_its_terminal,
    },
    Place {
        name: "a_terminal_that_has_no_size_answers_nothing_and_goes_away_will_do",
        needs: &[Need::Root, Need::Program("ip"), Need::Program("python3")],
        own: NETWORK,
        trial: has_no_size_answers_nothing_and_goes_away,
    },
];

/// Runs a program in a terminal that is nobody's controlling one, so that its end is no signal.
const TERMINAL: &str = "\
import os, pty, subprocess, sys, time
for key in [b'q', None]:
    ours, its = pty.openpty()
    child = subprocess.Popen(sys.argv[1:], stdin=its, stdout=its, stderr=subprocess.PIPE)
    os.close(its)
    seen = b''
    while b'q quit' not in seen:
        seen += os.read(ours, 65536)
    os.write(ours, key) if key else os.close(ours)
    print(child.wait(10), child.stderr.read())
";

/// A listener with room for few that never accepts, and says its port.
const LISTENER: &str = "\
import socket, sys, time
listener = socket.socket()
listener.bind(('127.0.0.1', 0))
listener.listen(8)
print(listener.getsockname()[1], flush=True)
time.sleep(55)
";

/// A tmux server of its own, with one window of 80 by 24 in which a shell runs.
struct Window<'a> {
    scene: &'a Scene,
}

impl<'a> Window<'a> {
    fn open(scene: &'a Scene) -> Self {
        let window = Self { scene };
        let mut new = window.tmux(&["-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24"]);
        new.args(["env", "PS1=ready> ", "ENV=", "TERM=xterm", "sh"]);
        done(new);
        window.shows("a prompt", |picture| picture.contains("ready>"));
        window
    }

    fn tmux(&self, arguments: &[&str]) -> Command {
        let mut tmux = program("tmux");
        tmux.arg("-S").arg(self.scene.folder.join("tmux")).args(arguments).env_remove("TMUX").env("LC_ALL", "C.UTF-8");
        tmux
    }

    fn press(&self, keys: &[&str]) {
        let mut send = self.tmux(&["send-keys"]);
        send.args(keys);
        done(send);
    }

    fn start(&self, arguments: &str) {
        self.press(&[&format!("{} watch {arguments}", self.scene.tunecheck.display()), "Enter"]);
        self.shows("the screen", |picture| picture.starts_with("tunecheck watch ") && picture.contains("q quit"));
    }

    fn picture(&self) -> String {
        done(self.tmux(&["capture-pane", "-p"]))
    }

    /// Waits for a picture that holds this.
    fn shows(&self, what: &str, holds: impl Fn(&str) -> bool) -> String {
        let start = Instant::now();
        loop {
            let picture = self.picture();
            if holds(&picture) {
                return picture;
            }
            assert!(start.elapsed() < Duration::from_secs(10), "no sign of {what}:\n{picture}");
            sleep(Duration::from_millis(50));
        }
    }

    /// Whether the shell is back, in a terminal that echoes what is typed, line by line, and on its own screen.
    fn is_given_back(&self) {
        self.shows("a prompt", |picture| picture.trim_end().ends_with("ready>"));
        self.press(&["echo ec", "ho"]);
        let picture = self.shows("an echo", |picture| picture.trim_end().ends_with("ready> echo echo"));
        assert!(!picture.contains("q quit"), "{picture}");
        self.press(&["; stty -a; echo code $?", "Enter"]);
        let picture = self.shows("modes", |picture| picture.contains("\ncode 0"));
        let words: Vec<&str> = picture.split_whitespace().map(|word| word.trim_end_matches(';')).collect();
        for mode in ["icanon", "echo", "isig", "icrnl", "opost"] {
            assert!(words.contains(&mode), "{mode}:\n{picture}");
        }
        assert_eq!(done(self.tmux(&["display-message", "-p", "#{alternate_on} #{cursor_flag}"])).trim(), "0 1");
        self.press(&["clear", "Enter"]);
        self.shows("an empty window", |picture| picture.trim() == "ready>");
    }

    /// The process that runs in the window's shell.
    fn process(&self) -> String {
        let shell = done(self.tmux(&["display-message", "-p", "#{pane_pid}"]));
        let shell = shell.trim();
        std::fs::read_to_string(format!("/proc/{shell}/task/{shell}/children")).unwrap().trim().to_owned()
    }

    fn signal(&self, name: &str) {
        let process = self.process();
        done({
            let mut kill = program("sh");
            kill.args(["-c", "kill -s \"$1\" \"$2\"", "sh", name, &process]);
            kill
        });
    }
}

impl Drop for Window<'_> {
    fn drop(&mut self) {
        let _ = self.tmux(&["kill-server"]).stderr(Stdio::null()).status();
    }
}

fn listener() -> (Child, u16) {
    let mut python = program("python3");
    let mut child = python.args(["-c", LISTENER]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (child, line.trim().parse().unwrap())
}

/// Connects without waiting for an answer: a full queue gives none.
fn connect(port: u16, count: usize) -> Vec<std::thread::JoinHandle<Option<TcpStream>>> {
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    let connect = move || TcpStream::connect_timeout(&address, Duration::from_secs(4)).ok();
    (0..count).map(|_| std::thread::spawn(connect)).collect()
}

fn row<'a>(picture: &'a str, name: &str) -> &'a str {
    picture.lines().find(|line| line.contains(name)).unwrap_or_else(|| panic!("no {name}:\n{picture}"))
}

fn names_a_queue_that_overflows_and_obeys_keys(scene: &Scene) {
    loopback_up();
    let (mut python, port) = listener();
    let window = Window::open(scene);
    window.start("--interval 200ms");
    let name = format!("accept queue 127.0.0.1:{port}");
    window.shows("a calm queue", |picture| picture.lines().any(|line| line.contains(" ok ") && line.contains("0/9")));
    let clients = connect(port, 30);
    let picture = window.shows("an overflow", |picture| {
        picture.lines().nth(3).is_some_and(|line| line.starts_with(">HIT") && line.contains("100%"))
            && picture.lines().any(|line| line.starts_with(" HIT") && line.contains("/s"))
    });
    let end = port.to_string();
    assert!(row(&picture, &end).contains("accept queue") && row(&picture, &end).contains("9/9"), "{name}\n{picture}");

    window.press(&["p"]);
    let held = window.shows("a held picture", |picture| picture.contains("readings go on"));
    let rows = |picture: &str| picture.lines().skip(2).map(str::to_owned).collect::<Vec<_>>();
    sleep(Duration::from_millis(600));
    assert_eq!(rows(&window.picture()), rows(&held), "a held picture stands");
    window.press(&["p"]);
    window.shows("newer readings", |picture| !picture.contains("HELD"));

    window.press(&["Enter"]);
    // A picture that is half drawn has the lines of both: a key behind Escape would then be one key with it.
    let of_rule = |picture: &str| picture.lines().nth(2).is_some_and(|line| line.contains("listen/queue"));
    let pane = window.shows("the rule", |picture| of_rule(picture) && picture.contains("Esc back"));
    assert!(pane.contains("Hit first") && pane.contains("accept faster"), "{pane}");
    window.press(&["Escape"]);
    window.shows("the rows", |picture| !of_rule(picture) && picture.contains("q quit"));

    window.press(&["s"]);
    window.shows("another order", |picture| picture.contains("sort: name"));
    window.press(&["Down"]);
    window.shows("another row", |picture| picture.lines().nth(4).is_some_and(|line| line.starts_with('>')));
    // Worst first again, from the first row on: by name the one that is hit may be out of a small window.
    window.press(&["s"]);
    window.shows("the third order", |picture| picture.contains("sort: rate"));
    window.press(&["s"]);
    window.shows("the first order", |picture| picture.contains("sort: worst"));
    window.press(&["PageUp", "PageUp"]);
    done(window.tmux(&["resize-window", "-x", "40", "-y", "10"]));
    window.shows("a small window", |picture| picture.contains("q quit ? help") && picture.contains("HIT"));
    done(window.tmux(&["resize-window", "-x", "80", "-y", "24"]));
    window.shows("a large window", |picture| picture.contains("up/down select"));

    python.kill().unwrap();
    python.wait().unwrap();
    window
        .shows("a row that stays", |picture| picture.lines().any(|line| line.contains("gone") && line.contains(&end)));
    window.press(&["q"]);
    window.shows("a prompt", |picture| picture.trim_end().ends_with("ready>"));
    // On a busy machine the verdict says more than the window holds.
    let verdict = done(window.tmux(&["capture-pane", "-p", "-S", "-"]));
    assert!(verdict.contains("tunecheck explain listen/queue"), "{verdict}");
    window.is_given_back();
    drop(clients);
}

fn given_back_on_every_way_out(scene: &Scene) {
    loopback_up();
    let window = Window::open(scene);
    for key in ["q", "Escape", "C-c"] {
        window.start("");
        window.press(&[key]);
        window.is_given_back();
    }
    for signal in ["TERM", "HUP", "INT"] {
        window.start("--interval 10s");
        window.signal(signal);
        window.is_given_back();
    }
    window.start("--duration 1s");
    window.is_given_back();
    window.start("");
    window.press(&["C-z"]);
    window.shows("a stopped job", |picture| picture.contains("Stopped") || picture.contains("ready>"));
    window.press(&["fg", "Enter"]);
    window.shows("the screen", |picture| picture.starts_with("tunecheck watch ") && picture.contains("q quit"));
    window.press(&["q"]);
    window.is_given_back();
}

fn ends_with_its_terminal(scene: &Scene) {
    loopback_up();
    let window = Window::open(scene);
    window.start("");
    let process = window.process();
    let running = || File::open(format!("/proc/{process}/stat")).is_ok();
    assert!(running());
    done(window.tmux(&["kill-server"]));
    assert!(crate::harness::eventually(|| !running()), "it goes on without a terminal");
}

fn has_no_size_answers_nothing_and_goes_away(scene: &Scene) {
    loopback_up();
    let mut python = program("python3");
    python.args(["-c", TERMINAL]).arg(&scene.tunecheck).arg("watch").env("TERM", "dumb");
    assert_eq!(done(python), "0 b''\n-1 b''\n", "a key, and a hang-up");
}
