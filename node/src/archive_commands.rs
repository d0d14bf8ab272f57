//! `carat-node archive export`, `verify` and `import`: arguments and answers.

use std::path::PathBuf;
use std::time::Instant;

use carat_node::NodeError;
use carat_node::archive::{self, BLOCKS_PER_FILE, Imported, Step};
use carat_storage::vault::PassphraseSource;
use carat_types::Slot;
use clap::{Args, Subcommand};

use crate::trusted::Trusted;

#[derive(Debug, Args)]
pub(crate) struct Archive {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write the blocks that the folder has not yet, up to the newest sealed one; the validator may run
    Export {
        /// Folder of the archives; what is there stays
        folder: PathBuf,
        /// Home folder with node.toml
        #[arg(long, env = "CARAT_HOME")]
        home: PathBuf,
        /// Blocks of one file, at most
        #[arg(long, default_value_t = BLOCKS_PER_FILE, value_parser = clap::value_parser!(u64).range(1..))]
        blocks_per_file: u64,
        /// Encrypt with the passphrase of --passphrase-file, CARAT_BACKUP_PASSPHRASE or the credential carat-backup-passphrase
        #[arg(long)]
        encrypt: bool,
        /// File with the passphrase, readable by its owner alone
        #[arg(long, requires = "encrypt")]
        passphrase_file: Option<PathBuf>,
    },
    /// Check every block, outcome and seal of a folder of archives up to a genesis file; needs no validator and no network
    Verify {
        /// Folder of the archives
        folder: PathBuf,
        #[command(flatten)]
        trusted: Trusted,
        /// Execute every block as well, from the genesis file on: archives from block 1
        #[arg(long)]
        replay: bool,
        /// File with the passphrase, readable by its owner alone
        #[arg(long)]
        passphrase_file: Option<PathBuf>,
        /// One JSON value on standard output
        #[arg(long)]
        json: bool,
    },
    /// Put blocks that a stopped validator dropped, or never had, back into its store, with every check of `verify`
    Import {
        /// Folder of the archives
        folder: PathBuf,
        /// Home folder with node.toml; its validator must be stopped
        #[arg(long, env = "CARAT_HOME")]
        home: PathBuf,
        /// File with the passphrase, readable by its owner alone
        #[arg(long)]
        passphrase_file: Option<PathBuf>,
    },
}

impl Archive {
    pub(crate) fn run(self) -> Result<(), NodeError> {
        match self.command {
            Command::Export { folder, home, blocks_per_file, encrypt, passphrase_file } => {
                let source = PassphraseSource::of_backups(passphrase_file);
                let passphrase = encrypt.then(|| source.demand()).transpose()?;
                let bar = crate::progress_bar();
                let progress = &mut crate::shown_on(&bar);
                let exported =
                    archive::export(&home, &folder, blocks_per_file, passphrase.as_ref(), progress);
                bar.finish_and_clear();
                print_export(&exported?);
                Ok(())
            }
            Command::Verify { folder, trusted, replay, passphrase_file, json } => {
                let passphrase = PassphraseSource::of_backups(passphrase_file).find()?;
                verify(&Verifying { folder, trusted, replay, json }, passphrase.as_ref())
            }
            Command::Import { folder, home, passphrase_file } => {
                let passphrase = PassphraseSource::of_backups(passphrase_file).find()?;
                let bar = crate::progress_bar();
                let mut progress = crate::shown_on(&bar);
                let imported = archive::import(&home, &folder, passphrase.as_ref(), |step, done, of| {
                    bar.set_message(if step == Step::Checked { "checked: " } else { "put back: " });
                    progress(done, of);
                });
                bar.finish_and_clear();
                print_import(imported?);
                Ok(())
            }
        }
    }
}

#[expect(clippy::print_stdout, reason = "the answer of a command")]
fn print_export(exported: &archive::Exported) {
    for file in &exported.files {
        println!("written      {}", file.display());
    }
    println!("archived     up to block {}, {} bytes written", exported.last, exported.bytes);
}

#[expect(clippy::print_stdout, reason = "the answer of a command")]
fn print_import(imported: Imported) {
    let Imported { blocks, oldest, drops } = imported;
    println!("put back     {blocks} blocks");
    println!("oldest block {oldest}");
    if blocks > 0 && oldest == Slot(1) {
        println!("history      as it was; carat-node rebuild-history makes it from block 1 on");
    } else if blocks > 0 {
        println!("history      as it was; it can be made again only from block 1 on");
    }
    if drops {
        println!(
            "note         [store] in node.toml says which blocks are kept: a start drops the others again"
        );
    }
}

struct Verifying {
    folder: PathBuf,
    trusted: Trusted,
    replay: bool,
    json: bool,
}

#[expect(clippy::print_stdout, reason = "the answer of a command")]
fn verify(
    verifying: &Verifying,
    passphrase: Option<&carat_storage::vault::Passphrase>,
) -> Result<(), NodeError> {
    let begun = Instant::now();
    let Verifying { folder, trusted, replay, json } = verifying;
    let bar = crate::progress_bar();
    let progress = crate::shown_on(&bar);
    let genesis = trusted.genesis()?;
    let (report, replayed) = match replay {
        true => {
            let leaves = trusted.leaves(&genesis)?;
            let (report, replayed) = archive::replay(folder, &genesis, &leaves, passphrase, progress)?;
            (report, Some(replayed))
        }
        false => (archive::verify(folder, &genesis, passphrase, progress)?, None),
    };
    bar.finish_and_clear();
    let seconds = begun.elapsed().as_secs_f64();
    if *json {
        let value = serde_json::json!({
            "first": report.first.0, "last": report.last.0, "header": report.header.to_string(), "sealed": report.sealed,
            "transactions": report.transactions, "seconds": seconds,
            "state_root": replayed.map(|replayed| replayed.state_root.to_string()),
        });
        println!("{value}");
        return Ok(());
    }
    println!("blocks       {} to {}, {} with seals of their own", report.first, report.last, report.sealed);
    println!(
        "proven       by the seals of f+1 validators on the last block of each file, and every header below it"
    );
    println!("header       {}", report.header);
    println!("transactions {} applied, in {seconds:.1} s", report.transactions);
    if let Some(replayed) = replayed {
        println!("state root   {}, by execution from the genesis file on", replayed.state_root);
    }
    Ok(())
}
