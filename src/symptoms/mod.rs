//! From a message to what explains it: pure, and certain or silent.

mod fit;
mod line;
mod near;

use std::collections::{HashMap, HashSet};

use crate::model::symptom::{Lookalike, Part, Pattern, words};
use line::Line;

/// Letters, words, and the part of a pattern that a phrase has to have to stand for the whole pattern.
const PART: (usize, usize, f64) = (10, 2, 0.8);

/// Something that can be explained.
#[derive(Clone, Debug)]
pub struct Topic<'a> {
    /// Parts with a slash between them.
    pub id: &'a str,
    /// What is true when all is well.
    pub title: &'a str,
    /// Patterns of what people see.
    pub symptoms: &'a [&'static str],
    /// The settings that it is about, with dots.
    pub settings: Vec<&'a str>,
    /// Those that what it judges follows from.
    pub behind: Vec<&'a str>,
}

/// What is said to a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer<'a> {
    /// Topics that explain as much of it, best first, and those that explain less.
    Known {
        /// Causes that are no limit, and come before the topics.
        other: Vec<&'a str>,
        /// Ids.
        best: Vec<&'a str>,
        /// Ids.
        less: Vec<&'a str>,
    },
    /// No topic, and what it is.
    Lookalike(&'a str),
    /// No topic.
    Unknown {
        /// What was probably meant, if one letter or two are wrong.
        meant: Option<&'a str>,
        /// Ids that share words with it.
        nearest: Vec<&'a str>,
    },
}

/// Everything that can be explained, ready to be asked.
#[derive(Debug)]
pub struct Symptoms<'a> {
    topics: Vec<Topic<'a>>,
    patterns: Vec<Known<'a>>,
    /// The patterns of which a word is the longest.
    by_word: HashMap<String, Vec<usize>>,
}

/// A pattern and what it leads to.
#[derive(Debug)]
struct Known<'a> {
    pattern: Pattern,
    typed: &'a str,
    /// Its index among the topic's symptoms: the first tells most.
    rank: usize,
    leads_to: LeadsTo<'a>,
}

#[derive(Clone, Copy, Debug)]
enum LeadsTo<'a> {
    Topic(&'a str),
    Lookalike(&'a str),
    /// No topic alone, and what it is as well.
    OneOfSeveral(&'a str),
}

impl<'a> Symptoms<'a> {
    /// Of these topics. What is no pattern was refused when its rule was read, and is passed over.
    pub fn new(topics: Vec<Topic<'a>>, lookalikes: impl IntoIterator<Item = Lookalike>) -> Self {
        let known = |typed: &'a str, rank, leads_to| {
            Some(Known { pattern: Pattern::parse(typed).ok()?, typed, rank, leads_to })
        };
        let of_topic = |topic: &Topic<'a>| {
            let id = topic.id;
            let symptoms = topic.symptoms.iter().enumerate();
            symptoms.filter_map(move |(rank, typed)| known(typed, rank, LeadsTo::Topic(id))).collect::<Vec<_>>()
        };
        let others = lookalikes.into_iter().filter_map(|one| {
            let leads_to = if one.is_one_of_several { LeadsTo::OneOfSeveral } else { LeadsTo::Lookalike };
            known(one.line, 0, leads_to(one.is))
        });
        let patterns: Vec<Known<'a>> = topics.iter().flat_map(of_topic).chain(others).collect();
        let mut by_word: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, known) in patterns.iter().enumerate() {
            let longest = known.pattern.words().max_by_key(|word| word.len()).unwrap_or_default();
            by_word.entry(longest.to_owned()).or_default().push(index);
        }
        Self { topics, patterns, by_word }
    }

    /// What explains a line, a phrase, or the name of a topic.
    pub fn ask(&self, text: &str) -> Answer<'a> {
        let text = text.trim();
        let named = self.topics.iter().find(|topic| topic.id.eq_ignore_ascii_case(text));
        if let Some(topic) = named {
            return Answer::Known { other: Vec::new(), best: vec![topic.id], less: Vec::new() };
        }
        let line = Line::read(text);
        self.explaining(&line)
            .or_else(|| self.of_part(&line))
            .or_else(|| self.of_name(text))
            .unwrap_or_else(|| self.unknown(text))
    }

    /// What explains a line of a log: other causes, and topics, best first; none if it is not known.
    pub fn causes(&self, line: &str) -> (Vec<&'a str>, Vec<&'a str>) {
        match self.explaining(&Line::read(line)) {
            Some(Answer::Known { other, best, .. }) => (other, best),
            _ => Default::default(),
        }
    }

    /// By how much of a line patterns explain.
    fn explaining(&self, line: &Line) -> Option<Answer<'a>> {
        let held: HashSet<&str> = line.words.iter().map(|word| word.text.as_str()).collect();
        let mut possible: Vec<usize> =
            held.iter().filter_map(|word| self.by_word.get(*word)).flatten().copied().collect();
        // A set has no order, and an answer has the one of the topics.
        possible.sort_unstable();
        let possible = possible.into_iter().filter_map(|index| self.patterns.get(index));
        let holding = possible.filter(|known| known.pattern.words().all(|word| held.contains(word)));
        let fits = holding.filter_map(|known| Some((fit::explained(&known.pattern, known.typed, line)?, known)));
        ranked(fits.collect())
    }

    /// By the patterns of which a phrase is a part.
    fn of_part(&self, line: &Line) -> Option<Answer<'a>> {
        let asked: Vec<&str> = line.words.iter().map(|word| word.text.as_str()).collect();
        let letters: usize = asked.iter().map(|word| word.len()).sum();
        let (least, words, share) = PART;
        if letters < least || asked.len() < words {
            return None;
        }
        let is_word = |part: &Part, word: &&str| matches!(part, Part::Word(own) if own == word);
        let holds = |known: &&Known<'_>| {
            let mut windows = known.pattern.parts.windows(asked.len());
            windows.any(|window| window.iter().zip(&asked).all(|(part, word)| is_word(part, word)))
        };
        let share_of =
            |known: &Known<'_>| letters as f64 / known.pattern.words().map(str::len).sum::<usize>().max(1) as f64;
        let fits = self.patterns.iter().filter(holds).filter(|known| share_of(known) >= share);
        // The same for all: which pattern is longer says nothing about the phrase.
        ranked(fits.map(|known| (letters, known)).collect())
    }

    /// By a part of an id, or by the name of a setting.
    fn of_name(&self, text: &str) -> Option<Answer<'a>> {
        let text = text.to_lowercase();
        let ids = |is: &dyn Fn(&Topic<'a>) -> bool| {
            self.topics.iter().filter(|topic| is(topic)).map(|topic| topic.id).collect::<Vec<_>>()
        };
        let parts = ids(&|topic| topic.id.split('/').any(|part| part == text));
        let settings = ids(&|topic| topic.settings.iter().any(|setting| near::is_setting(setting, &text)));
        let behind = ids(&|topic| topic.behind.iter().any(|setting| near::is_setting(setting, &text)));
        let beginnings = ids(&|topic| topic.id.split('/').any(|part| part.split('-').next() == Some(&text)));
        let best = [parts, settings, behind, beginnings].into_iter().find(|ids| !ids.is_empty())?;
        Some(Answer::Known { other: Vec::new(), best, less: Vec::new() })
    }

    fn unknown(&self, text: &str) -> Answer<'a> {
        let nearest = near::titles(&self.topics, words(text));
        Answer::Unknown { meant: near::meant(&self.topics, text), nearest }
    }
}

/// The topics that explain most, and those that explain less; another cause that explains as much comes before.
fn ranked<'a>(mut fits: Vec<(usize, &Known<'a>)>) -> Option<Answer<'a>> {
    fits.sort_by_key(|(points, known)| (std::cmp::Reverse(*points), known.rank));
    let most = fits.first()?.0;
    let lookalike = |(points, known): &(usize, &Known<'a>)| match known.leads_to {
        LeadsTo::Lookalike(is) if *points == most => Some(Answer::Lookalike(is)),
        _ => None,
    };
    if let Some(answer) = fits.iter().find_map(lookalike) {
        return Some(answer);
    }
    let (mut other, mut best, mut less): (Vec<&'a str>, Vec<&'a str>, Vec<&'a str>) = Default::default();
    for (points, known) in &fits {
        let id = match known.leads_to {
            LeadsTo::Topic(id) => id,
            LeadsTo::OneOfSeveral(is) if *points == most && !other.contains(&is) => {
                other.push(is);
                continue;
            }
            _ => continue,
        };
        if !best.contains(&id) && !less.contains(&id) {
            if *points == most { best.push(id) } else { less.push(id) }
        }
    }
    match other.first() {
        Some(is) if best.is_empty() => Some(Answer::Lookalike(is)),
        _ => Some(Answer::Known { other, best, less }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUEUE: &[&str] =
        &["flooding of port <n>. Sending cookies", "^ECONNREFUSED$", "connect: timed out while connecting to upstream"];
    const TABLE: &[&str] = &["table full, dropping packet", "^ECONNREFUSED$"];

    fn ask(text: &str) -> Answer<'static> {
        let topic = |id, title, symptoms, settings: &[&'static str], behind: &[&'static str]| Topic {
            id,
            title,
            symptoms,
            settings: settings.to_vec(),
            behind: behind.to_vec(),
        };
        let topics = vec![
            topic("listen/backlog", "Every listener asks for a backlog", QUEUE, &["net.core.somaxconn"], &[]),
            topic(
                "conntrack/max",
                "The conntrack table holds the load",
                TABLE,
                &[],
                &["net.core.somaxconn", "net.x.wood"],
            ),
        ];
        let other =
            Lookalike { line: "the guest table full, dropping packet", is: "about dinner", is_one_of_several: false };
        let too = Lookalike { line: "^ECONNREFUSED$", is: "nobody is at home", is_one_of_several: true };
        Symptoms::new(topics, [other, too]).ask(text)
    }

    fn best(text: &str) -> Vec<&'static str> {
        match ask(text) {
            Answer::Known { best, .. } => best,
            _ => Vec::new(),
        }
    }

    #[test]
    fn what_explains_most_comes_first_and_ties_stay_ties() {
        assert_eq!(best("kernel: TCP: flooding of port 80. Sending cookies."), ["listen/backlog"]);
        assert_eq!(best("ECONNREFUSED"), ["listen/backlog", "conntrack/max"]);
        let Answer::Known { other, .. } = ask("ECONNREFUSED") else { panic!("it is known") };
        assert_eq!(other, ["nobody is at home"]);
        // A phrase stands for a pattern if it is most of it.
        assert_eq!(best("full, dropping packet"), Vec::<&str>::new());
        assert_eq!(best("timed out while connecting to upstream"), ["listen/backlog"]);
    }

    #[test]
    fn names_lead_to_their_topics() {
        assert_eq!(best("LISTEN/backlog"), ["listen/backlog"]);
        assert_eq!(best("conntrack"), ["conntrack/max"]);
        assert_eq!(best("somaxconn"), ["listen/backlog"]);
        assert_eq!(best("net.core.somaxconn"), ["listen/backlog"]);
        // What it follows from counts where nothing is about it.
        assert_eq!(best("net.x.wood"), ["conntrack/max"]);
    }

    #[test]
    fn what_only_looks_like_a_symptom_is_said_to_be_none() {
        assert_eq!(ask("the guest table full, dropping packet"), Answer::Lookalike("about dinner"));
    }

    #[test]
    fn what_is_not_known_says_what_was_meant_or_is_near() {
        let unknown = |meant, nearest: &[&'static str]| Answer::Unknown { meant, nearest: nearest.to_vec() };
        assert_eq!(ask("listen/backlgo"), unknown(Some("listen/backlog"), &["listen/backlog"]));
        assert_eq!(ask("ECONREFUSED"), unknown(Some("ECONNREFUSED"), &[]));
        assert_eq!(ask("the table is made of wood"), unknown(None, &["conntrack/max"]));
        assert_eq!(ask(""), unknown(None, &[]));
    }
}
