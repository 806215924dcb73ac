//! A line chart as SVG, small enough to stand in a repository.
#![allow(unreachable_pub)]

use std::fmt::Write;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 360.0;
/// Left, right, bottom.
const MARGIN: [f64; 3] = [70.0, 30.0, 50.0];
const COLOURS: [&str; 4] = ["#0b6e99", "#d9730d", "#448361", "#9065b0"];

pub struct Plot<'a> {
    pub title: &'a str,
    pub x: &'a str,
    pub y: &'a str,
    /// Each step along x is a factor.
    pub log_x: bool,
    pub lines: Vec<(String, Vec<(f64, f64)>)>,
}

impl Plot<'_> {
    pub fn svg(&self) -> String {
        let points = || self.lines.iter().flat_map(|(_, points)| points);
        let low = points().map(|it| it.0).fold(f64::MAX, f64::min);
        let high = points().map(|it| it.0).fold(f64::MIN, f64::max);
        let top = nice(points().map(|it| it.1).fold(0.0, f64::max));
        let scale = |x: f64| if self.log_x { x.ln() } else { x };
        let ([left, right, below], above) = (MARGIN, 36.0 + 17.0 * self.lines.len() as f64);
        let across = |x| {
            left + (scale(x) - scale(low)) / (scale(high) - scale(low)) * (WIDTH - left - right)
        };
        let up = |y: f64| HEIGHT - below - y / top * (HEIGHT - above - below);

        let mut svg = format!(
            r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">
<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>
<text x="{left}" y="20" font-size="14">{}</text>
"##,
            self.title
        );
        for step in 0..=4 {
            let value = top * f64::from(step) / 4.0;
            let (y, label) = (up(value), number(value));
            let end = WIDTH - right;
            let _ = writeln!(
                svg,
                r##"<path d="M{left} {y:.1}H{end}" stroke="#ddd"/><text x="{}" y="{:.1}" text-anchor="end">{label}</text>"##,
                left - 6.0,
                y + 4.0
            );
        }
        for value in self.ticks(low, high) {
            let (x, y) = (across(value), HEIGHT - below + 18.0);
            let _ = writeln!(
                svg,
                r#"<text x="{x:.1}" y="{y}" text-anchor="middle">{}</text>"#,
                number(value)
            );
        }
        let (middle, bottom) = (f64::midpoint(left, WIDTH - right), HEIGHT - 12.0);
        let _ = writeln!(
            svg,
            r#"<text x="{middle}" y="{bottom}" text-anchor="middle">{}</text>"#,
            self.x
        );
        let _ = writeln!(
            svg,
            r#"<text transform="translate(16 {}) rotate(-90)" text-anchor="middle">{}</text>"#,
            HEIGHT / 2.0,
            self.y
        );
        for (index, (name, points)) in self.lines.iter().enumerate() {
            let colour = COLOURS[index % COLOURS.len()];
            let place = |it: &(f64, f64)| format!("{:.1},{:.1}", across(it.0), up(it.1));
            let path: Vec<_> = points.iter().map(place).collect();
            let (x, y) = (left, 36.0 + 17.0 * index as f64);
            let _ = writeln!(
                svg,
                r#"<polyline points="{}" fill="none" stroke="{colour}" stroke-width="2"/>"#,
                path.join(" ")
            );
            let _ = writeln!(
                svg,
                r#"<path d="M{x} {y}h20" stroke="{colour}" stroke-width="2"/><text x="{}" y="{}">{name}</text>"#,
                x + 26.0,
                y + 4.0
            );
        }
        svg + "</svg>\n"
    }

    fn ticks(&self, low: f64, high: f64) -> Vec<f64> {
        match self.log_x {
            true => self.lines[0].1.iter().map(|it| it.0).collect(),
            false => (0..=5).map(|step| low + (high - low) * f64::from(step) / 5.0).collect(),
        }
    }
}

/// The next round number.
fn nice(value: f64) -> f64 {
    let ten = 10_f64.powf(value.max(1e-9).log10().floor());
    let factors = [1.0, 1.2, 1.6, 2.0, 2.4, 3.2, 4.0, 6.0, 8.0, 10.0];
    factors.map(|it| it * ten).into_iter().find(|it| *it >= value).unwrap_or(value)
}

fn number(value: f64) -> String {
    match value {
        0.0 => "0".into(),
        _ if value < 10.0 => {
            let text = format!("{value:.4}");
            text.trim_end_matches('0').trim_end_matches('.').into()
        }
        _ => format!("{value:.0}"),
    }
}
