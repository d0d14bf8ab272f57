//! The same load on several networks, one after the other: what a rule, a validator more or an account more costs.

use std::fmt;

use anyhow::Result;
use carat_types::genesis::Trust;
use serde::{Deserialize, Serialize};

use crate::cluster::{Cluster, Make};
use crate::results::{Machine, Results};
use crate::run::{Bench, Options};

/// One network of a series, and the load on it.
#[derive(Clone, Debug)]
pub struct Member {
    /// What is particular about it.
    pub name: String,
    /// The network.
    pub make: Make,
    /// The load.
    pub options: Options,
}

/// Results of networks that differ in one thing.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Series {
    /// In the order in which they were measured.
    pub members: Vec<MemberResults>,
    /// Lost, wrong or unanswered, in all.
    pub errors: u64,
    /// Where and what.
    pub machine: Machine,
}

/// Results of one network.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MemberResults {
    /// What is particular about it.
    pub name: String,
    /// Its results.
    pub results: Results,
}

/// A network of each trust, with the same load.
pub fn of_trust(make: Make, options: &Options) -> Vec<Member> {
    let member = |(name, trust): (&str, Trust)| Member {
        name: format!("trust = {name}"),
        make: Make { trust, ..make },
        options: options.clone(),
    };
    [("bft", Trust::Bft), ("crash", Trust::Crash)].map(member).into()
}

/// The cost curve: each number of validators with the first number of accounts, and each other number of accounts with
/// the first number of validators.
pub fn of_sizes(make: Make, options: &Options, validators: &[u16], accounts: &[usize]) -> Vec<Member> {
    let member = |validators: u16, accounts: usize| Member {
        name: format!("{validators} validators, {accounts} accounts"),
        make: Make { validators, ..make },
        options: Options { accounts, ..options.clone() },
    };
    let (Some(fewest), Some(smallest)) = (validators.first(), accounts.first()) else { return Vec::new() };
    let more_validators = validators.iter().map(|count| member(*count, *smallest));
    let more_accounts = accounts.iter().skip(1).map(|count| member(*fewest, *count));
    more_validators.chain(more_accounts).collect()
}

impl Series {
    /// Makes, loads and ends one network after the other.
    ///
    /// **Errors**: of the machine; those of transactions are counted.
    pub async fn measure(members: Vec<Member>, say: &dyn Fn(&str)) -> Result<Self> {
        let machine = Machine::this();
        let mut measured = Vec::new();
        for Member { name, make, options } in members {
            say(&format!("{name}: making {} accounts", options.accounts));
            let cluster = Cluster::start(make).await?;
            let results = Bench::prepare(&cluster, options).await?.measure(say).await?;
            cluster.stop().await?;
            measured.push(MemberResults { name, results });
        }
        let errors = measured.iter().map(|member| member.results.errors).sum();
        Ok(Series { members: measured, errors, machine })
    }
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.members.iter().map(|member| member.name.len()).max().unwrap_or(0);
        write!(
            f,
            "{:<width$} {:>10} {:>8} {:>9} {:>9} {:>9} {:>6}  rule",
            "", "settled/s", "us/tx", "p50 ms", "p99 ms", "p99.9 ms", "errors"
        )?;
        for MemberResults { name, results } in &self.members {
            write!(
                f,
                "\n{name:<width$} {:>10.0} {:>8.0} {:>9.1} {:>9.1} {:>9.1} {:>6}  {}",
                results.settled_tps,
                results.cpu_us_per_tx,
                results.latency_ms.p50,
                results.latency_ms.p99,
                results.latency_ms.p999,
                results.errors,
                results.commit_rule
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::tests::options;

    #[test]
    fn cost_curve_varies_one_size_at_a_time() {
        let members = of_sizes(Make::default(), &options(), &[4, 7], &[10, 100, 1_000]);
        let sizes: Vec<_> = members.iter().map(|it| (it.make.validators, it.options.accounts)).collect();
        assert_eq!(sizes, [(4, 10), (7, 10), (4, 100), (4, 1_000)]);
        assert!(of_sizes(Make::default(), &options(), &[], &[1]).is_empty());
    }

    #[test]
    fn trust_is_all_that_differs_in_its_series() {
        let members = of_trust(Make { validators: 7, ..Make::default() }, &options());
        let made: Vec<_> = members.iter().map(|it| (it.make.trust, it.make.validators)).collect();
        assert_eq!(made, [(Trust::Bft, 7), (Trust::Crash, 7)]);
    }
}
