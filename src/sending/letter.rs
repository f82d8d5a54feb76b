//! Makes all calls of one message, in their order.

use tokio_util::sync::CancellationToken;

use crate::gateway::status::Status;
use crate::gateway::tx::{Call, Outcome};
use crate::sending::caller::Caller;
use crate::sending::plan::Plan;
use crate::store::error::StoreError;
use crate::store::message::MessageSeq;

/// Makes the calls, until one shows that the others would fare no better, or it is told to stop; the
/// rest is never made. `tell` is told to how many numbers was sent so far. Says what became of those
/// that were made.
///
/// # Errors
/// The store's own. What was not begun then may be left as waiting; it is called unsent when the
/// store is next looked over.
pub async fn send(
    caller: &Caller,
    message: MessageSeq,
    plan: &Plan,
    stop: &CancellationToken,
    mut tell: impl FnMut(usize),
) -> Result<Vec<Outcome>, StoreError> {
    let (mut outcomes, mut done) = (Vec::new(), 0);
    for (number, numbers) in plan.calls.iter().enumerate() {
        if stop.is_cancelled() {
            break;
        }
        let call = Call { text: &plan.encoded, numbers, at: plan.at, mid: plan.mid.as_deref() };
        let Some(outcome) = caller.call(message, number, call).await? else { break };
        let goes_on = goes_on(&outcome);
        outcomes.push(outcome);
        done += numbers.len();
        tell(done);
        if !goes_on {
            break;
        }
    }
    caller.leave_unsent(message).await?;
    Ok(outcomes)
}

/// Whether further calls may go better than this one.
fn goes_on(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Accepted => true,
        // What is wrong is in the numbers of that call.
        Outcome::Refused(status) => *status == Status::WRONG_NUMBER,
        Outcome::Unsent(_) | Outcome::Unclear(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_wrong_number_the_other_calls_go_out_and_after_nothing_else() {
        assert!(goes_on(&Outcome::Accepted));
        assert!(goes_on(&Outcome::Refused(Status(112))));
        for code in (101..=120).filter(|code| *code != 112) {
            assert!(!goes_on(&Outcome::Refused(Status(code))), "{code}");
        }
        assert!(!goes_on(&Outcome::Unclear(String::new())));
        assert!(!goes_on(&Outcome::Unsent(String::new())));
    }
}
