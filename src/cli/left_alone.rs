//! An account that the gateway refuses is left alone by commands too: a refused login that is
//! repeated gets it locked, whoever repeats it.

use crate::cli::exit::{Exit, Failure};
use crate::clock::Clock;
use crate::config::AccountConfig;
use crate::gateway::status::Status;
use crate::intake::reader::Reader;
use crate::language::Language;
use crate::store::Store;
use crate::store::read::Refusal;

/// The refusal for which an account is not to be called now. Where a probe is due it is made, in
/// place of the call that is wanted; where the login is another one since, nothing stands in its way.
pub(super) async fn refusal(
    store: &Store,
    clock: &Clock,
    account: &AccountConfig,
) -> Result<Option<Refusal>, Failure> {
    let reader = Reader::new(store.clone(), clock.clone(), account.clone())?;
    Ok(reader.refusal().await?)
}

/// How a command ends that is not carried out for it: a lock ends by itself.
pub(super) fn exit(refusal: Refusal) -> Exit {
    if refusal.status == Status::LOCKED { Exit::NotNow } else { Exit::Refused }
}

/// Why, until when, and what to do.
pub(super) fn words(account: &str, refusal: Refusal, language: Language) -> String {
    let Refusal { status, until } = refusal;
    let (meaning, advice) = (status.meaning_in(language), status.advice(language));
    let until = until.beijing();
    match language {
        Language::En => format!(
            "{account}: not asked: the gateway refused the account with {status} ({meaning}); it is left alone \
             until {until} (Beijing time), or until its login is changed. {advice}"
        ),
        Language::Zh => format!(
            "{account}：未请求网关：账号已被网关拒绝（{status} {meaning}），{until}（北京时间）之前不再请求，\
             更换登录信息后除外。{advice}"
        ),
    }
}
