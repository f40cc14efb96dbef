//! What the kernel makes of a text that is written to a sysctl.
//!
//! Sources: kernel/sysctl.c (`proc_get_long`, `do_proc_dointvec`, `do_proc_doulongvec_minmax`,
//! `proc_do_large_bitmap`), net/ipv4/sysctl_net_ipv4.c; each refusal tried on 6.18.

/// Why a value is refused, as a clause.
pub type Refused = String;

/// The least and the greatest number that sysctls take, where no release takes more.
const RANGES: &[(&str, i128, i128)] = &[
    ("fs.file-max", 0, i64::MAX as i128),
    ("fs.nr_open", 32, 2_147_483_584),
    ("fs.inotify.max_user_instances", 0, i32::MAX as i128),
    ("fs.inotify.max_user_watches", 0, i32::MAX as i128),
    ("kernel.pid_max", 301, 4_194_304),
    ("kernel.threads-max", 1, 0x3fff_ffff),
    ("net.core.somaxconn", 0, i32::MAX as i128),
    ("net.core.rmem_max", 256, i32::MAX as i128),
    ("net.core.wmem_max", 256, i32::MAX as i128),
    ("net.ipv4.ip_unprivileged_port_start", 0, 65_535),
    ("vm.swappiness", 0, 200),
    ("vm.overcommit_memory", 0, 2),
    ("vm.dirty_ratio", 0, 100),
    ("vm.dirty_background_ratio", 0, 100),
    ("vm.max_map_count", 0, i32::MAX as i128),
    ("vm.panic_on_oom", 0, 2),
];

const PORT_RANGE: &str = "net.ipv4.ip_local_port_range";

/// Whether a sysctl takes one word.
fn is_word(name: &str) -> bool {
    matches!(name, "net.ipv4.tcp_congestion_control" | "net.core.default_qdisc")
}

/// Whether it takes a list of ports.
pub fn is_ports(name: &str) -> bool {
    name.ends_with("ip_local_reserved_ports")
}

/// The least and the greatest number that a sysctl takes.
fn range(name: &str) -> Option<(i128, i128)> {
    let found = RANGES.iter().find(|(known, ..)| *known == name).map(|&(_, least, most)| (least, most));
    // The families that are numbers of 32 bits throughout, tables of memory apart.
    let of_ints = ["net.netfilter.nf_conntrack_", "net.ipv4.conf.", "net.ipv6.conf.", "net.bridge.", "net.ipv4.tcp_"];
    let int = || of_ints.iter().any(|family| name.starts_with(family)) && !name.ends_with("_mem");
    found.or_else(|| int().then_some((i32::MIN.into(), u32::MAX.into())))
}

/// Checks a text for a sysctl that is one word.
///
/// # Errors
/// It is none.
pub fn word<'a>(name: &str, text: &'a str) -> Result<&'a str, Refused> {
    if is_word(name) && text.split_ascii_whitespace().count() != 1 {
        return Err(format!("{text:?} is more than one word, and what stands behind a value belongs to it"));
    }
    Ok(text)
}

/// Checks a list of ports.
///
/// # Errors
/// A character that is none of a list.
pub fn ports(text: &str) -> Result<(), Refused> {
    match text.chars().find(|c| !c.is_ascii_digit() && !",-".contains(*c)) {
        Some(odd) => Err(format!("{text:?} is no list of ports: {odd:?} cannot stand in one")),
        None => Ok(()),
    }
}

/// The numbers that the kernel takes from a text for a sysctl of `fields` numbers. It reads as many as the sysctl has,
/// each up to the first blank, and leaves the rest of the line alone; where there are fewer, the others stay.
///
/// # Errors
/// What it refuses with EINVAL.
pub fn numbers(name: &str, text: &str, fields: usize) -> Result<Vec<i128>, Refused> {
    let mut taken = Vec::with_capacity(fields);
    for word in text.split_ascii_whitespace().take(fields) {
        let number = number(word)?;
        if let Some((least, most)) = range(name)
            && !(least..=most).contains(&number)
        {
            return Err(match number > most {
                true => format!("{number} is out of range: at most {most}"),
                false => format!("{number} is out of range: at least {least}"),
            });
        }
        taken.push(number);
    }
    if taken.is_empty() {
        return Err("there is no value".to_owned());
    }
    if name == PORT_RANGE {
        ports_in_order(&taken)?;
    }
    Ok(taken)
}

fn ports_in_order(ends: &[i128]) -> Result<(), Refused> {
    match ends {
        &[low, high] if low > high => Err(format!("the first port, {low}, is above the last, {high}")),
        ends => match ends.iter().find(|port| !(1..=65_535).contains(*port)) {
            Some(port) => Err(format!("{port} is no port: 1 to 65535")),
            None => Ok(()),
        },
    }
}

/// One number in decimal, hexadecimal (0x) or octal (0).
fn number(word: &str) -> Result<i128, Refused> {
    let (sign, digits) = word.strip_prefix('-').map_or((1, word), |digits| (-1, digits));
    let hexadecimal = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X"));
    let (radix, digits) = match hexadecimal {
        Some(digits) => (16, digits),
        None if digits.len() > 1 && digits.starts_with('0') => (8, digits),
        None => (10, digits),
    };
    let end = digits.find(|c: char| !c.is_digit(radix)).unwrap_or(digits.len());
    let (of_number, rest) = digits.split_at(end);
    let plain = word.starts_with(|c: char| c.is_ascii_digit() || c == '-') && !of_number.is_empty();
    if !plain {
        return Err(format!("{word:?} is no number"));
    }
    if !rest.is_empty() {
        return Err(format!("{word:?}: the kernel takes no text behind a number but after a blank"));
    }
    match u64::from_str_radix(of_number, radix) {
        Ok(number) => Ok(sign * i128::from(number)),
        Err(_) => Err(format!("{word} is out of range")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_taken_up_to_the_first_blank() {
        let one = |text| numbers("net.core.somaxconn", text, 1);
        assert_eq!(one("1024 # was 128"), Ok(vec![1024]));
        assert_eq!((one("0x400"), one("0100"), one("0")), (Ok(vec![1024]), Ok(vec![64]), Ok(vec![0])));
        for text in
            ["1024# was", "1024;x", "", "'1024'", "+1024", "64k", "1e6", "1.5", "0x", "089", "1,048", "-5", "-", "x"]
        {
            assert!(one(text).is_err(), "{text}");
        }
        assert!(one("99999999999").is_err_and(|why| why.contains("at most 2147483647")));
        assert!(one("99999999999999999999999").is_err_and(|why| why.contains("out of range")));
        assert_eq!(numbers("net.ipv4.tcp_rmem", "4096 131072 6291456 7", 3), Ok(vec![4096, 131_072, 6_291_456]));
        assert_eq!(numbers("net.ipv4.tcp_rmem", "4096", 3), Ok(vec![4096]));
        assert!(numbers("net.ipv4.tcp_rmem", "4096 abc 6291456", 3).is_err());
    }

    #[test]
    fn a_port_range_ends_above_its_beginning() {
        let range = |text| numbers(PORT_RANGE, text, 2);
        assert_eq!(range("20000 30000 # ours"), Ok(vec![20000, 30000]));
        assert_eq!(range("20000"), Ok(vec![20000]));
        for text in ["65535 1024", "0 65535", "1 65536", "20000-30000", "20000,30000"] {
            assert!(range(text).is_err(), "{text}");
        }
    }

    #[test]
    fn words_and_lists_take_nothing_behind_them() {
        assert!(word("net.ipv4.tcp_congestion_control", "bbr # fast").is_err());
        assert_eq!(word("net.ipv4.tcp_congestion_control", "bbr"), Ok("bbr"));
        assert_eq!(word("kernel.core_pattern", "|/bin/x %p"), Ok("|/bin/x %p"));
        assert!(ports("8080 # x").is_err() && ports("8080, 9090").is_err() && ports("abc").is_err());
        assert_eq!((ports("8080,9090-9091"), ports("")), (Ok(()), Ok(())));
    }
}
