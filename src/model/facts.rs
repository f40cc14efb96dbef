//! All facts of one audit, by name.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Bound;

use super::catalogue::Catalogue;
use super::fact::{Cause, Gap, Reading, Unit, Value};
use super::ports::Ports;
use super::window::Window;

/// The name of a fact. Most are written in rules or in the code and are not copied.
pub type Name = Cow<'static, str>;

/// A reading and where it came from.
#[derive(Clone, Debug)]
pub struct Fact {
    /// The value, or why there is none.
    pub reading: Reading,
    /// The file, call or formula it came from; empty for what the user declared.
    pub source: Name,
}

/// The facts of one audit. A fact about one of several subjects carries the subject in its name:
/// `listener[0.0.0.0:443].backlog`.
#[derive(Clone, Debug)]
pub struct Facts {
    catalogue: &'static Catalogue,
    /// Those that have an entry of their own in the catalogue, at its number.
    known: Vec<Option<Fact>>,
    /// All others: about subjects, and of families whose names the kernel gives.
    others: BTreeMap<Name, Fact>,
    window: Option<Window>,
}

impl Default for Facts {
    /// None, with a catalogue that knows none.
    fn default() -> Self {
        Self::new(Catalogue::EMPTY)
    }
}

impl Facts {
    /// No fact yet.
    pub fn new(catalogue: &'static Catalogue) -> Self {
        let known = vec![None; catalogue.entries().len()];
        Self { catalogue, known, others: BTreeMap::new(), window: None }
    }

    /// Records a reading, replacing an earlier one of the same name.
    pub fn put(&mut self, name: impl Into<Name>, reading: Reading, source: impl Into<Name>) {
        let name = name.into();
        let fact = Fact { reading, source: source.into() };
        let own = self.catalogue.id(&name).and_then(|id| self.known.get_mut(id.index()));
        match own {
            Some(known) => *known = Some(fact),
            None => drop(self.others.insert(name, fact)),
        }
    }

    /// Puts a higher number, seen in an earlier reading, in place of the one that is there.
    pub fn raise(&mut self, name: &str, peak: i128) {
        let fact = match self.catalogue.id(name) {
            Some(id) => self.known.get_mut(id.index()).and_then(Option::as_mut),
            None => self.others.get_mut(name),
        };
        if let Some(fact) = fact
            && matches!(fact.reading, Ok(Value::Number(now)) if now < peak)
        {
            fact.reading = Ok(Value::Number(peak));
            fact.source = format!("{} (the highest reading)", fact.source).into();
        }
    }

    /// Says what was read before: from here on counters have a rise.
    pub fn look_back(&mut self, window: Window) {
        self.window = Some(window);
    }

    /// Says what a counter showed at the beginning of the window, where another one takes its name: none if unknown.
    pub fn began_at(&mut self, name: Name, number: Option<i128>) {
        let Some(window) = &mut self.window else { return };
        match number {
            Some(number) => window.before.insert(name, number),
            None => window.before.remove(&name),
        };
    }

    /// The span since an earlier reading, if there was one.
    pub fn window(&self) -> Option<&Window> {
        self.window.as_ref()
    }

    /// How far a counter rose since the earlier reading; none without one.
    pub fn rise(&self, name: &str) -> Option<Result<i128, Gap>> {
        let window = self.window.as_ref()?;
        Some(self.number(name).and_then(|now| window.rise(name, now)))
    }

    /// The fact of this name, if anything was said about it.
    pub fn get(&self, name: &str) -> Option<&Fact> {
        match self.catalogue.id(name) {
            Some(id) => self.known.get(id.index())?.as_ref(),
            None => self.others.get(name),
        }
    }

    /// The value of this name, or the reason why there is none: its own, or that of its whole family.
    pub fn value(&self, name: &str) -> Result<&Value, Gap> {
        match self.get(name) {
            Some(Fact { reading: Ok(value), .. }) => Ok(value),
            Some(Fact { reading: Err(gap), .. }) => Err(gap.clone()),
            None => {
                if let Some(pattern) = generalised(name) {
                    self.family(&pattern)?;
                }
                Err(Gap::new(Cause::Unsupported, format!("{name} was not read")))
            }
        }
    }

    /// Whether a family such as `listener[*].backlog` could be read at all; its subjects may still be none.
    ///
    /// # Errors
    /// The gap that was recorded under the pattern itself.
    pub fn family(&self, pattern: &str) -> Result<(), Gap> {
        match self.get(pattern) {
            Some(Fact { reading: Err(gap), .. }) => Err(gap.clone()),
            _ => Ok(()),
        }
    }

    /// Whether there is a fact whose name starts and ends so.
    pub fn any_of(&self, start: &str, end: &str) -> bool {
        self.of_family(start).any(|(name, _)| name.ends_with(end))
    }

    /// Takes back every fact whose name starts so.
    pub fn forget(&mut self, start: &str) {
        for id in self.catalogue.starting_with(start) {
            if let Some(fact) = self.known.get_mut(id.index()) {
                *fact = None;
            }
        }
        self.others.retain(|name, _| !name.starts_with(start));
    }

    /// The value as a number; `Unlimited` is above every number.
    pub fn number(&self, name: &str) -> Result<i128, Gap> {
        let value = self.value(name)?;
        value.limit().ok_or_else(|| Gap::new(Cause::Unparsable, format!("{name} is not a number: {}", value.plain())))
    }

    /// The value as a list of ports.
    pub fn ports(&self, name: &str) -> Result<&Ports, Gap> {
        match self.value(name)? {
            Value::Ports(ports) => Ok(ports),
            other => Err(Gap::new(Cause::Unparsable, format!("{name} is not a port list: {}", other.plain()))),
        }
    }

    /// Whether the fact is known and is 1: for the yes/no facts about the place.
    pub fn holds(&self, name: &str) -> bool {
        matches!(self.value(name), Ok(Value::Number(1)))
    }

    /// The words of a text fact.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.value(name) {
            Ok(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// All facts, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Fact)> {
        self.of_family("")
    }

    /// Facts whose name starts so, by name.
    pub fn of_family(&self, start: &str) -> impl Iterator<Item = (&str, &Fact)> {
        let known = self
            .catalogue
            .starting_with(start)
            .filter_map(|id| Some((self.catalogue.name(id), self.known.get(id.index())?.as_ref()?)));
        let mut known = known.peekable();
        let from = self.others.range::<str, _>((Bound::Included(start), Bound::Unbounded));
        let start = start.to_owned();
        let others =
            from.map(|(name, fact)| (name.as_ref(), fact)).take_while(move |(name, _)| name.starts_with(&start));
        let mut others = others.peekable();
        std::iter::from_fn(move || match (known.peek(), others.peek()) {
            (Some((one, _)), Some((other, _))) if other < one => others.next(),
            (Some(_), _) => known.next(),
            (None, _) => others.next(),
        })
    }

    /// The subjects for which a pattern such as `listener[*].backlog` has facts, in order of name.
    pub fn subjects(&self, pattern: &str) -> Vec<String> {
        let Some((head, tail)) = pattern.split_once("[*]") else { return Vec::new() };
        let start = format!("{head}[");
        let names = self.others.range(Name::from(start.clone())..).map(|(name, _)| name);
        names
            .take_while(|name| name.starts_with(&start))
            .filter_map(|name| name.strip_prefix(&start)?.strip_suffix(tail)?.strip_suffix(']'))
            .filter(|subject| *subject != "*")
            .map(str::to_owned)
            .collect()
    }
}

/// The name with `[*]` replaced by a subject.
pub fn with_subject<'a>(name: &'a str, subject: Option<&str>) -> Cow<'a, str> {
    match subject {
        Some(subject) if name.contains("[*]") => name.replacen("[*]", &format!("[{subject}]"), 1).into(),
        _ => name.into(),
    }
}

/// A sentence with every `{fact}` replaced by what `shown` gives for it.
pub fn placeholders_filled(text: &str, shown: impl Fn(&str) -> String) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, tail)) = after.split_once('}') else { break };
        filled.push_str(before);
        filled.push_str(&shown(name));
        rest = tail;
    }
    filled + rest
}

/// `listener[0.0.0.0:80].backlog` as `listener[*].backlog`; `None` for names without a subject.
pub fn generalised(name: &str) -> Option<String> {
    let (head, rest) = name.split_once('[')?;
    let (_, tail) = rest.rsplit_once(']')?;
    Some(format!("{head}[*]{tail}"))
}

/// A value as a person reads it: numbers grouped, bytes in binary units, times with their unit.
pub fn humane(value: &Value, unit: Unit) -> String {
    match (value, unit) {
        (Value::Number(n), Unit::Bytes) => bytes(*n),
        (Value::Number(n), Unit::BitsPerSecond) => bits(*n),
        (Value::Number(n), Unit::Percent) => format!("{n} %"),
        (Value::Number(n), Unit::Seconds) => format!("{} s", grouped(*n)),
        (Value::Number(n), Unit::Milliseconds) => format!("{} ms", grouped(*n)),
        (Value::Number(n), Unit::Microseconds) => format!("{} µs", grouped(*n)),
        (Value::Number(n), Unit::Pages) => format!("{} pages", grouped(*n)),
        (Value::Number(n), Unit::Millicpu) => format!("{} CPU", thousandths(*n)),
        (Value::Number(n), Unit::Mode) => n.to_string(),
        (Value::Number(n), _) => grouped(*n),
        (Value::Ports(ports), _) if ports.is_empty() => "none".into(),
        (Value::Text(text), _) if text.is_empty() => "empty".into(),
        (value, _) => value.plain(),
    }
}

/// A number with a comma between every three digits.
pub fn grouped(n: i128) -> String {
    let digits = n.unsigned_abs().to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3 + 1);
    if n < 0 {
        out.push('-');
    }
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn thousandths(n: i128) -> String {
    let text = format!("{}.{:03}", n / 1000, n.unsigned_abs() % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Decimal, as links are sold.
fn bits(n: i128) -> String {
    const UNITS: [(&str, i128); 3] = [("Gbit/s", 1_000_000_000), ("Mbit/s", 1_000_000), ("kbit/s", 1000)];
    match UNITS.into_iter().find(|(_, size)| n >= *size) {
        Some((unit, size)) => {
            let text = format!("{}.{}", grouped(n / size), n % size * 10 / size);
            format!("{} {unit}", text.trim_end_matches(".0"))
        }
        None => format!("{n} bit/s"),
    }
}

fn bytes(n: i128) -> String {
    const UNITS: [(&str, u32); 4] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    match UNITS.into_iter().find(|&(_, shift)| n.unsigned_abs() >> shift > 0) {
        Some((unit, shift)) => {
            let tenths = n.saturating_mul(10) >> shift;
            if tenths % 10 == 0 || tenths >= 1000 {
                format!("{} {unit}", grouped(tenths / 10))
            } else {
                format!("{}.{} {unit}", tenths / 10, tenths % 10)
            }
        }
        None => format!("{n} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_for_people() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(-262_144), "-262,144");
        assert_eq!(grouped(9_223_372_036_854_775_807), "9,223,372,036,854,775,807");
        assert_eq!(humane(&Value::Number(64 << 20), Unit::Bytes), "64 MiB");
        assert_eq!(humane(&Value::Number(25_276_502_016), Unit::Bytes), "23.5 GiB");
        assert_eq!(humane(&Value::Number(1500), Unit::Millicpu), "1.5 CPU");
        assert_eq!(humane(&Value::Number(10_000_000_000), Unit::BitsPerSecond), "10 Gbit/s");
        assert_eq!(humane(&Value::Number(85_280_000), Unit::BitsPerSecond), "85.2 Mbit/s");
    }

    #[test]
    fn subjects_are_found_by_pattern() {
        let mut facts = Facts::default();
        facts.put("listener[[::]:80].backlog", Ok(Value::Number(1)), "");
        facts.put("listener[[::]:80].queue", Ok(Value::Number(0)), "");
        facts.put("listener[0.0.0.0:22].backlog", Ok(Value::Number(1)), "");
        facts.put("listeners.count", Ok(Value::Number(2)), "");
        assert_eq!(facts.subjects("listener[*].backlog"), ["0.0.0.0:22", "[::]:80"]);
        assert_eq!(with_subject("listener[*].queue", Some("[::]:80")), "listener[[::]:80].queue");
    }
}
