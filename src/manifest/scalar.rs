//! What a scalar of YAML is to Kubernetes.

use granit_parser::{ScalarStyle, Tag};

/// Whether Kubernetes reads a scalar as text and not as a number, a truth value or nothing.
///
/// It converts YAML to JSON by the rules of YAML 1.1 (sigs.k8s.io/yaml), where `yes` is a truth value and `1_000` a
/// number.
pub(super) fn is_text(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> bool {
    match tag {
        Some(tag) if tag.is_yaml_core_schema() => tag.suffix() == "str",
        _ if style != ScalarStyle::Plain => true,
        _ => !is_number(text) && !is_word(text),
    }
}

fn is_word(text: &str) -> bool {
    const WORDS: [&str; 8] = ["true", "false", "yes", "no", "on", "off", "null", "~"];
    text.is_empty() || WORDS.iter().any(|word| text.eq_ignore_ascii_case(word))
}

fn is_number(text: &str) -> bool {
    let plain = text.replace('_', "");
    let digits = plain.strip_prefix(['+', '-']).unwrap_or(&plain);
    let lower = digits.to_ascii_lowercase();
    let based = |&(prefix, base): &(&str, u32)| {
        lower.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty() && rest.chars().all(|c| c.is_digit(base)))
    };
    let begins = lower.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    [("0x", 16), ("0o", 8), ("0b", 2)].iter().any(based)
        || [".inf", ".nan"].contains(&lower.as_str())
        || (begins && lower.parse::<f64>().is_ok())
}
