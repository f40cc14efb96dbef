//! YAML out of JSON values. A text that is not plainly a word stands in quotes, so that no reader takes it for a
//! number, a switch or a time: Kubernetes refuses a sysctl's value that is not text.

use serde_json::Value;

/// Words that some reader of YAML takes for something other than text.
const TAKEN: &[&str] = &["true", "false", "yes", "no", "on", "off", "y", "n", "null"];

/// A document.
pub(super) fn document(value: &Value) -> String {
    let mut text = String::new();
    block(&mut text, value, 0);
    text
}

/// A value on lines of its own.
fn block(text: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                *text += &format!("{:indent$}{}:", "", word(key));
                below(text, value, indent);
            }
        }
        Value::Array(list) if !list.is_empty() => {
            for item in list {
                let mut lines = String::new();
                block(&mut lines, item, indent + 2);
                *text += &format!("{:indent$}- {}", "", lines.trim_start_matches(' '));
            }
        }
        other => *text += &format!("{:indent$}{}\n", "", scalar(other)),
    }
}

/// The value of a key, after its colon.
fn below(text: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            text.push('\n');
            block(text, value, indent + 2);
        }
        Value::Array(list) if !list.is_empty() => {
            text.push('\n');
            block(text, value, indent);
        }
        Value::String(lines) if is_block(lines) => {
            text.push_str(" |\n");
            for line in lines.lines() {
                *text += format!("{:width$}{line}", "", width = indent + 2).trim_end();
                text.push('\n');
            }
        }
        other => *text += &format!(" {}\n", scalar(other)),
    }
}

/// Whether a text can stand as it is, line by line.
fn is_block(text: &str) -> bool {
    let plain = |c: char| c == '\n' || !c.is_control();
    let ends = text.ends_with('\n') && !text.ends_with("\n\n") && !text.starts_with(['\n', ' ']);
    ends && text.chars().all(plain) && text.lines().all(|line| line.trim_end() == line)
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => word(text),
        other => other.to_string(),
    }
}

/// A text, in quotes unless it is plainly a word.
fn word(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-._/+=".contains(c))
        && !TAKEN.contains(&text.to_ascii_lowercase().as_str());
    if plain { text.to_owned() } else { quoted(text) }
}

/// A text in double quotes, as JSON, YAML and TOML read it.
pub(super) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_written_reads_back() {
        for value in [
            json!({}),
            json!({ "a": {}, "b": [], "c": null, "d": [[1, 2], { "x": [{ "y": 1, "z": "w" }] }] }),
            json!({ "net.core.somaxconn": "65535", "range": "10240 65535", "list": "8080,30000-32767", "no": "yes" }),
            json!({ "data": "[main]\n# a comment\n\n[sysctl]\nkey=>1\n", "tab": "a\tb" }),
            json!({ "tail": "x\n\n", "lead": " x\n", "only": "\n" }),
            json!([{ "name": "a\"b\\c", "value": "1e3" }, "0x10", "1:20", "~", "- x", "#", "a: b", ""]),
        ] {
            let text = document(&value);
            let read: Value = serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
            assert_eq!(read, value, "{text}");
        }
    }

    #[test]
    fn numbers_and_switches_that_are_text_stand_in_quotes() {
        let text = document(&json!({ "value": "65535", "name": "net.core.somaxconn", "on": "off" }));
        assert_eq!(text, "name: net.core.somaxconn\n\"on\": \"off\"\nvalue: \"65535\"\n");
    }
}
