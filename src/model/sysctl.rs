//! Sysctl names and where they live below /proc/sys.

pub mod danger;
pub mod known;
pub mod kube_proxy;
pub mod pattern;
pub mod value;
pub mod variable;

const ROOT: &str = "/proc/sys/";

/// The path of a sysctl, by the convention of sysctl(8) and sysctl.d(5): if the first separator is a dot, dots
/// separate and a slash stands for a dot inside a name (`net.ipv4.conf.eth0/100.rp_filter`); if it is a slash, the
/// name is a path as it is.
pub fn path(name: &str) -> String {
    let mut path = String::with_capacity(ROOT.len() + name.len());
    path.push_str(ROOT);
    if is_path(name) {
        path.push_str(name);
    } else {
        path.extend(name.chars().map(swapped));
    }
    path
}

/// Whether this can be the dotted name of a sysctl: two or more words of letters, digits and `_ - : @ /` with dots between
/// them. Whatever a name with another character is, it is not written into a script or a file.
pub fn is_name(text: &str) -> bool {
    let word = |word: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-:@/".contains(&byte);
        !word.is_empty() && word.bytes().all(plain) && !word.starts_with(['-', '/']) && !word.contains("//")
    };
    text.len() <= 253 && text.contains('.') && text.split('.').all(word)
}

/// Whether a text can stand as the value of a sysctl in a script, a unit or a playbook as it is.
pub fn is_value(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.,:/ ".contains(&byte);
    (1..=253).contains(&text.len()) && text.bytes().all(plain) && text.trim() == text
}

/// Whether this can be the name of a kernel module.
pub fn is_module(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    (1..=64).contains(&text.len()) && text.bytes().all(plain) && !text.starts_with('-')
}

/// The dotted name of a sysctl that was written in either form: the inverse of [`path`]. A separator before it or a
/// second one after another one means nothing.
pub fn dotted(name: &str) -> String {
    let slashed = is_path(name);
    let mut dotted = String::with_capacity(name.len());
    for c in name.chars() {
        let c = if slashed { swapped(c) } else { c };
        if c != '.' || !(dotted.is_empty() || dotted.ends_with('.')) {
            dotted.push(c);
        }
    }
    dotted
}

/// Whether a name is a path, by its first separator.
pub fn is_path(name: &str) -> bool {
    name.find(['.', '/']).and_then(|at| name.get(at..=at)) == Some("/")
}

fn swapped(c: char) -> char {
    match c {
        '.' => '/',
        '/' => '.',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_a_name_is_a_name() {
        for name in ["net.core.somaxconn", "fs.file-max", "net.ipv4.conf.eth0/100.rp_filter", "vm.swappiness"] {
            assert!(is_name(name), "{name}");
        }
        for text in [
            "",
            "net",
            "net..core",
            "a.b c",
            "a.b;c",
            "a.$(b)",
            "a.`b`",
            "a.b\n",
            "a.../b",
            "-a.b",
            "a.é",
            ".a",
            "a./b",
        ] {
            assert!(!is_name(text), "{text}");
        }
        assert!(is_value("bbr") && is_value("10240 65535"));
        for text in ["", " a", "a\nb", "a\"b", "{{ a }}", "a'b", "$(a)", "a#b"] {
            assert!(!is_value(text), "{text}");
        }
        assert!(is_module("nf_conntrack") && !is_module("a b") && !is_module("") && !is_module("../a"));
    }

    #[test]
    fn names_with_dots_in_an_interface_name() {
        assert_eq!(path("net.core.somaxconn"), "/proc/sys/net/core/somaxconn");
        assert_eq!(path("net.ipv4.conf.eth0/100.rp_filter"), "/proc/sys/net/ipv4/conf/eth0.100/rp_filter");
        assert_eq!(path("net/ipv4/conf/eth0.100/rp_filter"), "/proc/sys/net/ipv4/conf/eth0.100/rp_filter");
        assert_eq!(path("hostname"), "/proc/sys/hostname");
        assert_eq!(dotted("net/ipv4/conf/eth0.100/rp_filter"), "net.ipv4.conf.eth0/100.rp_filter");
        assert_eq!(dotted("net.ipv4.conf.eth0/100.rp_filter"), "net.ipv4.conf.eth0/100.rp_filter");
        for written in ["/net/core/somaxconn", "//net//core/somaxconn", ".net.core.somaxconn", "net..core.somaxconn"] {
            assert_eq!(dotted(written), "net.core.somaxconn", "{written}");
        }
    }
}
