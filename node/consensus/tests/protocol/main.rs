//! The protocol, rule by rule, on clusters driven by hand.
//!
//! | module | sections |
//! |---|---|
//! | `normal` | 5, 6, 10 (heartbeats), 14 (term) |
//! | `bodies` | 3, 5, J3: bodies spread before they are proposed |
//! | `performance` | 14 (slow leaders) |
//! | `crash_only` | 6: `trust = crash`, where FAST decides |
//! | `evidence` | 13: who contradicts himself is convicted |
//! | `turns` | 14: leaders that failed are passed over |
//! | `doubt` | 7.1: who is cut off blames nobody |
//! | `view_change` | 7 |
//! | `recovery` | 4 (journal, guard) |
//! | `tentative` | 11: results before finality |
//! | `signers` | 4, with keys in another process |
//! | `catch_up` | 11 |
//! | `transfer` | 11: a whole state |
//! | `learner` | 6 (SEAL) and 11, by who has no vote |
//! | `edge` | 1: proposers that are processes of their own |
//! | `epochs` | 11: another set of validators |
//! | `refusals` | 2, 3, 5.2, 7.2: what a Byzantine peer may try |

mod bodies;
mod catch_up;
mod checks;
mod crash_only;
mod doubt;
mod edge;
mod epochs;
mod evidence;
mod harness;
mod learner;
mod members;
mod normal;
mod parties;
mod performance;
mod pieces;
mod reading;
mod recovery;
mod refusals;
mod signers;
mod states;
mod tentative;
mod transfer;
mod turns;
mod view_change;
