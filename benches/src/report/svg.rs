//! Charts as inline SVG: no script, no font, no file beside it; prints as it looks.

use std::fmt::Write as _;

/// Size of a chart and of the borders around its plot. **Units**: pixels.
const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 280.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 28.0;
const BOTTOM: f64 = 46.0;
/// Told apart by eyes that see colours differently, too (Okabe and Ito).
const COLOURS: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];

/// How numbers are spread along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scale {
    /// From zero, evenly.
    Linear,
    /// By powers of ten.
    Logarithmic,
}

/// An axis.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    /// With the unit.
    pub(super) label: String,
    /// How numbers are spread.
    pub(super) scale: Scale,
}

impl Axis {
    /// From zero, evenly.
    pub(super) fn linear(label: &str) -> Self {
        Axis { label: label.to_owned(), scale: Scale::Linear }
    }

    /// By powers of ten.
    pub(super) fn logarithmic(label: &str) -> Self {
        Axis { label: label.to_owned(), scale: Scale::Logarithmic }
    }
}

/// A line through points.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// For the legend.
    pub(super) name: String,
    /// In ascending order of the first number.
    pub(super) points: Vec<(f64, f64)>,
    /// Whether the points themselves are marked.
    pub(super) dots: bool,
}

/// A mark across the whole plot at one place of the first axis.
#[derive(Clone, Debug)]
pub(super) struct Mark {
    /// Where.
    pub(super) at: f64,
    /// What.
    pub(super) label: String,
}

/// Lines over two axes.
pub(super) fn lines(x: &Axis, y: &Axis, lines: &[Line], marks: &[Mark]) -> String {
    let points = || lines.iter().flat_map(|line| line.points.iter());
    let across = Span::of(x.scale, points().map(|point| point.0).chain(marks.iter().map(|mark| mark.at)));
    let up = Span::of(y.scale, points().map(|point| point.1));
    let place_x = |value: f64| LEFT + across.share(value) * (WIDTH - LEFT - RIGHT);
    let place_y = |value: f64| HEIGHT - BOTTOM - up.share(value) * (HEIGHT - TOP - BOTTOM);
    let mut svg = open(&format!("{} against {}", y.label, x.label), HEIGHT);
    for tick in across.ticks() {
        let at = place_x(tick);
        line(&mut svg, (at, TOP), (at, HEIGHT - BOTTOM), "grid");
        text(&mut svg, (at, HEIGHT - BOTTOM + 16.0), "middle", &number(tick));
    }
    for tick in up.ticks() {
        let at = place_y(tick);
        line(&mut svg, (LEFT, at), (WIDTH - RIGHT, at), "grid");
        text(&mut svg, (LEFT - 6.0, at + 4.0), "end", &number(tick));
    }
    text(&mut svg, ((LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 10.0), "middle", &x.label);
    text(&mut svg, (LEFT, 14.0), "start", &y.label);
    for mark in marks {
        let at = place_x(mark.at);
        line(&mut svg, (at, TOP), (at, HEIGHT - BOTTOM), "mark");
        text(&mut svg, (at + 4.0, TOP + 12.0), "start", &mark.label);
    }
    let mut legend = WIDTH - RIGHT;
    for (index, one) in lines.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        let place = |(a, b): &(f64, f64)| format!("{:.1},{:.1}", place_x(*a), place_y(*b));
        let path: Vec<String> = one.points.iter().map(place).collect();
        let _ = write!(
            svg,
            r#"<polyline fill="none" stroke="{colour}" stroke-width="1.8" points="{}"/>"#,
            path.join(" ")
        );
        for (a, b) in one.points.iter().filter(|_| one.dots) {
            let _ = write!(
                svg,
                r#"<circle cx="{:.1}" cy="{:.1}" r="3" fill="{colour}"/>"#,
                place_x(*a),
                place_y(*b)
            );
        }
        legend = entry(&mut svg, legend, colour, &one.name);
    }
    svg + "</svg>"
}

/// Bars of parts laid end to end, a row each.
pub(super) fn stacked(label: &str, rows: &[(String, Vec<(String, f64)>)]) -> String {
    const ROW: f64 = 34.0;
    const NAMES: f64 = 170.0;
    let height = TOP + ROW * rows.len() as f64 + BOTTOM;
    let longest = rows.iter().map(|(_, parts)| parts.iter().map(|part| part.1).sum::<f64>());
    let span = Span::of(Scale::Linear, longest);
    let place = |value: f64| NAMES + span.share(value) * (WIDTH - NAMES - RIGHT);
    let mut svg = open(label, height);
    for tick in span.ticks() {
        line(&mut svg, (place(tick), TOP), (place(tick), height - BOTTOM), "grid");
        text(&mut svg, (place(tick), height - BOTTOM + 16.0), "middle", &number(tick));
    }
    text(&mut svg, ((NAMES + WIDTH - RIGHT) / 2.0, height - 10.0), "middle", label);
    let mut names: Vec<&str> = Vec::new();
    for (index, (name, parts)) in rows.iter().enumerate() {
        let top = TOP + ROW * index as f64 + 6.0;
        text(&mut svg, (NAMES - 8.0, top + 15.0), "end", name);
        let mut from = 0.0;
        for (part, value) in parts {
            let kind = names.iter().position(|known| known == part).unwrap_or_else(|| {
                names.push(part);
                names.len() - 1
            });
            let (left, right) = (place(from), place(from + value));
            let _ = write!(
                svg,
                r#"<rect x="{left:.1}" y="{top:.1}" width="{:.1}" height="22" fill="{}"><title>{}: {}</title></rect>"#,
                right - left,
                COLOURS[kind % COLOURS.len()],
                escape(part),
                number(*value)
            );
            from += value;
        }
    }
    let mut legend = WIDTH - RIGHT;
    for (kind, name) in names.iter().enumerate() {
        legend = entry(&mut svg, legend, COLOURS[kind % COLOURS.len()], name);
    }
    svg + "</svg>"
}

/// From where to where an axis goes.
struct Span {
    scale: Scale,
    low: f64,
    high: f64,
}

impl Span {
    fn of(scale: Scale, values: impl Iterator<Item = f64>) -> Self {
        let usable = values.filter(|value| value.is_finite() && (scale == Scale::Linear || *value > 0.0));
        let (low, high) = usable.fold((f64::MAX, f64::MIN), |(low, high), v| (low.min(v), high.max(v)));
        match scale {
            Scale::Linear => {
                let step = step(high.max(1e-9));
                Span { scale, low: 0.0, high: (high.max(1e-9) / step).ceil() * step }
            }
            Scale::Logarithmic if low > high => Span { scale, low: 1.0, high: 10.0 },
            Scale::Logarithmic => {
                // A power of ten itself is an end, however it was rounded.
                let high = (high.log10() - 1e-6).ceil();
                let (low, high) = (10_f64.powf(low.log10().floor()), 10_f64.powf(high));
                Span { scale, low, high: if high > low { high } else { low * 10.0 } }
            }
        }
    }

    fn share(&self, value: f64) -> f64 {
        let share = match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Logarithmic => (value.max(self.low) / self.low).log10() / (self.high / self.low).log10(),
        };
        share.clamp(0.0, 1.0)
    }

    fn ticks(&self) -> Vec<f64> {
        match self.scale {
            Scale::Linear => {
                let step = step(self.high);
                let ticks = std::iter::successors(Some(0.0), |tick| Some(tick + step));
                ticks.take_while(|tick| *tick < self.high + step / 2.0).collect()
            }
            Scale::Logarithmic => {
                let ticks = std::iter::successors(Some(self.low), |tick| Some(tick * 10.0));
                ticks.take_while(|tick| *tick < self.high * 2.0).collect()
            }
        }
    }
}

/// A round distance of ticks, four to ten of which reach `high`.
fn step(high: f64) -> f64 {
    let power = 10_f64.powf(high.log10().floor());
    match high / power {
        leading if leading > 5.0 => power,
        leading if leading > 2.0 => power / 2.0,
        _ => power / 5.0,
    }
}

/// A number as people write it.
pub(super) fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 10_000.0 => {
            let text = format!("{value:.0}");
            let digits = text.trim_start_matches('-').len();
            let spaced = text.chars().enumerate().map(|(at, digit)| {
                let left = text.len() - at;
                if left < digits && left.is_multiple_of(3) { format!(",{digit}") } else { digit.to_string() }
            });
            spaced.collect()
        }
        size if size >= 100.0 || value.fract() == 0.0 => format!("{value:.0}"),
        size if size >= 1.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}

fn open(title: &str, height: f64) -> String {
    format!(
        r#"<svg viewBox="0 0 {WIDTH} {height}" role="img" xmlns="http://www.w3.org/2000/svg"><title>{}</title>"#,
        escape(title)
    )
}

fn line(svg: &mut String, from: (f64, f64), to: (f64, f64), class: &str) {
    let ((a, b), (c, d)) = (from, to);
    let _ = write!(svg, r#"<line class="{class}" x1="{a:.1}" y1="{b:.1}" x2="{c:.1}" y2="{d:.1}"/>"#);
}

fn text(svg: &mut String, (x, y): (f64, f64), anchor: &str, words: &str) {
    let _ = write!(svg, r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{}</text>"#, escape(words));
}

/// One entry of a legend, right to left.
///
/// **Returns** where the next one ends.
fn entry(svg: &mut String, right: f64, colour: &str, name: &str) -> f64 {
    let left = right - 7.0 * name.chars().count() as f64 - 18.0;
    let _ = write!(svg, r#"<rect x="{left:.1}" y="6" width="10" height="10" fill="{colour}"/>"#);
    text(svg, (left + 14.0, 15.0), "start", name);
    left - 8.0
}

/// Text between tags.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_their_thousands_apart() {
        let check = |value: f64, expected: &str| assert_eq!(number(value), expected);
        check(0.0, "0");
        check(0.25, "0.250");
        check(12.34, "12.3");
        check(2_035.4, "2035");
        check(12_035.0, "12,035");
        check(1_234_567.0, "1,234,567");
    }

    #[test]
    fn axes_hold_all_values_between_round_ends() {
        let span = Span::of(Scale::Linear, [3.0, 1_734.0].into_iter());
        assert_eq!((span.low, span.high), (0.0, 1_800.0));
        assert_eq!(span.ticks().last(), Some(&1_800.0));
        let span = Span::of(Scale::Logarithmic, [0.0, 4.2, 870.0].into_iter());
        assert_eq!((span.low, span.high), (1.0, 1_000.0));
        assert_eq!(span.ticks(), [1.0, 10.0, 100.0, 1_000.0]);
        assert!((span.share(10.0) - 1.0 / 3.0).abs() < 1e-9);
    }

    #[test]
    fn text_of_others_cannot_open_tags() {
        let chart = lines(
            &Axis::linear("<x>"),
            &Axis::logarithmic("y & z"),
            &[Line { name: "<script>".into(), points: vec![(1.0, 2.0)], dots: true }],
            &[Mark { at: 1.0, label: "\"".into() }],
        );
        assert!(!chart.contains("<script>") && !chart.contains("<x>") && chart.contains("y &amp; z"));
    }
}
