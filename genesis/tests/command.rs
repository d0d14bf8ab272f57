//! The command as people run it: exit codes, and where the output goes.

use std::path::Path;
use std::process::{Command, Output};

fn run(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_carat-genesis"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("the command runs")
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("an exit code")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

#[test]
fn init_show_and_verify_succeed_one_after_the_other() {
    let folder = tempfile::tempdir().expect("folder");
    let made = run(folder.path(), &["init", "--validators", "4", "--out", "net", "--passphrase", "Banks"]);
    assert_eq!(code(&made), 0, "{}", text(&made.stderr));
    let shown = run(folder.path(), &["show", "net", "-o", "json"]);
    assert_eq!(code(&shown), 0);
    let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).expect("JSON");
    let chain = shown["chain_id"].as_str().expect("chain");
    assert!(text(&made.stdout).contains(chain));
    assert_eq!(
        (&shown["n"], &shown["f"], &shown["q"], &shown["t"]),
        (&4.into(), &1.into(), &3.into(), &2.into())
    );
    assert!(shown["network_passphrase"].as_str().expect("text").starts_with("Banks ; "));
    let shown = text(&run(folder.path(), &["show", "net/genesis.json"]).stdout);
    assert!(shown.contains(chain) && shown.contains("n = 4, of which f = 1 may be faulty"), "{shown}");
    for path in ["net", "net/genesis.json", "net/v3"] {
        let verified = run(folder.path(), &["verify", path]);
        assert_eq!(code(&verified), 0, "{}", text(&verified.stdout));
        assert!(text(&verified.stdout).ends_with("failed 0\n"));
    }
}

#[test]
fn trust_is_chosen_at_init_and_shown() {
    let folder = tempfile::tempdir().expect("folder");
    for (chosen, told) in [("crash", "3 equal votes (FAST)"), ("bft", "4 equal votes (UNANIMOUS)")] {
        let made = run(folder.path(), &["init", "--validators", "4", "--out", chosen, "--trust", chosen]);
        assert_eq!(code(&made), 0, "{}", text(&made.stderr));
        let shown = text(&run(folder.path(), &["show", chosen]).stdout);
        assert!(shown.contains(&format!("trust        {chosen}")) && shown.contains(told), "{shown}");
        assert_eq!(code(&run(folder.path(), &["verify", chosen])), 0);
    }
}

#[test]
fn failure_is_exit_code_1_and_says_what_to_do() {
    let folder = tempfile::tempdir().expect("folder");
    let init = ["init", "--validators", "1", "--out", "net"];
    assert_eq!(code(&run(folder.path(), &init)), 0);
    let again = run(folder.path(), &init);
    assert_eq!(code(&again), 1);
    assert!(again.stdout.is_empty() && text(&again.stderr).contains("hint:"), "{}", text(&again.stderr));
    assert_eq!(code(&run(folder.path(), &["show", "nowhere"])), 1);
    std::fs::remove_file(folder.path().join("net/v0/keys/acceptor.key.json")).expect("removed");
    let verified = run(folder.path(), &["verify", "net"]);
    assert_eq!(code(&verified), 1);
    assert!(text(&verified.stdout).contains("FAILED  net/v0/keys/acceptor.key.json: cannot be read"));
    let json = run(folder.path(), &["verify", "net", "-o", "json"]);
    assert_eq!(code(&json), 1);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).expect("JSON");
    assert!(
        json["checks"].as_array().expect("list").iter().any(|check| check["problem"]["hint"].is_string())
    );
}

#[test]
fn wrong_usage_is_exit_code_2() {
    let folder = tempfile::tempdir().expect("folder");
    let main = ["init", "--validators", "4", "--out", "net", "--main-network"];
    let both = ["init", "--validators", "4", "--out", "net", "--main-network", "--test-network"];
    let cases: [&[&str]; 8] = [
        &[],
        &["make"],
        &["init", "--out", "net"],
        &["init", "--validators", "3", "--out", "net"],
        &["init", "--validators", "4", "--out", "net", "--base-port", "0"],
        &["init", "--validators", "4", "--out", "net", "--member", "GARBAGE"],
        &main,
        &both,
    ];
    for arguments in cases {
        let output = run(folder.path(), arguments);
        assert_eq!(code(&output), 2, "{arguments:?}: {}", text(&output.stderr));
    }
    let three = text(&run(folder.path(), cases[3]).stderr);
    assert!(three.contains("3 validators; expected 1, or 4 to 64"), "{three}");
    assert_eq!(std::fs::read_dir(folder.path()).expect("readable").count(), 0);
}
