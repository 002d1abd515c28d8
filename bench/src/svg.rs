//! The picture of docs/performance.md: medians relative to crun, with p10 to p90.

use std::fs;
use std::path::Path;

use crate::Result;
use crate::report::{Comparison, Outcome, Report, Spread};

/// Who is 1, in the workload that has it.
const BASES: [&str; 2] = ["crun", "ip and crun"];
const DRAWN: &str = "abcde";

const WIDTH: f64 = 760.0;
/// Where bars begin, and how far they reach.
const LEFT: f64 = 150.0;
const SPACE: f64 = 490.0;
/// The longest that is drawn whole, in units of crun's median.
const LONGEST: f64 = 3.5;
const LINE: f64 = 20.0;
const BAR: f64 = 12.0;

/// Readable on its own ground, whatever is around it.
const STYLE: &str = "\
.ground { fill: #ffffff } text { fill: #1f2328; font: 12px system-ui, sans-serif }
.title { font-weight: 600 } .name { text-anchor: end } .range { stroke: #1f2328 }
.scale { fill: #656d76; text-anchor: middle } .grid { stroke: #d0d7de } .one { stroke: #656d76 }
.other { fill: #9aa4af } .floor { fill: #c4ccd4 } .nsinit { fill: #1f6feb }
@media (prefers-color-scheme: dark) {
  .ground { fill: #0d1117 } text { fill: #e6edf3 } .range { stroke: #e6edf3 }
  .scale { fill: #8d96a0 } .grid { stroke: #30363d } .one { stroke: #8d96a0 }
  .other { fill: #6e7681 } .floor { fill: #484f58 }
}
";

pub(crate) fn write(report: &Report, path: &Path) -> Result {
    fs::write(path, draw(report)).map_err(|error| format!("{}: {error}", path.display()))
}

pub(crate) fn draw(report: &Report) -> String {
    let drawn = report.workloads.iter().filter(|outcome| DRAWN.contains(outcome.letter));
    let mut picture = Picture { lines: Vec::new(), y: LINE * 1.2 };
    for outcome in drawn {
        if let Some(base) = outcome.rivals.iter().find(|rival| BASES.contains(&&*rival.rival)) {
            picture.group(outcome, base);
        }
    }
    picture.finish()
}

struct Picture {
    lines: Vec<String>,
    y: f64,
}

impl Picture {
    fn group(&mut self, outcome: &Outcome, base: &Comparison) {
        let one = base.theirs.wall.median;
        let title = format!("({}) {}", outcome.letter, outcome.words);
        self.text("title", 12.0, &title);
        self.y += LINE;
        self.bar("nsinit", &base.nsinit.wall, one);
        for rival in &outcome.rivals {
            self.bar(&rival.rival, &rival.theirs.wall, one);
        }
        self.y += LINE * 0.7;
    }

    fn bar(&mut self, name: &str, times: &Spread, one: f64) {
        let x = |time: f64| LEFT + (time / one).min(LONGEST) / LONGEST * SPACE;
        let class = if matches!(name, "nsinit" | "floor") { name } else { "other" };
        let (end, low, high) = (x(times.median), x(times.p10), x(times.p90));
        let (top, middle) = (self.y - BAR + 2.0, self.y - BAR / 2.0 + 2.0);
        self.text("name", LEFT - 8.0, name);
        let width = end - LEFT;
        self.lines.push(format!(
            r#"<rect class="{class}" x="{LEFT}" y="{top:.1}" width="{width:.1}" height="{BAR}"/>"#
        ));
        self.lines.push(format!(
            r#"<line class="range" x1="{low:.1}" y1="{middle:.1}" x2="{high:.1}" y2="{middle:.1}"/>"#
        ));
        let value = format!("{:.2} · {:.1} ms", times.median / one, times.median / 1000.0);
        self.text("value", high.max(end) + 6.0, &value);
        self.y += LINE;
    }

    fn text(&mut self, class: &str, x: f64, text: &str) {
        let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('`', "");
        let y = self.y;
        self.lines.push(format!(r#"<text class="{class}" x="{x:.1}" y="{y:.1}">{text}</text>"#));
    }

    fn finish(mut self) -> String {
        let bottom = self.y - LINE * 0.7;
        let mut grid = Vec::new();
        for step in 0_u8..=7 {
            let share = f64::from(step) / 2.0;
            let x = LEFT + share / LONGEST * SPACE;
            let class = if step == 2 { "one" } else { "grid" };
            grid.push(format!(
                r#"<line class="{class}" x1="{x:.1}" y1="32" x2="{x:.1}" y2="{bottom:.1}"/>"#
            ));
            self.y = bottom + LINE * 0.8;
            self.text("scale", x, &if step == 2 { "crun".to_owned() } else { format!("{share}") });
        }
        let height = bottom + LINE * 1.4;
        let (grid, lines) = (grid.join("\n"), self.lines.join("\n"));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\">\n\
             <title>Median times relative to crun's, with p10 to p90</title>\n<style>\n{STYLE}</style>\n\
             <rect class=\"ground\" width=\"100%\" height=\"100%\"/>\n{grid}\n{lines}\n</svg>\n"
        )
    }
}
