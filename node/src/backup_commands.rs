//! `carat-node backup`, `carat-node backup verify` and `carat-node restore`: arguments and answers.

use std::path::PathBuf;
use std::time::Instant;

use carat_node::NodeError;
use carat_node::backup::{self, Making};
use carat_storage::store::backup::Report;
use carat_storage::vault::PassphraseSource;
use clap::{Args, Subcommand};

use crate::trusted::Trusted;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Backup {
    #[command(subcommand)]
    verify: Option<Verify>,
    #[command(flatten)]
    create: Create,
}

#[derive(Debug, Args)]
struct Create {
    /// Folder to make; it must not hold a backup
    #[arg(required = true)]
    folder: Option<PathBuf>,
    /// Home folder with node.toml
    #[arg(long, env = "CARAT_HOME", required = true)]
    home: Option<PathBuf>,
    /// Encrypt with the passphrase of --passphrase-file, CARAT_BACKUP_PASSPHRASE or the credential carat-backup-passphrase
    #[arg(long)]
    encrypt: bool,
    /// File with the passphrase, readable by its owner alone
    #[arg(long, requires = "encrypt")]
    passphrase_file: Option<PathBuf>,
    /// Leave the history out; `carat-node rebuild-history` makes it again, by executing all blocks
    #[arg(long)]
    without_history: bool,
    /// Make it although the newest block has no seals that prove it
    #[arg(long)]
    unsealed: bool,
}

#[derive(Debug, Subcommand)]
enum Verify {
    /// Check every block and the state of a backup up to a genesis file; needs no validator and no network
    Verify {
        /// Folder of the backup
        folder: PathBuf,
        #[command(flatten)]
        trusted: Trusted,
        /// File with the passphrase, readable by its owner alone
        #[arg(long)]
        passphrase_file: Option<PathBuf>,
        /// Accept newest blocks without seals, on the word of whoever kept the backup
        #[arg(long)]
        unsealed: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// Folder of the backup
    folder: PathBuf,
    /// Home folder with node.toml; its validator must be stopped, its store moved away, its journal left alone
    #[arg(long, env = "CARAT_HOME")]
    home: PathBuf,
    /// File with the passphrase, readable by its owner alone
    #[arg(long)]
    passphrase_file: Option<PathBuf>,
    /// Accept newest blocks without seals, on the word of whoever kept the backup
    #[arg(long)]
    unsealed: bool,
}

impl Backup {
    pub(crate) fn run(self) -> Result<(), NodeError> {
        match self.verify {
            Some(verify) => verify.run(),
            None => self.create.run(),
        }
    }
}

impl Create {
    #[expect(clippy::print_stdout, reason = "the answer of a command")]
    fn run(self) -> Result<(), NodeError> {
        let begun = Instant::now();
        // clap demands both where no other command is named.
        let (folder, home) = (self.folder.unwrap_or_default(), self.home.unwrap_or_default());
        let source = PassphraseSource::of_backups(self.passphrase_file);
        let passphrase = self.encrypt.then(|| source.demand()).transpose()?;
        let making = Making { passphrase, without_history: self.without_history, unsealed: self.unsealed };
        let bar = crate::progress_bar();
        let written = backup::create(&home, &folder, &making, &mut crate::shown_on(&bar));
        bar.finish_and_clear();
        let written = written?;
        println!("backup       {}", folder.join(backup::FILE).display());
        println!("newest block {}, header {}", written.tip.slot, written.tip.header);
        println!("records      {}", written.records);
        println!("encrypted    {}", if self.encrypt { "AES-256-GCM" } else { "no" });
        println!("content      {}", pace(written.bytes, begun));
        println!("not in it    keys, the secret of the leaves, and the journal: it must never be restored");
        Ok(())
    }
}

impl Verify {
    fn run(self) -> Result<(), NodeError> {
        let Verify::Verify { folder, trusted, passphrase_file, unsealed } = self;
        let begun = Instant::now();
        let genesis = trusted.genesis()?;
        let leaves = trusted.leaves(&genesis)?;
        let passphrase = PassphraseSource::of_backups(passphrase_file).find()?;
        let bar = crate::progress_bar();
        let progress = &mut crate::shown_on(&bar);
        let report = backup::verify(&folder, &genesis, &leaves, passphrase.as_ref(), unsealed, progress);
        bar.finish_and_clear();
        print(&report?, begun);
        Ok(())
    }
}

impl Restore {
    #[expect(clippy::print_stdout, reason = "the answer of a command")]
    pub(crate) fn run(self) -> Result<(), NodeError> {
        let begun = Instant::now();
        let passphrase = PassphraseSource::of_backups(self.passphrase_file).find()?;
        let bar = crate::progress_bar();
        let progress = &mut crate::shown_on(&bar);
        let (home, folder) = (&self.home, &self.folder);
        let restored = backup::restore(home, folder, passphrase.as_ref(), self.unsealed, progress);
        bar.finish_and_clear();
        let restored = restored?;
        print(&restored.report, begun);
        match restored.journal {
            false if !restored.votes => {
                println!("journal      none, as a follower has: start it with carat-node follow")
            }
            true => println!("journal      there, as the node left it: start it, and it catches up"),
            false => println!(
                "journal      missing: this key may have signed, and nobody knows for what, so the node will not start\n\
                 hint: put the node's own journal back if it still exists, never an older copy; else this key must \
                 never sign again, and a validator's node follows without a vote (carat-node follow)"
            ),
        }
        Ok(())
    }
}

#[expect(clippy::print_stdout, reason = "the answer of a command")]
fn print(report: &Report, begun: Instant) {
    println!("newest block {}, header {}", report.tip, report.header);
    match report.last_sealed == report.tip {
        true => println!(
            "proven       by the seals of f+1 validators on the newest block, and every header below it"
        ),
        false => println!(
            "proven       up to block {}; what is above rests on whoever kept it",
            report.last_sealed
        ),
    }
    println!("blocks       {}, {} with seals of their own", report.blocks, report.sealed);
    if report.base > carat_types::Slot(0) {
        println!(
            "base         block {}: the validator fetched its state, and has none of the blocks below",
            report.base
        );
    }
    println!("transactions {}", report.transactions);
    println!("state        {} entries, root {}", report.state_entries, report.state_root);
    println!(
        "history      {} rows, not proven: carat-node rebuild-history makes them again",
        report.history_rows
    );
    println!("encrypted    {}", if report.encrypted { "AES-256-GCM" } else { "no" });
    println!("content      {}", pace(report.bytes, begun));
}

fn pace(bytes: u64, begun: Instant) -> String {
    // For people: what is lost by the rounding does not matter.
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let gigabytes = bytes as f64 / 1e9;
    let seconds = begun.elapsed().as_secs_f64();
    format!("{bytes} bytes in {seconds:.1} s, {:.1} s a GB", seconds / gigabytes.max(1e-9))
}
