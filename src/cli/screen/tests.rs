use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::style::Color;

use super::draw::draw;
use super::state::{Asked, Head, View};
use super::words::{Signs, width};
use crate::model::fact::Unit;
use crate::model::facts::Name;
use crate::model::watch::{Meter, Rise, Stage, State, Tick};
use crate::rules::RuleSet;

fn meter(rule: &'static str, limit: &'static str, state: State) -> Meter {
    Meter {
        rule,
        limit,
        stage: Stage::Handshakes,
        subject: None,
        used: None,
        of: None,
        share: None,
        unit: Unit::Count,
        rises: Vec::new(),
        state,
        gap: None,
    }
}

fn queue(subject: &str, used: i128, of: i128, state: State) -> Meter {
    let share = Some(used * 100 / of);
    let subject = Some(subject.to_owned());
    Meter { subject, used: Some(used), of: Some(of), share, ..meter("listen/queue", "accept queue", state) }
}

fn overflows(by: i128) -> Meter {
    let rises = vec![Rise { fact: Name::from("netstat.TcpExt.ListenOverflows"), what: "in all", by }];
    let state = if by > 0 { State::Hit } else { State::Calm };
    let rises = if by > 0 { rises } else { Vec::new() };
    Meter { used: Some(1234), rises, ..meter("listen/overflows", "accept queue", state) }
}

fn unreadable() -> Meter {
    let gap = Some("host-wide, and visible only in the host's own network namespace".to_owned());
    Meter { gap, ..meter("neigh/fill", "neighbour table (IPv4)", State::Unknown) }
}

fn view(rules: &RuleSet, colour: bool) -> View<'_> {
    let head = Head {
        place: "node-a  host, init network namespace".to_owned(),
        workload: "server  6,000 connections, burst 600".to_owned(),
        interval: 1000,
        colour,
        signs: Signs::BLOCKS,
    };
    View::new(head, rules)
}

/// Two readings: a calm one, and one in which a queue is full and overflows.
fn in_trouble(view: &mut View<'_>) {
    let calm = queue("127.0.0.1:9090", 1, 129, State::Calm);
    let before = vec![queue("127.0.0.1:8080", 0, 9, State::Calm), calm.clone(), overflows(0), unreadable()];
    view.take(&Tick { at: 1000, meters: before }, Vec::new());
    let after = vec![queue("127.0.0.1:8080", 9, 9, State::Hit), overflows(31), calm, unreadable()];
    view.take(&Tick { at: 3000, meters: after }, Vec::new());
}

fn terminal(view: &mut View<'_>, columns: u16, rows: u16) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
    view.resize(columns, rows);
    terminal.draw(|frame| draw(frame, view)).unwrap();
    terminal
}

/// The picture as lines without the blanks at their ends.
fn lines(view: &mut View<'_>, columns: u16, rows: u16) -> Vec<String> {
    let terminal = terminal(view, columns, rows);
    let cells = terminal.backend().buffer().content();
    cells
        .chunks(columns.into())
        .map(|line| line.iter().map(|cell| cell.symbol()).collect::<String>().trim_end().to_owned())
        .collect()
}

fn press(view: &mut View<'_>, code: KeyCode) -> Asked {
    view.press(KeyEvent::new(code, KeyModifiers::NONE))
}

#[test]
fn a_limit_that_is_hit_stands_first_at_80_by_24() {
    let rules = RuleSet::built_in();
    let mut view = view(&rules, false);
    in_trouble(&mut view);
    let mut lines = lines(&mut view, 80, 24);
    assert_eq!(lines.len(), 24);
    let footer = lines.pop().unwrap();
    assert_eq!(footer, "q quit  Space hold  s sort: worst  up/down select  Enter explain  ? help");
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    let expected = "\
tunecheck watch  node-a  host, init network namespace                      at 3s
workload server  6,000 connections, burst 600               every 1 s, reading 2
      hit at limit                       used/limit         use   rate   course
>HIT      3s accept queue 127.0.0.1:8080        9/9 █████  100%              ▁█
 HIT      3s accept queue (all)               1,234               15/s       ▁█
 ok          accept queue 127.0.0.1:9090      1/129 ░░░░░    0%              ▁▁
 ?           neighbour table (IPv4)      host-wide, and visi… network namespace";
    assert_eq!(lines.join("\n"), expected);
}

#[test]
fn a_small_terminal_shows_what_matters_and_a_tiny_one_says_so() {
    let rules = RuleSet::built_in();
    let mut view = view(&rules, false);
    in_trouble(&mut view);
    let expected = "\
node-a  host, in…etwork namespace  at 3s
server  6,000 …ons, burst 600  every 1 s
      hit at limit                  use
>HIT      3s accept que….0.1:8080  100%
 HIT      3s accept queue (all)    15/s
 ok          accept que….0.1:9090    0%
 ?           neighbour …le (IPv4)


q quit ? help s worst Enter explain";
    assert_eq!(lines(&mut view, 40, 10).join("\n"), expected);
    assert_eq!(lines(&mut view, 20, 4)[0], "20x4 is too small: 2");
    for (columns, rows) in [(1, 1), (2, 40), (200, 1), (24, 5), (56, 6), (76, 5), (110, 5), (160, 5)] {
        lines(&mut view, columns, rows);
        press(&mut view, KeyCode::Enter);
        lines(&mut view, columns, rows);
        press(&mut view, KeyCode::Esc);
    }
}

#[test]
fn a_wide_terminal_shows_figures_in_full() {
    let rules = RuleSet::built_in();
    let mut view = view(&rules, false);
    in_trouble(&mut view);
    let shown = lines(&mut view, 200, 60);
    assert_eq!(shown.len(), 60);
    assert!(shown.iter().any(|line| line.contains("own network namespace")), "{shown:#?}");
    assert!(shown.iter().all(|line| !line.contains('…')), "{shown:#?}");
}

#[test]
fn a_row_keeps_the_time_of_its_first_hit_also_when_it_is_gone() {
    let rules = RuleSet::built_in();
    let mut view = view(&rules, false);
    in_trouble(&mut view);
    view.take(&Tick { at: 5000, meters: vec![overflows(0)] }, Vec::new());
    let shown = lines(&mut view, 80, 24).join("\n");
    assert!(
        shown.contains("\n>ok       3s accept queue ") || shown.contains("\n ok       3s accept queue "),
        "{shown}"
    );
    assert!(shown.contains("gone     3s accept queue 127.0.0.1:8080"), "{shown}");
    assert!(!shown.contains("9090"), "{shown}");
}

#[test]
fn hostile_subjects_cannot_drive_the_terminal() {
    let rules = RuleSet::built_in();
    let mut view = view(&rules, false);
    let subjects = [
        "\u{1b}[2J\u{7}\n\rx",
        "\u{202e}evil",
        "漢字漢字漢字漢字漢字漢字漢字漢字",
        "e\u{301}\u{301}\u{301}",
        "",
        "\u{9b}31m",
    ];
    let long = "a".repeat(5000);
    let meters =
        subjects.into_iter().chain([long.as_str()]).map(|subject| queue(subject, i128::MAX / 200, 7, State::Near));
    view.take(&Tick { at: 0, meters: meters.chain([unreadable()]).collect() }, Vec::new());
    for (columns, rows) in [(80, 24), (40, 10), (200, 60)] {
        for _ in 0..9 {
            let shown = lines(&mut view, columns, rows).join("\n");
            let driving = |c: char| c != '\n' && (c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c));
            assert!(!shown.contains(driving), "{shown:?}");
            press(&mut view, KeyCode::Enter);
            let pane = lines(&mut view, columns, rows).join("\n");
            assert!(!pane.contains(driving), "{pane:?}");
            press(&mut view, KeyCode::Esc);
            press(&mut view, KeyCode::Down);
        }
    }
    assert!(lines(&mut view, 200, 60).join("\n").contains("\\u{1b}[2J"));
}

#[test]
fn no_row_and_very_many_rows_are_drawn() {
    let rules = RuleSet::built_in();
    let mut empty = view(&rules, false);
    empty.take(&Tick::default(), Vec::new());
    assert!(lines(&mut empty, 80, 24)[3].contains("no limit of this workload applies here"));
    press(&mut empty, KeyCode::Enter);
    assert!(empty.pane.is_none());

    let mut many = view(&rules, false);
    let meters = (0..500).map(|port| queue(&format!("127.0.0.1:{}", 10_000 + port), port, 1000, State::Calm)).collect();
    many.take(&Tick { at: 0, meters }, Vec::new());
    let shown = lines(&mut many, 80, 24);
    assert!(shown[2].contains("limit 1-20 of 500") && shown[3].contains(":10490"), "{shown:#?}");
    press(&mut many, KeyCode::End);
    let shown = lines(&mut many, 80, 24);
    assert!(shown[2].contains("limit 481-500 of 500") && shown[22].starts_with(">ok") && shown[22].contains(":10009"));
    press(&mut many, KeyCode::PageUp);
    assert_eq!(many.selected(), 479);
    assert_eq!(lines(&mut many, 200, 60).len(), 60);
}

#[test]
fn a_held_picture_stands_and_readings_go_on() {
    let rules = RuleSet::built_in();
    let mut view = view(&rules, false);
    in_trouble(&mut view);
    press(&mut view, KeyCode::Char('p'));
    view.take(&Tick { at: 9000, meters: vec![overflows(5)] }, Vec::new());
    let shown = lines(&mut view, 80, 24).join("\n");
    assert!(shown.contains("at 3s") && shown.contains("HELD, 1 newer") && shown.contains("readings go on"), "{shown}");
    press(&mut view, KeyCode::Char(' '));
    let shown = lines(&mut view, 80, 24).join("\n");
    assert!(shown.contains("at 9s") && shown.contains("reading 3"), "{shown}");
}

#[test]
fn the_chosen_row_stays_chosen_when_the_order_changes() {
    let rules = RuleSet::built_in();
    let mut view = view(&rules, false);
    in_trouble(&mut view);
    press(&mut view, KeyCode::Char('j'));
    press(&mut view, KeyCode::Down);
    let chosen = |view: &View<'_>| view.picture.rows[view.selected()].key.clone();
    let key = chosen(&view);
    assert_eq!(key.1.as_deref(), Some("127.0.0.1:9090"));
    for word in ["name", "rate", "worst"] {
        press(&mut view, KeyCode::Char('s'));
        assert_eq!((view.sort.word(), chosen(&view)), (word, key.clone()));
    }
}

#[test]
fn enter_explains_the_rule_and_escape_leads_back_before_it_quits() {
    let rules = RuleSet::built_in();
    let mut view = view(&rules, false);
    in_trouble(&mut view);
    assert_eq!(press(&mut view, KeyCode::Enter), Asked::Draw);
    let shown = lines(&mut view, 80, 24);
    assert!(shown[2].starts_with("listen/queue  accept queue 127.0.0.1:8080"), "{shown:#?}");
    assert_eq!(shown[3], " Hit first 3 s after the start");
    press(&mut view, KeyCode::End);
    let shown = lines(&mut view, 80, 24);
    assert!(shown[22].contains("https://"), "{shown:#?}");
    let count = view.pane.as_ref().unwrap().lines.len();
    assert!(shown[2].ends_with(&format!("-{count} of {count}")), "{shown:#?}");
    for line in &view.pane.as_ref().unwrap().lines {
        assert!(width(line) <= 78, "{line}");
    }
    assert_eq!(press(&mut view, KeyCode::Esc), Asked::Draw);
    assert_eq!(press(&mut view, KeyCode::Esc), Asked::Quit);
    press(&mut view, KeyCode::Char('?'));
    assert!(lines(&mut view, 80, 24)[2].starts_with("Help"));
    assert_eq!(view.press(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)), Asked::Quit);
}

#[test]
fn without_colour_the_same_words_stand_there() {
    let rules = RuleSet::built_in();
    let (mut plain, mut coloured) = (view(&rules, false), view(&rules, true));
    in_trouble(&mut plain);
    in_trouble(&mut coloured);
    assert_eq!(lines(&mut plain, 80, 24), lines(&mut coloured, 80, 24));
    let reds = |view: &mut View<'_>| {
        let terminal = terminal(view, 80, 24);
        let cells = terminal.backend().buffer().content();
        (cells.iter().any(|cell| cell.fg == Color::Red), cells.iter().any(|cell| cell.fg != Color::Reset))
    };
    assert_eq!((reds(&mut plain), reds(&mut coloured)), ((false, false), (true, true)));
}
