use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram;

use super::*;

#[test]
fn a_binary_that_is_many_programs_is_named_too() {
    let named = |name: &str, exe: &str| String::from_utf8(called(name.as_bytes(), Path::new(exe))).unwrap();
    assert_eq!(named("httpd", "/bin/busybox.static"), "busybox httpd");
    assert_eq!(named("nc", "/usr/bin/toybox"), "toybox nc");
    assert_eq!(named("busybox", "/bin/busybox"), "busybox");
    assert_eq!(named("httpd", "/usr/sbin/httpd"), "httpd");
}

#[test]
fn the_holder_of_each_socket_is_named_and_a_socket_of_nobody_is_not() {
    let sockets = UnixDatagram::pair().unwrap();
    let inode = |held: &UnixDatagram| socket(&fs::read_link(format!("/proc/self/fd/{}", held.as_raw_fd())).unwrap());
    let own = [&sockets.0, &sockets.1].map(|held| inode(held).unwrap());
    let answer = find(&format!("{},{},{},x,", own[0], own[1], u64::MAX)).unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let name = escaped(fs::read("/proc/self/comm").unwrap().trim_ascii_end());
    for inode in own {
        let line = format!("{inode} {} {name}", std::process::id());
        assert_eq!(answer.lines().filter(|other| *other == line).count(), 1, "{line} in {answer}");
    }
    assert!(!answer.contains(&u64::MAX.to_string()), "{answer}");
}

#[test]
fn a_cgroup_that_is_the_wrong_one_costs_a_look_and_nothing_else() {
    let held = UnixDatagram::unbound().unwrap();
    let link = fs::read_link(format!("/proc/self/fd/{}", held.as_raw_fd())).unwrap();
    for of in ["@1", "@18446744073709551615", "/4294967295", "@1/0"] {
        let answer = find(&format!("{}{of}", socket(&link).unwrap())).unwrap();
        assert!(String::from_utf8(answer).unwrap().contains(&format!(" {} ", std::process::id())), "{of}");
    }
}

#[test]
fn nothing_asked_is_nothing_looked_at() {
    for nothing in ["", ",", "x", "-1"] {
        assert_eq!(find(nothing).unwrap(), b"");
    }
}

#[test]
fn a_name_of_any_bytes_is_one_word_of_printable_ascii() {
    assert_eq!(escaped(b"php-fpm8.2"), "php-fpm8.2");
    assert_eq!(escaped(b"a\n1 2 \\x\x1b\xc3\xa4"), "a\\x0a1 2 \\x5cx\\x1b\\xc3\\xa4");
    let all: Vec<u8> = (0..=255).collect();
    assert!(escaped(&all).bytes().all(|byte| (b' '..=b'~').contains(&byte)));
}
