//! The page of a plan in a real browser: what it draws, and that it asks for nothing.

use std::fs::{self, File};
use std::io::BufReader;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::harness::{Need, Place, Scene, done, script, timed};

/// Without a network, so that nothing could be loaded, and with processes of its own, so that all of the browser ends.
const ALONE: &[&str] =
    &["--net", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc"];
const NEEDS: &[Need] = &[Need::Root, Need::Program("chromium"), Need::Minutes(3)];

pub(crate) const PLACES: &[Place] = &[
    Place {
        name: "the_page_of_a_plan_is_drawn_to_scale_on_wide_and_narrow_screens",
        needs: NEEDS,
        own: ALONE,
        trial: drawn_to_scale,
    },
    Place { name: "the_page_of_a_plan_runs_no_script", needs: NEEDS, own: ALONE, trial: runs_no_script },
    Place { name: "the_page_of_a_load_fits_every_screen", needs: NEEDS, own: ALONE, trial: fits_every_screen },
];

const ROLES: [&str; 3] = ["server", "gateway", "client"];
/// Tall enough for every page as a whole.
const HEIGHT: u32 = 14_000;
/// What the browser looks at, in a frame around the page: no window is as narrow as a telephone.
const MEASURE: &str = r#"<script>
addEventListener("load", () => {
  const page = document.querySelector("iframe").contentDocument, view = page.defaultView, body = page.body;
  const box = (element) => { const {left, right, top, bottom} = element.getBoundingClientRect(); return {left, right, top, bottom} };
  const one = (within, name) => { const found = within.querySelector(name); return found && {...box(found), fill: view.getComputedStyle(found).fill} };
  const outside = [...body.querySelectorAll("*")].filter((element) => {
    const {left, right, width} = element.getBoundingClientRect();
    return width > 1 && view.getComputedStyle(element).clipPath === "none" && (left < -0.5 || right > view.innerWidth + 0.5);
  });
  const measured = {
    width: view.innerWidth,
    scrollable: page.documentElement.scrollWidth,
    height: page.documentElement.scrollHeight,
    dark: view.matchMedia("(prefers-color-scheme: dark)").matches,
    back: view.getComputedStyle(body).backgroundColor,
    ink: view.getComputedStyle(body).color,
    title: page.title,
    images: page.images.length,
    outside: outside.map((element) => element.outerHTML.slice(0, 80)),
    charts: [...page.querySelectorAll("table.chart")].map((chart) => ({
      powers: [...chart.querySelectorAll("text.power")].map((label) => ({...box(label), label: label.textContent})),
      ticks: [...chart.querySelectorAll("line.tick")].map(box),
      label: {...one(chart, "text.label"), label: chart.querySelector("text.label").textContent},
      rows: [...chart.querySelectorAll("tbody tr")].map((row) => ({
        plot: one(row, "td.plot"), bar: one(row, "rect.bar"), slow: one(row, "rect.slow"), asked: one(row, "line.asked"),
      })),
    })),
  };
  const shown = document.createElement("pre");
  shown.id = "measured";
  shown.textContent = JSON.stringify(measured);
  document.body.append(shown);
});
</script>"#;

/// A window.
#[derive(Clone, Copy)]
struct Window {
    width: u32,
    dark: bool,
}

const WINDOWS: [Window; 4] = [
    Window { width: 1600, dark: false },
    Window { width: 1280, dark: false },
    Window { width: 1280, dark: true },
    Window { width: 360, dark: false },
];

/// Where the browser keeps its files: the paths of its sockets must be short.
const HOME: &str = "/mnt/home";

/// Runs the browser on a file, with nothing kept between two runs, and gives what it printed.
fn browse(window: Window, what: &[&str], page: &Path) -> String {
    done(script("mount -t tmpfs tmpfs /mnt; mkdir $1", &[Path::new(HOME)]));
    let mut browser = timed(50, "chromium");
    // 0 is dark, 1 is light: third_party/blink/public/mojom/css/preferred_color_scheme.mojom.
    let scheme = format!("--blink-settings=preferredColorScheme={}", u8::from(!window.dark));
    browser.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]);
    browser.args(["--no-first-run", "--disable-background-networking", "--disable-component-update", &scheme]);
    browser.arg(format!("--window-size={},{HEIGHT}", window.width));
    browser.arg(format!("--user-data-dir={HOME}/profile")).args(what).arg(page).env("HOME", HOME).env("TMPDIR", HOME);
    let printed = done(browser);
    done(script("umount --lazy /mnt", &[]));
    printed
}

/// What tunecheck prints of a plan.
fn plan(scene: &Scene, arguments: &str, snapshot: Option<&Path>, format: &str) -> String {
    let mut command = scene.tunecheck();
    command.arg("plan").args(arguments.split(' ')).args(["--format", format]);
    if let Some(snapshot) = snapshot {
        command.args(["--solve", "--snapshot"]).arg(snapshot);
    }
    done(command)
}

fn in_trouble() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/hosts/in-trouble")
}

fn written(scene: &Scene, name: &str, text: &str) -> PathBuf {
    let path = scene.folder.join(name);
    fs::write(&path, text).unwrap();
    path
}

/// What the browser measured of a page.
fn measured(scene: &Scene, window: Window, page: &str) -> Value {
    let quoted = page.replace('&', "&amp;").replace('"', "&quot;");
    let size = format!("width: {}px; height: {HEIGHT}px", window.width);
    let frame = format!(
        "<!DOCTYPE html><meta charset=utf-8><meta name=color-scheme content='light dark'>\
         <iframe style='border: 0; {size}' srcdoc=\"{quoted}\"></iframe>{MEASURE}"
    );
    let shown = browse(window, &["--dump-dom"], &written(scene, "frame.html", &frame));
    let (_, found) = shown.split_once("<pre id=\"measured\">").unwrap_or_else(|| panic!("nothing measured: {shown}"));
    let text = found.split_once("</pre>").unwrap().0.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    serde_json::from_str(&text).unwrap()
}

/// Asserts that a page fits its window and wears its colours.
fn fits(found: &Value, window: Window, of: &str) {
    assert_eq!(found["width"], window.width, "{of}");
    assert_eq!(found["scrollable"], window.width, "{of}, {}: it scrolls sideways", window.width);
    assert_eq!(found["outside"].as_array().unwrap(), &Vec::<Value>::new(), "{of}, {}", window.width);
    assert!(found["height"].as_u64().unwrap() <= HEIGHT.into(), "{of}: taller than its window: {}", found["height"]);
    assert_eq!(found["dark"], window.dark, "{of}");
    let sum = |colour: &Value| rgb(colour).into_iter().map(u32::from).sum::<u32>();
    let (back, ink) = (sum(&found["back"]), sum(&found["ink"]));
    assert!(if window.dark { back < 120 && ink > 600 } else { back > 720 && ink < 150 }, "{back} {ink}");
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("no number: {value}"))
}

#[track_caller]
fn near(one: f64, other: f64, what: &str) {
    assert!((one - other).abs() <= 1.5, "{what}: {one} instead of {other}");
}

/// `rgb(1, 2, 3)`.
fn rgb(colour: &Value) -> [u8; 3] {
    let inside = colour.as_str().unwrap().trim_start_matches("rgb(").trim_end_matches(')');
    let parts: Vec<u8> = inside.split(", ").map(|part| part.parse().unwrap()).collect();
    parts.try_into().unwrap()
}

fn drawn_to_scale(scene: &Scene) {
    for role in ROLES {
        let arguments = format!("--role {role} --rps 500 --latency 20s");
        let page = plan(scene, &arguments, Some(&in_trouble()), "html");
        let capacity = serde_json::from_str::<Value>(&plan(scene, &arguments, Some(&in_trouble()), "json")).unwrap();
        let capacity = &capacity["capacity"];
        let path = written(scene, "page.html", &page);
        // One role in every window, the others where it is tight.
        for window in WINDOWS.into_iter().filter(|window| role == "gateway" || window.width == 360) {
            let found = measured(scene, window, &page);
            fits(&found, window, role);
            let charts = found["charts"].as_array().unwrap();
            assert_eq!(charts.len(), 2);
            let limits: Vec<Bar> = capacity["limits"].as_array().unwrap().iter().map(Bar::of).collect();
            let first = Bar { carries: capacity["requests_in_flight"].as_f64(), slow_from: None };
            let steps = capacity["steps"].as_array().unwrap().iter().map(Bar::of);
            is_to_scale(&charts[0], &limits);
            is_to_scale(&charts[1], &[first].into_iter().chain(steps).collect::<Vec<_>>());

            let picture = scene.folder.join("page.png");
            browse(window, &[&format!("--screenshot={}", picture.display())], &path);
            let picture = Picture::of(&picture);
            assert_eq!(picture.width, window.width as usize);
            charts
                .iter()
                .flat_map(|chart| chart["rows"].as_array().unwrap())
                .for_each(|row| picture.shows(row, &found));
        }
    }
}

/// What a bar stands for.
struct Bar {
    carries: Option<f64>,
    slow_from: Option<f64>,
}

impl Bar {
    fn of(limit: &Value) -> Self {
        let carries = limit["carries"].as_f64();
        let slow_from = limit["slow_from"].as_f64().filter(|from| carries.is_none_or(|carries| *from < carries));
        Self { carries, slow_from }
    }
}

/// Asserts that a chart has these bars, by the ticks that it shows, and that its labels can be read.
fn is_to_scale(chart: &Value, bars: &[Bar]) {
    let ticks: Vec<f64> = chart["ticks"].as_array().unwrap().iter().map(|tick| number(&tick["left"])).collect();
    let powers = chart["powers"].as_array().unwrap();
    // Of 100 to a million each has a label.
    let labels: Vec<&str> = powers.iter().map(|power| power["label"].as_str().unwrap()).collect();
    assert!(labels.starts_with(&["100", "1k", "10k", "100k", "1M"]) && labels.len() == ticks.len(), "{labels:?}");
    for pair in powers.windows(2) {
        assert!(number(&pair[0]["right"]) + 4.0 < number(&pair[1]["left"]), "labels run into each other: {pair:?}");
    }
    let decade = ticks[1] - ticks[0];
    assert!(decade > 30.0 && ticks.windows(2).all(|pair| (pair[1] - pair[0] - decade).abs() < 0.1), "{ticks:?}");
    let at = |requests: f64| ticks[0] + (requests.log10() - 2.0) * decade;
    let end = ticks[ticks.len() - 1];

    let asked = &chart["label"];
    assert_eq!(asked["label"], "10,000 asked for");
    near(
        f64::midpoint(number(&asked["left"]), number(&asked["right"])),
        at(10_000.0),
        "the label of what is asked for",
    );
    let rows = chart["rows"].as_array().unwrap();
    assert_eq!(rows.len(), bars.len());
    for (row, bar) in rows.iter().zip(bars) {
        near(number(&row["asked"]["left"]), at(10_000.0), "what is asked for");
        near(number(&row["bar"]["left"]), ticks[0], "the beginning of a bar");
        near(number(&row["bar"]["right"]), bar.carries.map_or(end, at), "the end of a bar");
        assert_eq!(row["slow"].is_null(), bar.slow_from.is_none());
        if let Some(from) = bar.slow_from {
            near(number(&row["slow"]["left"]), at(from), "the beginning of what is slow");
            near(number(&row["slow"]["right"]), bar.carries.map_or(end, at), "the end of what is slow");
        }
        let (plot, bar) = (&row["plot"], &row["bar"]);
        assert!(number(&plot["top"]) < number(&bar["top"]) && number(&bar["bottom"]) < number(&plot["bottom"]));
    }
}

/// A screenshot.
struct Picture {
    width: usize,
    bytes: Vec<u8>,
    channels: usize,
}

impl Picture {
    fn of(path: &Path) -> Self {
        let mut reader = png::Decoder::new(BufReader::new(File::open(path).unwrap())).read_info().unwrap();
        let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
        let frame = reader.next_frame(&mut bytes).unwrap();
        assert_eq!(frame.bit_depth, png::BitDepth::Eight);
        Self { width: frame.width as usize, bytes, channels: frame.color_type.samples() }
    }

    fn at(&self, x: f64, y: f64) -> [u8; 3] {
        let start = (y as usize * self.width + x as usize) * self.channels;
        self.bytes[start..start + 3].try_into().unwrap()
    }

    /// Asserts that a row is drawn where and as the browser says, from its bar to the line.
    fn shows(&self, row: &Value, page: &Value) {
        let (bar, asked) = (&row["bar"], &row["asked"]);
        let side = |name: &str| number(&bar[name]);
        let (middle, fill, back) = (f64::midpoint(side("top"), side("bottom")), rgb(&bar["fill"]), rgb(&page["back"]));
        // Clear of the edge, of the powers of ten and of the line.
        let inside = side("left") + 6.0;
        assert_eq!(self.at(inside, middle), fill);
        for beside in [side("top") - 3.0, side("bottom") + 3.0] {
            assert_eq!(self.at(inside, beside), back, "nothing above and below a bar");
        }
        if fill != back {
            let solid = if row["slow"].is_null() { side("right") } else { number(&row["slow"]["left"]) };
            let line = number(&asked["left"]);
            let same = |x: &f64| self.at(*x, middle) == fill || (x - line).abs() < 3.0;
            let drawn = (0..).map(|step| inside + f64::from(step)).take_while(same).count();
            // A stripe may begin where the slow part does, or as much as its width later.
            assert!((inside + drawn as f64 - solid).abs() <= 6.0, "{drawn} of {solid}");
        }
        if !row["slow"].is_null() {
            let (from, to) = (number(&row["slow"]["left"]), number(&row["slow"]["right"]));
            let colours: Vec<_> = (0..(to - from) as u32).map(|x| self.at(from + f64::from(x), middle)).collect();
            assert!(colours.contains(&back) && (fill == back || colours.contains(&fill)), "no stripes: {colours:?}");
        }
        let (line, top) = (number(&asked["left"]), number(&row["plot"]["top"]) + 2.0);
        let ink = rgb(&page["ink"]);
        let found = [-1.0, 0.0, 1.0].map(|x| self.at(line + x, top));
        assert!(found.contains(&ink), "no line at what is asked for, {line}: {found:?}, {row}");
    }
}

fn runs_no_script(scene: &Scene) {
    // The path of a recording is shown, and this one would like to be more.
    let hostile = scene.folder.join("<img src=x onerror=document.title=1><script>document.title=2<");
    symlink(in_trouble(), &hostile).unwrap();
    let page = plan(scene, "--rps 500 --latency 20s", Some(&hostile), "html");
    let window = Window { width: 1280, dark: false };
    let found = measured(scene, window, &page);
    assert_eq!((&found["images"], &found["title"]), (&0.into(), &"Capacity of node-a · tunecheck plan".into()));
    let narrow = Window { width: 360, ..window };
    fits(&measured(scene, narrow, &page), narrow, "a long path");
    // And what would get in is not run: the policy of the page forbids it.
    let script = "<script>document.title = 'run'</script></body>";
    let title = |page: &str| measured(scene, window, &page.replace("</body>", script))["title"].clone();
    assert_eq!(title(&page), found["title"]);
    assert_eq!(title(&page.replace("Content-Security-Policy", "nothing")), "run");
}

fn fits_every_screen(scene: &Scene) {
    let arguments = "--role gateway --rps 500 --latency 20s --protocol h2 --response-bytes 20k --pods 10 --link 10G";
    let page = plan(scene, arguments, None, "html");
    for window in WINDOWS {
        let found = measured(scene, window, &page);
        fits(&found, window, "a load alone");
        assert_eq!(found["charts"].as_array().unwrap().len(), 0);
        let picture = scene.folder.join("page.png");
        let screenshot = format!("--screenshot={}", picture.display());
        browse(window, &[&screenshot], &written(scene, "page.html", &page));
        let picture = Picture::of(&picture);
        let back = rgb(&found["back"]);
        let pixels = picture.bytes.chunks(picture.channels);
        assert!(pixels.filter(|pixel| pixel[..3] != back).count() > 5000, "a blank page");
    }
}
