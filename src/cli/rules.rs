//! `tunecheck rules ...`: for people who write rules.

use std::path::PathBuf;

use anyhow::{Result, bail};

use super::args::RulesCommand;
use super::exit::Exit;
use super::settings;
use super::terminal::{Terminal, print};
use crate::evaluate::run_example;
use crate::facts;
use crate::model::catalogue::Catalogue;
use crate::model::rule::Example;
use crate::report;
use crate::rules::{RuleSet, file, manual};

pub(super) fn run(command: RulesCommand) -> Result<Exit> {
    let text = match command {
        RulesCommand::List { rules } => report::rule_list(settings::rules(&rules)?.iter()),
        RulesCommand::Show { id, rules } => {
            let rules = settings::rules(&rules)?;
            let Some((rule, doc)) = rules.get(&id).zip(rules.doc(&id)) else {
                bail!("there is no rule {id} (tunecheck rules list)")
            };
            let beside = report::Beside { manual: manual(), usual: &settings::usual(&rules) };
            report::explain(rule, doc, beside, Terminal::stdout().columns.unwrap_or(100).clamp(60, 110))
        }
        RulesCommand::Check { paths } => check(&paths)?,
        RulesCommand::Facts => report::facts_table(facts::catalogue()),
        RulesCommand::Schema { report: true, .. } => serde_json::to_string_pretty(&report::json_schema())? + "\n",
        RulesCommand::Schema { diff: true, .. } => serde_json::to_string_pretty(&report::diff_schema())? + "\n",
        RulesCommand::Schema { manifest: true, .. } => serde_json::to_string_pretty(&report::manifest_schema())? + "\n",
        RulesCommand::Schema { tick: true, .. } => serde_json::to_string_pretty(&report::tick_schema())? + "\n",
        RulesCommand::Schema { verdict: true, .. } => serde_json::to_string_pretty(&report::verdict_schema())? + "\n",
        RulesCommand::Schema { plan: true, .. } => serde_json::to_string_pretty(&report::plan_schema())? + "\n",
        RulesCommand::Schema { fleet: true, .. } => serde_json::to_string_pretty(&report::fleet_schema())? + "\n",
        RulesCommand::Schema { peer: true, .. } => serde_json::to_string_pretty(&report::peers_schema())? + "\n",
        RulesCommand::Schema { .. } => serde_json::to_string_pretty(&file::schema())? + "\n",
    };
    print(text.as_bytes())?;
    Ok(Exit::Done)
}

/// Checks rule files, then runs their examples.
fn check(paths: &[PathBuf]) -> Result<String> {
    let catalogue = facts::catalogue();
    let mut rules = RuleSet::built_in();
    let mut checked: Vec<(PathBuf, &str)> = Vec::new();
    for path in paths {
        for (file, rule, doc) in settings::load(path, catalogue)? {
            checked.push((file, rule.id));
            rules.put(rule, doc);
        }
    }
    if paths.is_empty() {
        checked.extend(rules.iter().map(|rule| (format!("rules/{}.yaml", rule.id).into(), rule.id)));
    }
    let told = |(file, id): &(PathBuf, &str)| -> Vec<String> {
        let wrong = wrong_examples(id, &rules, catalogue);
        wrong.into_iter().map(|what| format!("{}: {what}", file.display())).collect()
    };
    let wrong: Vec<String> = checked.iter().flat_map(told).collect();
    if !wrong.is_empty() {
        bail!("{}", wrong.join("\n"));
    }
    let examples: usize = checked.iter().filter_map(|(_, id)| rules.doc(id)).map(|doc| doc.examples.len()).sum();
    Ok(format!("{} rules, {examples} examples: all as they say\n", checked.len()))
}

/// The examples of a rule that do not give what they say.
fn wrong_examples(id: &str, rules: &RuleSet, catalogue: &'static Catalogue) -> Vec<String> {
    let Some((rule, doc)) = rules.get(id).zip(rules.doc(id)) else { return vec![format!("{id}: has no examples")] };
    let wrong = |(index, example): (usize, &Example)| {
        let verdict = run_example(rule, example, catalogue, |mut facts| {
            facts::declare(&mut facts, &rules.workload(example.role));
            facts::derive(&mut facts);
            facts
        });
        let gave = verdict.outcome.word();
        let because = if verdict.reason.is_empty() { String::new() } else { format!(" ({})", verdict.reason) };
        (gave != example.expect)
            .then(|| format!("example {} of {id} gives {gave}{because}, not {}", index + 1, example.expect))
    };
    doc.examples.iter().enumerate().filter_map(wrong).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_rule_speaks_of_known_facts_and_gives_what_its_examples_say() {
        let catalogue = facts::catalogue();
        let rules = RuleSet::built_in();
        assert!(rules.iter().count() >= 30, "the built-in rules did not decode");
        let wrong: Vec<String> = rules.iter().flat_map(|rule| wrong_examples(rule.id, &rules, catalogue)).collect();
        assert_eq!(wrong, Vec::<String>::new());
    }
}
