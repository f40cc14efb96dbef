//! What comes near, where nothing fits.

use std::collections::{BTreeMap, BTreeSet};

use super::Topic;
use crate::model::symptom::{plain, words};
use crate::model::text::distance;

/// Topics that are named when none fits.
const MOST: usize = 3;
/// Letters of a word that says something.
const TELLING: usize = 4;

/// The topics that share the rarest words with a text.
pub(super) fn titles<'a>(topics: &[Topic<'a>], asked: impl Iterator<Item = String>) -> Vec<&'a str> {
    let asked: BTreeSet<String> =
        asked.filter(|word| word.len() >= TELLING && !word.starts_with(|c: char| c.is_ascii_digit())).collect();
    let own: Vec<BTreeSet<String>> = topics
        .iter()
        .map(|topic| [topic.id, topic.title].iter().chain(topic.symptoms).flat_map(|text| words(text)).collect())
        .collect();
    let mut holders: BTreeMap<&str, usize> = BTreeMap::new();
    own.iter().flatten().for_each(|word| *holders.entry(word).or_default() += 1);
    // A word that half of the topics have says nothing about any of them.
    let weight = |word: &String| (topics.len() as f64 / *holders.get(word.as_str()).unwrap_or(&1) as f64).ln();
    let mut ranked: Vec<(f64, &str)> = topics
        .iter()
        .zip(&own)
        .map(|(topic, own)| (own.intersection(&asked).map(weight).sum::<f64>(), topic.id))
        .filter(|(score, _)| *score > 0.0)
        .collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    ranked.into_iter().take(MOST).map(|(_, id)| id).collect()
}

/// The id, the setting or the symbol that one word was probably meant to be.
pub(super) fn meant<'a>(topics: &[Topic<'a>], text: &str) -> Option<&'a str> {
    if text.contains(char::is_whitespace) || text.len() < TELLING {
        return None;
    }
    let asked = text.to_lowercase();
    let symbols =
        |topic: &Topic<'a>| topic.symptoms.iter().map(|typed| plain(typed)).filter(|typed| !typed.contains(' '));
    let names = topics.iter().flat_map(|topic| {
        let settings = topic.settings.iter().flat_map(|setting| [*setting, last(setting)]);
        [topic.id].into_iter().chain(topic.id.split('/')).chain(settings).chain(symbols(topic))
    });
    let far = |name: &&str| distance(&asked, &name.to_lowercase());
    let best = names.filter(|name| name.len() >= TELLING).min_by_key(far)?;
    (far(&best) <= 1 + asked.len() / 8).then_some(best)
}

/// Whether a setting has this name, whole or its last part.
pub(super) fn is_setting(setting: &str, name: &str) -> bool {
    setting == name || last(setting) == name
}

fn last(setting: &str) -> &str {
    setting.rsplit('.').next().unwrap_or(setting)
}
