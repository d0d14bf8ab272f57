//! The command line: what is understood, what is not, and what a script sees.

use clap::CommandFactory as _;

use super::*;

fn parse(line: &str) -> Result<Arguments, clap::Error> {
    Arguments::try_parse_from(std::iter::once("carat").chain(line.split_whitespace()))
}

#[test]
fn definition_of_the_commands_is_consistent() {
    Arguments::command().debug_assert();
}

#[test]
fn commands_of_the_documents_are_understood() {
    let hash = "ab".repeat(32);
    for line in [
        "keys generate alice",
        "keys generate root --seed-from-passphrase --network net",
        "keys add bob --address G",
        "keys list --keys here",
        "keys export alice --yes",
        "network up --wait 5 --network net",
        "network down",
        "network logs v0 --follow",
        "network kill v2",
        "network restart v2",
        "status --cluster -o json",
        "evidence",
        "evidence list -o json",
        "evidence submit 79ca45 --from alice",
        "evidence submit --file piece.txt --from alice",
        "epochs show",
        "epochs fetch",
        "epochs fetch --out data/handovers",
        "epochs draft --without-convicted",
        "governance propose-set set.json --signer v0/keys/acceptor.key.json --from acme",
        "governance propose-set --without-convicted --signer v0/keys/acceptor.key.json --from acme",
        "account show alice",
        "account create bob --balance 5 --from alice",
        "trust set alice EUR:anchor --limit 100",
        "trust remove alice EUR:anchor",
        "pay alice bob 100 EUR:anchor --memo rent",
        "pay alice bob 100 EUR:anchor --rule tentative",
        "pay alice bob 100 EUR:anchor --rule quorum-tentative --await-seals",
        "tx send --rule tentative --as alice",
        &format!("pay alice bob 100 EUR:anchor --memo-hash {hash}"),
        "payload key alice --publish",
        "payload seal pacs.008.xml --to bob --to auditor --out pacs.sealed",
        &format!("payload open pacs.sealed --as bob --transaction {hash} --out pacs.008.xml"),
        &format!("payload open pacs.sealed --as bob --memo {hash} --out pacs.008.xml"),
        &format!("payload deliver pacs.sealed --transaction {hash} --as alice --node v1 --node v3"),
        &format!("payload fetch {hash} --as bob --node v1 --out pacs.sealed"),
        &format!("payload erase {hash} --data data"),
        "friendbot alice --new",
        "asset issue anchor alice 100 EUR",
        "asset redeem alice 100 EUR:anchor",
        "asset list --code EUR --issuer anchor -o json",
        "asset show EUR:anchor",
        "asset flags anchor --set required,revocable --clear clawback",
        "asset authorize anchor alice EUR --freeze",
        "asset clawback anchor alice 5 EUR",
        "offer sell alice 100 EUR:anchor --for USD:anchor --price 1.08",
        "offer buy alice 100 EUR:anchor --for native --price 5/4",
        "offer passive alice 1 native --for EUR:anchor --price 1",
        "offer list --seller alice --selling EUR:anchor --buying native",
        "offer cancel alice 7",
        "book EUR:anchor USD:anchor --limit 5",
        "path find alice 100 USD:anchor",
        "path find alice 100 EUR:anchor --into USD:anchor",
        "path pay alice bob 100 USD:anchor --with EUR:anchor --at-most 95 --through native",
        "path pay alice bob 100 EUR:anchor --into USD:anchor --at-least 105",
        "balance create claimable alice 5 native --for bob,carol --within 3600",
        "balance claim bob 00000000",
        "balance list --claimant bob --asset native",
        "federation lookup alice*bank.example",
        "tx build --source alice payment bob 1 native",
        "tx build --source alice --sequence 5 set-options --signer bob=1 --thresholds 1,2,2",
        "tx bump --fee-source bob",
        "tx sign --key alice --key bob",
        "tx send",
        "tx show --bare",
        &format!("receipt fetch {hash}"),
        "receipt verify r.b64 --genesis genesis.json",
        "consensus trace --slot 7",
        "demo --keep --json out.json",
        "bench run --validators 4 --rate max",
        "completions bash",
    ] {
        if let Err(error) = parse(line) {
            panic!("{line}: {error}");
        }
    }
}

#[test]
fn wrong_use_ends_with_the_exit_code_of_usage() {
    for line in [
        "",
        "nonsense",
        "pay alice bob",
        "payload seal pacs.008.xml --out pacs.sealed",
        "payload open pacs.sealed --as bob --out pacs.008.xml",
        "keys",
        "consensus trace",
        "receipt fetch xyz",
        "status -o csv",
        "path pay alice bob 1 USD:anchor",
        "path pay alice bob 1 USD:anchor --with EUR:anchor",
        "path pay alice bob 1 USD:anchor --into EUR:anchor",
        "offer sell alice 1 native --for EUR:anchor",
        "balance create frozen alice 5 native --for bob",
        "asset flags anchor --set blue",
        "evidence submit 79ca45",
        "evidence submit 79ca45 --file piece.txt --from alice",
        "governance propose-set --signer v0/keys/acceptor.key.json --from acme",
        "governance propose-set set.json --without-convicted --signer v0/keys/acceptor.key.json --from acme",
    ] {
        assert_eq!(parse(line).expect_err(line).exit_code(), Code::Usage as i32, "{line}");
    }
}

#[test]
fn command_without_its_network_is_wrong_use() {
    let session = Session::new(None, None, None, Output::new(Format::Table));
    assert_eq!(session.network().expect_err("none named").code(), Code::Usage);
    assert_eq!(session.keys().expect_err("none named").code(), Code::Usage);
    let session = Session::new(Some("/nowhere".into()), None, None, Output::new(Format::Table));
    assert_eq!(session.network().expect_err("not there").code(), Code::Failed);
}

#[test]
fn completions_know_the_commands() {
    let mut script = Vec::new();
    clap_complete::generate(clap_complete::Shell::Bash, &mut Arguments::command(), "carat", &mut script);
    assert!(String::from_utf8(script).expect("text").contains("friendbot"));
}

#[test]
fn table_is_plain_text_when_nobody_watches() {
    let table = output::table(&["validator", "state"], vec![vec!["v0".into(), "synced".into()]]);
    let lines: Vec<_> = table.lines().filter(|line| line.contains('v')).collect();
    assert_eq!(lines.len(), 2, "{table}");
    assert!(lines[1].contains("v0") && lines[1].contains("synced") && !table.contains('\u{1b}'));
}
