//! One page of results: a self-contained HTML file with inline SVG, and the same numbers as JSON and CSV beside it.

mod svg;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::faults::FaultResults;
use crate::postgres::PostgresResults;
use crate::resources::GENERATOR;
use crate::results::{LoadResults, Machine, Results};
use crate::series::{MemberResults, Series};
use crate::sweep::Sweep;
use svg::{Axis, Line, Mark, escape, number};

/// Names of the files in the report's folder.
const HTML: &str = "report.html";
const JSON: &str = "report.json";
const CSV: &str = "report.csv";

/// Looks the same on paper, light and dark.
const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}\
    h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2.2rem}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;font-size:.85rem}\
    th,td{text-align:right;padding:.25rem .5rem;border-bottom:1px solid #ddd}th:first-child,td:first-child{text-align:left}\
    .wide{overflow-x:auto}svg{width:100%;height:auto;font:11px system-ui,sans-serif;fill:#333}.grid{stroke:#e4e4e4}\
    .mark{stroke:#d55e00;stroke-dasharray:4 3}p.note{color:#555;font-size:.85rem}@media print{h2{break-after:avoid}svg,table{break-inside:avoid}}";

/// The results that a report is made of.
#[derive(Debug, Default)]
pub struct Report {
    /// As they were read.
    inputs: Vec<Value>,
    runs: Vec<(String, Results, Option<PostgresResults>)>,
    sweeps: Vec<(String, Sweep)>,
    faults: Vec<(String, FaultResults)>,
}

impl Report {
    /// Reads what the other commands wrote.
    ///
    /// **Errors**: a file cannot be read, or holds no results.
    pub fn read(files: &[PathBuf]) -> Result<Self> {
        if files.is_empty() {
            bail!("a report of nothing (hint: name files that --json wrote)");
        }
        let mut report = Report::default();
        for file in files {
            let name = file.file_stem().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
            let text = std::fs::read(file).with_context(|| format!("read {}", file.display()))?;
            let value: Value = serde_json::from_slice(&text).with_context(|| file.display().to_string())?;
            report.add(name, &value).with_context(|| format!("{} holds no results", file.display()))?;
            report.inputs.push(value);
        }
        Ok(report)
    }

    fn add(&mut self, name: String, value: &Value) -> Result<()> {
        if value.get("points").is_some() {
            self.sweeps.push((name, serde_json::from_value(value.clone())?));
        } else if value.get("members").is_some() {
            let series: Series = serde_json::from_value(value.clone())?;
            let named = |member: MemberResults| (format!("{name}: {}", member.name), member.results, None);
            self.runs.extend(series.members.into_iter().map(named));
        } else if value.get("fault").is_some() {
            self.faults.push((name, serde_json::from_value(value.clone())?));
        } else {
            let postgres = serde_json::from_value(value.clone()).ok();
            self.runs.push((name, serde_json::from_value(value.clone())?, postgres));
        }
        Ok(())
    }

    /// Writes the three files into `folder`.
    ///
    /// **Returns** the page.
    ///
    /// **Errors**: they cannot be written.
    pub fn write(&self, folder: &Path) -> Result<PathBuf> {
        std::fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
        let write = |name: &str, text: String| {
            let path = folder.join(name);
            std::fs::write(&path, text).with_context(|| format!("write {}", path.display())).map(|()| path)
        };
        write(JSON, serde_json::to_string_pretty(&self.inputs)?)?;
        write(CSV, self.csv())?;
        write(HTML, self.html())
    }

    /// All loads with their names.
    fn loads(&self) -> Vec<(String, &LoadResults)> {
        let mut loads = Vec::new();
        for (name, run, _) in &self.runs {
            loads.extend(run.closed_loop.iter().map(|load| (format!("{name}, closed"), load)));
            loads.push((format!("{name}, open"), &run.open_loop));
        }
        for (name, fault) in &self.faults {
            loads.push((format!("{name}, clean"), &fault.clean));
            loads.push((format!("{name}, {}", fault.fault), &fault.faulted));
        }
        loads
    }

    fn csv(&self) -> String {
        let mut csv =
            String::from("load,second,offered,settled,p50_ms,p99_ms,cpu_seconds,resident_bytes_max\n");
        for (name, load) in self.loads() {
            for point in &load.series {
                let cpu: f64 = point.cpu_seconds.values().sum();
                let _ = writeln!(
                    csv,
                    "\"{}\",{},{},{},{},{},{cpu:.2},{}",
                    name.replace('"', "\"\""),
                    point.second,
                    point.offered,
                    point.settled,
                    point.p50_ms,
                    point.p99_ms,
                    point.resident_bytes_max
                );
            }
        }
        csv
    }

    fn html(&self) -> String {
        let mut html = format!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
             content=\"width=device-width\"><title>Carat: measurements</title><style>{STYLE}</style></head><body>\
             <h1>Carat: measurements</h1>"
        );
        html.push_str(&self.about());
        html.push_str(&self.summary());
        for (_, fault) in &self.faults {
            html.push_str(&fault_section(fault));
        }
        for (name, sweep) in &self.sweeps {
            html.push_str(&sweep_section(name, sweep));
        }
        let loads = self.loads();
        if !loads.is_empty() {
            html.push_str(&rate_section(&loads));
            html.push_str(&latency_section(&loads));
            html.push_str(&phase_section(&loads));
            html.push_str(&cost_section(&loads));
        }
        html + "</body></html>\n"
    }

    fn about(&self) -> String {
        let machines = self.runs.iter().map(|(_, run, _)| &run.machine);
        let machines = machines
            .chain(self.sweeps.iter().map(|(_, sweep)| &sweep.machine))
            .chain(self.faults.iter().map(|(_, fault)| &fault.machine));
        let text = |machine: &Machine| {
            format!(
                "{} x {}, commit {}, load average before {}",
                machine.processors,
                machine.processor,
                machine.commit.as_deref().unwrap_or("unknown"),
                machine.load_average
            )
        };
        let mut texts: Vec<String> = machines.map(text).collect();
        texts.dedup();
        format!(
            "<p class=\"note\">{}.<br>Validators, load generator and disks share one machine and its loopback: no data \
             centre. Latency: from the intended send to the verified finality receipt. Processor time: user and system, of \
             all processes, in the counted time.</p>",
            escape(&texts.join("; "))
        )
    }

    fn summary(&self) -> String {
        let mut rows = String::new();
        for (name, load) in self.loads() {
            rows.push_str(&summary_row(&name, load));
        }
        for (_, run, postgres) in &self.runs {
            let Some(theirs) = postgres else { continue };
            let latency = theirs.postgres_latency_ms;
            let ratio = run.settled_tps / theirs.postgres_tps.max(f64::MIN_POSITIVE);
            let _ = write!(
                rows,
                "<tr><td>PostgreSQL {} with two synchronous standbys (ours settles {ratio:.2} for each of its)</td><td></td>\
                 <td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>0</td><td></td><td>{}</td></tr>",
                escape(&theirs.postgres_version),
                number(theirs.postgres_tps.round()),
                number(latency.p50),
                number(latency.p99),
                number(latency.p999),
                number(theirs.postgres_cpu_us_per_tx.round())
            );
        }
        if rows.is_empty() {
            return String::new();
        }
        format!(
            "<h2>In one table</h2><div class=\"wide\"><table><tr><th>load</th><th>offered/s</th><th>settled/s</th><th>p50 ms</th>\
             <th>p99 ms</th><th>p99.9 ms</th><th>errors</th><th>503</th><th>µs processor a transaction</th></tr>{rows}</table></div>"
        )
    }
}

fn summary_row(name: &str, load: &LoadResults) -> String {
    let latency = load.latency_ms;
    format!(
        "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
        escape(name),
        number(load.offered_tps.round()),
        number(load.settled_tps.round()),
        number(latency.p50),
        number(latency.p99),
        number(latency.p999),
        load.errors,
        load.refused_503,
        number(load.used.cpu_us_per_tx.round())
    )
}

fn fault_section(fault: &FaultResults) -> String {
    format!(
        "<h2>Fault: {}</h2><p>{}. It settles {:.1} % of the clean load's transactions a second.</p>",
        escape(&fault.fault),
        escape(&fault.description),
        fault.settled_share * 100.0
    )
}

fn sweep_section(name: &str, sweep: &Sweep) -> String {
    let line = |name: &str, value: fn(&crate::sweep::SweepPoint) -> f64| Line {
        name: name.to_owned(),
        points: sweep.points.iter().map(|point| (point.offered_tps, value(point))).collect(),
        dots: true,
    };
    let offered = line("offered", |point| point.offered_tps);
    let settled = line("settled", |point| point.settled_tps);
    let p50 = line("p50", |point| point.latency_ms.p50);
    let p99 = line("p99", |point| point.latency_ms.p99);
    let knee: Vec<Mark> = sweep
        .knee_tps
        .iter()
        .map(|at| Mark { at: *at, label: format!("knee: {}/s", number(at.round())) })
        .collect();
    let x = Axis::linear("offered a second");
    format!(
        "<h2>Saturation: {}</h2>{}{}",
        escape(name),
        svg::lines(&x, &Axis::linear("settled a second"), &[settled, offered], &knee),
        svg::lines(&x, &Axis::logarithmic("latency, ms"), &[p50, p99], &knee)
    )
}

fn rate_section(loads: &[(String, &LoadResults)]) -> String {
    let mut html = String::from("<h2>Rate over time</h2>");
    for (name, load) in loads {
        let line = |kind: &str, value: fn(&crate::results::Point) -> u64| Line {
            name: kind.to_owned(),
            points: load.series.iter().map(|point| (point.second as f64, value(point) as f64)).collect(),
            dots: false,
        };
        let marks: Vec<Mark> =
            load.events.iter().map(|event| Mark { at: event.second, label: event.what.clone() }).collect();
        let lines = [line("settled", |point| point.settled), line("offered", |point| point.offered)];
        let _ = write!(html, "<p>{}</p>", escape(name));
        html.push_str(&svg::lines(
            &Axis::linear("seconds"),
            &Axis::linear("transactions a second"),
            &lines,
            &marks,
        ));
    }
    html
}

fn latency_section(loads: &[(String, &LoadResults)]) -> String {
    // Each nine of the share is as wide as the one before: the tail is what matters.
    let place = |share: f64| 1.0 / (1.0 - share.min(0.9999));
    let lines: Vec<Line> = loads
        .iter()
        .map(|(name, load)| Line {
            name: name.clone(),
            points: load.distribution_ms.iter().map(|(share, ms)| (place(*share), *ms)).collect(),
            dots: false,
        })
        .collect();
    let x = Axis::logarithmic(
        "one of so many transactions took longer (1: the fastest, 2: median, 100: p99, 1,000: p99.9)",
    );
    format!("<h2>Latency</h2>{}", svg::lines(&x, &Axis::logarithmic("latency, ms"), &lines, &[]))
}

fn phase_section(loads: &[(String, &LoadResults)]) -> String {
    let row = |(name, load): &(String, &LoadResults)| {
        let known: f64 = load.phases.iter().map(|phase| phase.ms).sum();
        let mut parts: Vec<(String, f64)> =
            load.phases.iter().map(|phase| (phase.name.clone(), phase.ms)).collect();
        parts.insert(0, ("waiting and ways".into(), (load.latency_ms.p50 - known).max(0.0)));
        (name.clone(), parts)
    };
    let rows: Vec<_> = loads.iter().filter(|(_, load)| !load.phases.is_empty()).map(row).collect();
    if rows.is_empty() {
        return String::new();
    }
    format!(
        "<h2>Where the time goes</h2><p class=\"note\">Medians of recent blocks as the first validator saw them: from the \
         proposal to finality (ordering), to the written block (execution), to f+1 seals (sealing). What is left of the median \
         latency is waiting before the proposal, and the way to the node and back.</p>{}",
        svg::stacked("ms", &rows)
    )
}

fn cost_section(loads: &[(String, &LoadResults)]) -> String {
    let mut rows = String::new();
    let mut bars = Vec::new();
    for (name, load) in loads {
        let used = &load.used;
        let generator = used.generator_cpu_us_per_tx;
        bars.push((
            name.clone(),
            vec![
                ("validators".to_owned(), used.cpu_us_per_tx - generator),
                (GENERATOR.to_owned(), generator),
            ],
        ));
        let _ = write!(
            rows,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            escape(name),
            number(used.cpu_us_per_tx.round()),
            number(used.network_bytes_per_tx.round()),
            number(used.disk_bytes_per_tx.round()),
            number((used.resident_bytes_max as f64 / 1_048_576.0).round())
        );
    }
    format!(
        "<h2>What a transaction costs</h2>{}<div class=\"wide\"><table><tr><th>load</th><th>µs of processor</th><th>bytes \
         between validators</th><th>bytes to disk</th><th>MiB of the largest validator</th></tr>{rows}</table></div>",
        svg::stacked("µs of processor time a settled transaction", &bars)
    )
}
