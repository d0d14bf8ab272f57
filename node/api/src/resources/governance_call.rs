//! What a call of the governance contract says, for those who read operations.

use carat_types::accountability::Offence;
use carat_types::governance::{Call, Change, SET};
use serde_json::{Value, json};
use stellar_xdr::{AccountId, InvokeHostFunctionOp};

/// The call by its function and arguments: of a set its hash, of evidence what it shows. None for a contract that is a
/// program. Whether it was for this chain's contract and did what it says, the operation's result tells.
pub(super) fn of(op: &InvokeHostFunctionOp) -> Option<Value> {
    // Of whatever version of the rules: the result was by those in force.
    let (_, call) = Call::read(op, u32::MAX)?;
    let signer = call.signer().map(|signer| AccountId::from(*signer).to_string());
    Some(match call {
        Call::Propose { change, valid_until, .. } => {
            let (parameter, value) = match change {
                Change::Value { parameter, value } => (parameter.name(), json!(value)),
                Change::Set(set) => (SET, json!(set.hash())),
            };
            let valid_until = valid_until.to_string();
            json!({
                "call": "propose", "signer": signer, "parameter": parameter, "value": value, "valid_until": valid_until,
            })
        }
        Call::Approve { proposal, .. } => {
            json!({ "call": "approve", "signer": signer, "proposal": proposal })
        }
        Call::Evidence(submission) => {
            let evidence = &submission.evidence;
            json!({
                "call": "evidence",
                "epoch": submission.epoch,
                "code": Offence::of(evidence).code(),
                "what": evidence.what(),
                "slot": evidence.slot().map(|slot| slot.to_string()),
                "evidence": evidence.id(),
            })
        }
    })
}

#[cfg(test)]
mod tests {
    use carat_types::accountability::Submission;
    use carat_types::evidence::{Both, Evidence};
    use carat_types::governance::Parameter;
    use carat_types::message::{Seal, Signed};
    use carat_types::{Digest, Epoch, PublicKey, Signature, Slot, ValidatorId};
    use stellar_xdr::OperationBody;

    use super::*;

    const SIGNER: PublicKey = PublicKey([2; 32]);

    fn shown(call: &Call) -> Value {
        let OperationBody::InvokeHostFunction(op) = call.operation(&Digest([1; 32]), &SIGNER).body else {
            panic!("a call")
        };
        of(&op).expect("of the contract")
    }

    #[test]
    fn calls_of_the_contract_are_shown_by_function_and_arguments() {
        let signer = AccountId::from(SIGNER).to_string();
        let change = Change::Value { parameter: Parameter::BaseFee, value: 200 };
        let propose = Call::Propose { signer: SIGNER, change, valid_until: 9 };
        let expected = json!({
            "call": "propose", "signer": signer, "parameter": "base_fee", "value": 200, "valid_until": "9",
        });
        assert_eq!(shown(&propose), expected);
        let approve = Call::Approve { signer: SIGNER, proposal: Digest([3; 32]) };
        let proposal = "03".repeat(32);
        assert_eq!(shown(&approve), json!({ "call": "approve", "signer": signer, "proposal": proposal }));
    }

    #[test]
    fn evidence_is_shown_by_what_it_is_about() {
        let seal = |header| Signed {
            signer: ValidatorId(2),
            body: Seal { slot: Slot(9), header: Digest([header; 32]) },
            signature: Signature([0; 64]),
        };
        let evidence = Evidence::Seals(Both { first: seal(1), second: seal(2) });
        let id = evidence.id();
        let submission = Submission { epoch: Epoch(3), evidence, genesis: Vec::new() };
        let expected = json!({
            "call": "evidence",
            "epoch": 3,
            "code": "E5",
            "what": "sealed two blocks for one slot",
            "slot": "9",
            "evidence": id,
        });
        assert_eq!(shown(&Call::Evidence(Box::new(submission))), expected);
    }
}
