//! What a runtime was told: options with where each stands.

use crate::model::fact::{Cause, Gap, Reading, Value};

/// Options in the order in which they take effect.
#[derive(Debug, Default)]
pub(super) struct Told {
    options: Vec<(String, String)>,
    /// Why an option that is not among them may still be set.
    hidden: Option<Gap>,
}

impl Told {
    /// Nothing could be read.
    pub(super) fn unread(gap: Gap) -> Self {
        Self { options: Vec::new(), hidden: Some(gap) }
    }

    /// Reads the answer to [`crate::host::Ask::Options`].
    pub(super) fn parse(text: &str) -> Self {
        let mut told = Self::default();
        for line in text.lines() {
            let mut words = line.split(' ');
            let (Some(place), Some(option), Some(value)) = (words.next(), words.next(), words.next()) else { continue };
            told.hidden = match (place, option) {
                ("environ", "unread") => {
                    Some(Gap::new(Cause::Denied, "its environment could not be read: root or its own user can"))
                }
                (_, "unread") => Some(Gap::new(Cause::Unsupported, "it wrote a title over its command line")),
                (_, "file") => {
                    Some(Gap::new(Cause::Unsupported, "it takes options from a file too (-XX:Flags=, @file), not read"))
                }
                (_, "include") => {
                    Some(Gap::new(Cause::Unsupported, "its configuration includes other files, which are not read"))
                }
                _ => {
                    told.options.push((option.to_owned(), value.to_owned()));
                    continue;
                }
            };
        }
        told
    }

    /// The value that counts, of options that mean the same.
    fn last(&self, names: &[&str]) -> Result<&str, Gap> {
        let named = |(option, _): &&(String, String)| names.contains(&option.as_str());
        match self.options.iter().rev().find(named) {
            Some((_, value)) => Ok(value),
            None => Err(self.hidden.clone().unwrap_or_else(|| {
                Gap::new(Cause::Absent, format!("{} is not set", names.first().copied().unwrap_or_default()))
            })),
        }
    }

    /// A number.
    pub(super) fn number(&self, names: &[&str]) -> Reading {
        let value = self.last(names)?;
        match value.parse() {
            Ok(number) => Ok(Value::Number(number)),
            // A number of processes may be left to the program.
            Err(_) if value == "auto" => Err(Gap::new(Cause::Absent, "auto")),
            Err(_) => Err(odd(names)),
        }
    }

    /// Every value of an option, a blank between them.
    pub(super) fn all(&self, name: &str) -> Reading {
        let of_name = self.options.iter().filter(|(option, _)| option == name);
        let values: Vec<&str> = of_name.map(|(_, value)| value.as_str()).collect();
        match &self.hidden {
            Some(gap) => Err(gap.clone()),
            None => Ok(Value::Text(values.join(" "))),
        }
    }

    /// The sum of a number that each of several parts sets.
    pub(super) fn sum(&self, name: &str) -> Reading {
        let of_name = self.options.iter().filter(|(option, _)| option == name);
        let numbers: Option<Vec<i128>> = of_name.map(|(_, value)| value.parse().ok()).collect();
        match (numbers, &self.hidden) {
            (_, Some(gap)) => Err(gap.clone()),
            (None, None) => Err(odd(&[name])),
            (Some(numbers), None) if numbers.is_empty() => Err(Gap::new(Cause::Absent, format!("{name} is not set"))),
            (Some(numbers), None) => Ok(Value::Number(numbers.iter().fold(0, |sum, one| sum.saturating_add(*one)))),
        }
    }

    /// A number, or what counts without one.
    pub(super) fn number_or(&self, names: &[&str], default: i128) -> Reading {
        match self.number(names) {
            Err(gap) if gap.cause == Cause::Absent && gap.why != "auto" => Ok(Value::Number(default)),
            reading => reading,
        }
    }

    /// Bytes: a number with a unit or without.
    pub(super) fn bytes(&self, names: &[&str]) -> Reading {
        size(self.last(names)?).map(Value::Number).ok_or_else(|| odd(names))
    }

    /// A share in percent, without what follows its point; of `fraction` it is one part.
    pub(super) fn percent(&self, name: &str, fraction: &str) -> Reading {
        match (self.last(&[name]), self.last(&[fraction])) {
            (Ok(value), _) => {
                let whole = value.split('.').next().unwrap_or_default();
                whole.parse().map(Value::Number).map_err(|_| odd(&[name]))
            }
            (Err(_), Ok(parts)) => match parts.parse::<i128>() {
                Ok(parts @ 1..) => Ok(Value::Number(100 / parts)),
                _ => Err(odd(&[fraction])),
            },
            (Err(gap), Err(_)) => Err(gap),
        }
    }

    /// 1 or 0; `default` where nothing is said.
    pub(super) fn switch(&self, name: &str, default: bool) -> Reading {
        match self.last(&[name]) {
            Ok(value) => Ok(Value::Number((value == "on").into())),
            Err(gap) if gap.cause == Cause::Absent => Ok(Value::Number(default.into())),
            Err(gap) => Err(gap),
        }
    }

    /// 1 if one of these is switched on.
    pub(super) fn any_on(&self, names: &[&str]) -> Reading {
        match names.iter().any(|name| self.last(&[name]).is_ok_and(|value| value == "on")) {
            true => Ok(Value::Number(1)),
            false => self.hidden.clone().map_or(Ok(Value::Number(0)), Err),
        }
    }
}

fn odd(names: &[&str]) -> Gap {
    Gap::new(Cause::Unparsable, format!("{} is not a number", names.first().copied().unwrap_or_default()))
}

/// `512m` in bytes, as the JVM reads it.
fn size(text: &str) -> Option<i128> {
    let (digits, shift) = match text.to_ascii_lowercase().chars().last()? {
        'k' => (text.get(..text.len() - 1)?, 10),
        'm' => (text.get(..text.len() - 1)?, 20),
        'g' => (text.get(..text.len() - 1)?, 30),
        't' => (text.get(..text.len() - 1)?, 40),
        _ => (text, 0),
    };
    digits.parse::<i64>().ok().map(|number| i128::from(number) << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_one_counts() {
        let told = Told::parse("JAVA_TOOL_OPTIONS -Xmx 1g\narg -Xmx 512m\narg UseContainerSupport off\n");
        assert_eq!(told.bytes(&["-Xmx", "-XX:MaxHeapSize"]), Ok(Value::Number(512 << 20)));
        assert_eq!(told.switch("UseContainerSupport", true), Ok(Value::Number(0)));
        assert_eq!(told.any_on(&["UseG1GC"]), Ok(Value::Number(0)));
        assert_eq!(told.bytes(&["-Xms"]).unwrap_err().to_string(), "absent: -Xms is not set");
        assert_eq!(told.percent("-XX:MaxRAMPercentage", "-XX:MaxRAMFraction").unwrap_err().cause, Cause::Absent);
    }

    #[test]
    fn what_may_be_set_elsewhere_is_not_taken_for_unset() {
        let told = Told::parse("environ unread ?\narg -Xmx 1g\n");
        assert_eq!(told.bytes(&["-Xmx"]), Ok(Value::Number(1 << 30)));
        assert_eq!(told.number(&["GOMAXPROCS"]).unwrap_err().cause, Cause::Denied);
        assert_eq!(told.switch("UseContainerSupport", true).unwrap_err().cause, Cause::Denied);
        assert_eq!(Told::parse("arg file ?\n").bytes(&["-Xmx"]).unwrap_err().cause, Cause::Unsupported);
        assert_eq!(Told::parse("arg -Xmx ?\n").bytes(&["-Xmx"]).unwrap_err().cause, Cause::Unparsable);
    }

    #[test]
    fn shares_and_what_is_left_to_nginx() {
        let told = Told::parse("arg -XX:MaxRAMPercentage 75.5\n");
        assert_eq!(told.percent("-XX:MaxRAMPercentage", "-XX:MaxRAMFraction"), Ok(Value::Number(75)));
        let told = Told::parse("arg -XX:MaxRAMFraction 2\n");
        assert_eq!(told.percent("-XX:MaxRAMPercentage", "-XX:MaxRAMFraction"), Ok(Value::Number(50)));
        let told = Told::parse("conf worker_processes auto\n");
        assert_eq!(told.number_or(&["worker_processes"], 1).unwrap_err().why, "auto");
        assert_eq!(told.number_or(&["worker_connections"], 512), Ok(Value::Number(512)));
        assert_eq!(size("9223372036854775808"), None);
        assert_eq!(size("1é"), None);
    }
}
