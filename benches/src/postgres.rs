//! What a bank would use instead: PostgreSQL with two synchronous standbys, the same transfers, on the same machine.
//!
//! Debian's package, clusters of our own in a temporary folder, driven by its own `pgbench` over Unix sockets. A transfer
//! is one call of a function that knows an idempotency key, checks the balance and moves the money; it is answered when
//! both standbys have synced it to their disks.

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;
use std::{fmt, fs};

use anyhow::{Context, Result, bail};
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use crate::results::{Latency, Results};

/// Where Debian installs the servers' programs, a folder for each version.
const INSTALLED: &str = "/usr/lib/postgresql";
/// Clients with one transfer under way each.
const CLIENTS: usize = 64;
/// The user that the clusters run as where we are root, whom PostgreSQL refuses.
const USER: &str = "postgres";
/// The primary, then the standbys.
const NAMES: [&str; 3] = ["primary", "standby1", "standby2"];
/// What all three are told. The rest is PostgreSQL's default: `fsync` and `full_page_writes` are on.
const SETTINGS: &str = "listen_addresses = ''\nmax_connections = 100\nshared_buffers = 256MB\nmax_wal_size = 4GB\n\
    wal_level = replica\nhot_standby = on\nsynchronous_commit = on\n";
/// What the primary waits for. It is told when both standbys are there.
const BOTH: &str = "FIRST 2 (standby1, standby2)";

/// Tables and the transfer. Rows are locked in the order of their numbers, so that transfers never wait in a circle.
const SCHEMA: &str = "
CREATE TABLE accounts (id int PRIMARY KEY, balance bigint NOT NULL CHECK (balance >= 0));
CREATE TABLE transfers (key bigint PRIMARY KEY, payer int NOT NULL, payee int NOT NULL, amount bigint NOT NULL);
INSERT INTO accounts SELECT id, 1000000000000 FROM generate_series(1, :accounts) AS id;
CREATE FUNCTION transfer(k bigint, a int, b int, amt bigint) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO transfers VALUES (k, a, b, amt) ON CONFLICT DO NOTHING;
  IF NOT FOUND THEN RETURN false; END IF;
  PERFORM 1 FROM accounts WHERE id IN (a, b) ORDER BY id FOR UPDATE;
  UPDATE accounts SET balance = balance - amt WHERE id = a AND balance >= amt;
  IF NOT FOUND THEN RAISE EXCEPTION 'underfunded'; END IF;
  UPDATE accounts SET balance = balance + amt WHERE id = b;
  RETURN true;
END $$;
ANALYZE;
";

/// One transfer, for pgbench.
const TRANSFER: &str = "\\set payer random(1, :accounts)
\\set payee 1 + (:payer - 1 + random(1, :accounts - 1)) % :accounts
\\set key random(1, 9223372036854775807)
SELECT transfer(:key, :payer, :payee, 100);
";

/// What was measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PostgresResults {
    /// Transfers a second.
    pub postgres_tps: f64,
    /// Of a transfer, from sending to the answer.
    pub postgres_latency_ms: Latency,
    /// Microseconds of processor time a transfer: three clusters and pgbench.
    pub postgres_cpu_us_per_tx: f64,
    /// As the server says it.
    pub postgres_version: String,
    /// How it was set up.
    pub postgres_setup: String,
}

/// Ours and PostgreSQL in one run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Comparison {
    /// Ours.
    #[serde(flatten)]
    pub ours: Results,
    /// PostgreSQL's.
    #[serde(flatten)]
    pub postgres: PostgresResults,
    /// Settled a second, ours for each of PostgreSQL's.
    pub ratio: f64,
}

impl Comparison {
    /// Puts both side by side.
    pub fn of(ours: Results, postgres: PostgresResults) -> Self {
        let ratio = ours.settled_tps / postgres.postgres_tps.max(f64::MIN_POSITIVE);
        Comparison { ours, postgres, ratio }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let theirs = &self.postgres;
        let mut row = |name: &str, tps: f64, latency: &Latency, cpu: f64| {
            let (p50, p99) = (latency.p50, latency.p99);
            writeln!(
                f,
                "{name:<34} {tps:>8.0}/s  p50 {p50:>7.1} ms  p99 {p99:>7.1} ms  {cpu:>6.0} us of processor time each"
            )
        };
        let carat = format!("carat, {} validators", self.ours.validators);
        row(&carat, self.ours.settled_tps, &self.ours.latency_ms, self.ours.cpu_us_per_tx)?;
        let name = format!("PostgreSQL {}, 2 sync standbys", theirs.postgres_version);
        row(&name, theirs.postgres_tps, &theirs.postgres_latency_ms, theirs.postgres_cpu_us_per_tx)?;
        write!(f, "ratio {:.2}", self.ratio)
    }
}

/// Three clusters that run. They end when this is dropped.
#[derive(Debug)]
pub struct Postgres {
    programs: PathBuf,
    folder: TempDir,
    user: Option<(u32, u32)>,
    accounts: usize,
}

impl Postgres {
    /// Makes and starts a primary and its two standbys.
    ///
    /// **Errors**: PostgreSQL is not installed, or does not start.
    pub fn start(accounts: usize) -> Result<Self> {
        let programs = installed()?;
        let user = if rustix::process::getuid().is_root() { Some(ids_of(USER)?) } else { None };
        let folder = tempfile::Builder::new().prefix("carat-pg-").tempdir()?;
        if let Some((uid, gid)) = user {
            chown(folder.path(), Some(uid), Some(gid))?;
        }
        let postgres = Postgres { programs, folder, user, accounts };
        let primary = postgres.data(NAMES[0]);
        postgres.call("initdb", &["-A", "trust", "-U", "bench", "-D", text(&primary)?])?;
        postgres.settle_in(NAMES[0])?;
        for name in &NAMES[1..] {
            let data = postgres.data(name);
            let socket = postgres.folder.path().join(NAMES[0]);
            let source = format!("host={} user=bench application_name={name}", socket.display());
            postgres.call("pg_basebackup", &["-R", "-D", text(&data)?, "-d", &source])?;
            postgres.settle_in(name)?;
        }
        postgres.query(&format!("ALTER SYSTEM SET synchronous_standby_names = '{BOTH}'"))?;
        postgres.query("SELECT pg_reload_conf()")?;
        postgres.await_standbys()?;
        let schema = SCHEMA.replace(":accounts", &postgres.accounts.to_string());
        postgres.query(&schema)?;
        Ok(postgres)
    }

    /// Transfers for `duration`, after a `warm_up` that is not counted, and checks the books.
    ///
    /// **Errors**: a transfer failed, or money came or went.
    pub fn measure(&self, warm_up: Duration, duration: Duration) -> Result<PostgresResults> {
        let script = self.folder.path().join("transfer.sql");
        fs::write(&script, TRANSFER)?;
        let logs = self.folder.path().join("log");
        self.make_folder(&logs)?;
        if !warm_up.is_zero() {
            self.pgbench(&script, warm_up, None)?;
        }
        let before: u64 = self.count("SELECT count(*) FROM transfers")?;
        let used = self.cpu_ticks();
        let said = self.pgbench(&script, duration, Some(&logs))?;
        let used = (self.cpu_ticks() - used) / TICKS;
        let made = self.count("SELECT count(*) FROM transfers")? - before;
        let tps = figure(&said, "tps = ").context("pgbench says no tps")?;
        self.check_books()?;
        Ok(PostgresResults {
            postgres_tps: tps,
            postgres_latency_ms: Latency::of(&latencies(&logs)?),
            postgres_cpu_us_per_tx: used * 1e6 / made.max(1) as f64,
            postgres_version: self.query("SHOW server_version")?.trim().to_owned(),
            postgres_setup: format!(
                "{CLIENTS} clients over Unix sockets, {} accounts, two synchronous standbys ({BOTH}), {}",
                self.accounts,
                SETTINGS.trim().replace('\n', ", ")
            ),
        })
    }

    fn pgbench(&self, script: &Path, duration: Duration, logs: Option<&Path>) -> Result<String> {
        let seconds = duration.as_secs().max(1).to_string();
        let accounts = format!("accounts={}", self.accounts);
        let clients = CLIENTS.to_string();
        let mut arguments = vec!["-n", "-c", &clients, "-j", "2", "-M", "prepared", "-T", &seconds];
        arguments.extend(["-D", &accounts, "-f", text(script)?]);
        let prefix = logs.map(|logs| logs.join("latency").display().to_string());
        if let Some(prefix) = &prefix {
            arguments.extend(["-l", "--log-prefix", prefix]);
        }
        let socket = self.folder.path().join(NAMES[0]);
        arguments.extend(["-h", text(&socket)?, "-U", "bench", "postgres"]);
        let said = self.call("pgbench", &arguments)?;
        match figure(&said, "number of failed transactions: ") {
            Some(failed) if failed > 0.0 => bail!("{failed} transfers failed: {said}"),
            _ => Ok(said),
        }
    }

    /// Nothing came or went, both standbys are in step, and every transfer moved what it says.
    fn check_books(&self) -> Result<()> {
        let sum = self.count("SELECT sum(balance) FROM accounts")?;
        let expected = self.accounts as u64 * 1_000_000_000_000;
        if sum != expected {
            bail!("PostgreSQL's accounts hold {sum}, expected {expected}");
        }
        let in_step = self.standbys()?;
        if in_step != 2 { bail!("{in_step} standbys are synchronous, expected 2") } else { Ok(()) }
    }

    fn await_standbys(&self) -> Result<()> {
        let began = std::time::Instant::now();
        while self.standbys()? < 2 {
            if began.elapsed() > START_PATIENCE {
                bail!("the standbys are not synchronous after {START_PATIENCE:?}");
            }
            #[expect(
                clippy::disallowed_methods,
                reason = "another program's state, of which it tells nobody"
            )]
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    fn standbys(&self) -> Result<u64> {
        self.count("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'")
    }

    fn count(&self, query: &str) -> Result<u64> {
        let said = self.query(query)?;
        said.trim().parse().with_context(|| format!("{query} gives {said:?}"))
    }

    fn query(&self, query: &str) -> Result<String> {
        let socket = self.folder.path().join(NAMES[0]);
        self.call(
            "psql",
            &["-X", "-A", "-t", "-q", "-h", text(&socket)?, "-U", "bench", "-c", query, "postgres"],
        )
    }

    /// Sets a cluster up to listen in a folder of its name, and starts it.
    fn settle_in(&self, name: &str) -> Result<()> {
        let data = self.data(name);
        let socket = self.folder.path().join(name);
        self.make_folder(&socket)?;
        let settings = format!("{SETTINGS}unix_socket_directories = '{}'\n", socket.display());
        // A standby's copy has the primary's lines already: the last one counts.
        let path = data.join("postgresql.conf");
        let old = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        fs::write(&path, old + &settings)?;
        let log = self.folder.path().join(format!("{name}.log"));
        self.call("pg_ctl", &["-w", "-D", text(&data)?, "-l", text(&log)?, "start"])?;
        Ok(())
    }

    fn make_folder(&self, path: &Path) -> Result<()> {
        fs::create_dir(path)?;
        if let Some((uid, gid)) = self.user {
            chown(path, Some(uid), Some(gid))?;
        }
        Ok(())
    }

    fn data(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}-data"))
    }

    fn call(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let Output { status, stdout, stderr } = self.command(program, arguments).output()?;
        if !status.success() {
            bail!("{program} failed: {}", String::from_utf8_lossy(&stderr).trim());
        }
        Ok(String::from_utf8_lossy(&stdout).into_owned())
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// Processor time that the clusters and the children of ours that have ended used so far.
    fn cpu_ticks(&self) -> f64 {
        let masters: Vec<i32> = NAMES.iter().filter_map(|name| self.pid(name)).collect();
        let ours = i32::try_from(std::process::id()).unwrap_or_default();
        let mut ticks = Stat::of(ours).map_or(0.0, |stat| stat.ended_children);
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            let Some(stat) = Stat::of(pid) else { continue };
            if masters.contains(&pid) {
                ticks += stat.own + stat.ended_children;
            } else if masters.contains(&stat.parent) {
                ticks += stat.own;
            }
        }
        ticks
    }

    fn pid(&self, name: &str) -> Option<i32> {
        fs::read_to_string(self.data(name).join("postmaster.pid")).ok()?.lines().next()?.parse().ok()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        for name in NAMES.iter().rev() {
            let data = self.data(name);
            if let (true, Ok(data)) = (self.pid(name).is_some(), text(&data)) {
                // There is nothing in it that anybody wants to keep.
                let _ = self.call("pg_ctl", &["-m", "immediate", "-w", "-D", data, "stop"]);
            }
        }
    }
}

/// How long a cluster may take to be there.
const START_PATIENCE: Duration = Duration::from_secs(30);
/// Ticks of the process table a second.
const TICKS: f64 = 100.0;

/// Processor time of a process, in ticks. **Source**: proc(5).
struct Stat {
    parent: i32,
    own: f64,
    ended_children: f64,
}

impl Stat {
    fn of(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        // The first of these is field 3; ppid is field 4, utime to cstime 14 to 17.
        let ticks = |field: usize| fields.get(field - 3)?.parse::<f64>().ok();
        Some(Stat {
            parent: fields.get(1)?.parse().ok()?,
            own: ticks(14)? + ticks(15)?,
            ended_children: ticks(16)? + ticks(17)?,
        })
    }
}

/// The folder of the newest installed version's programs.
///
/// **Errors**: there is none; the text says how to install it.
pub fn installed() -> Result<PathBuf> {
    let versions = fs::read_dir(INSTALLED).into_iter().flatten().flatten().map(|entry| entry.path());
    let versions = versions.map(|path| path.join("bin")).filter(|programs| {
        ["initdb", "pg_ctl", "pg_basebackup", "pgbench", "psql"]
            .iter()
            .all(|name| programs.join(name).is_file())
    });
    let number =
        |path: &PathBuf| path.parent().and_then(|path| path.file_name()?.to_str()?.parse::<u32>().ok());
    versions.max_by_key(number).with_context(|| {
        format!(
            "PostgreSQL is not installed: no initdb and pgbench below {INSTALLED} (hint: apt-get update && apt-get \
             install -y --no-install-recommends postgresql)"
        )
    })
}

/// User and group of an account of this machine.
fn ids_of(user: &str) -> Result<(u32, u32)> {
    let accounts = fs::read_to_string("/etc/passwd").context("/etc/passwd")?;
    let of_user = |line: &str| {
        let fields: Vec<&str> = line.split(':').collect();
        (fields.first() == Some(&user))
            .then_some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?))
    };
    accounts.lines().find_map(of_user).with_context(|| {
        format!("there is no user {user:?} to run PostgreSQL as, which root may not (hint: Debian's package makes it)")
    })
}

/// The number behind `label` in what a program said.
fn figure(said: &str, label: &str) -> Option<f64> {
    let rest = said.lines().find_map(|line| line.strip_prefix(label))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// The latencies in pgbench's logs: the third column, in microseconds.
fn latencies(folder: &Path) -> Result<Histogram<u64>> {
    let mut all = Histogram::new_with_bounds(1, 120_000_000, 3)?;
    for entry in fs::read_dir(folder)? {
        let log = fs::read_to_string(entry?.path())?;
        for latency in log.lines().filter_map(|line| line.split(' ').nth(2)?.parse().ok()) {
            all.saturating_record(latency);
        }
    }
    Ok(all)
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("{} is not valid text", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_found_in_what_pgbench_says() {
        let said =
            "transaction type: t.sql\nnumber of failed transactions: 0 (0.000%)\ntps = 5930.1 (without)\n";
        assert_eq!(figure(said, "tps = "), Some(5930.1));
        assert_eq!(figure(said, "number of failed transactions: "), Some(0.0));
        assert_eq!(figure(said, "latency"), None);
    }

    #[test]
    fn absent_user_is_named() {
        let error = ids_of("nobody-of-this-name").expect_err("absent").to_string();
        assert!(error.contains("nobody-of-this-name") && error.contains("hint:"), "{error}");
    }
}
