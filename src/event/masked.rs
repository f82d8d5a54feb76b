//! A reply's event for those that are not to see whole numbers, made of the stored one.

use serde_json::value::to_raw_value;

use super::object::Object;
use crate::reply::Mobile;

/// A reply's body as it was rendered once, with `from` as `139****5678`; the rest stays as it was
/// told. None where the body is none of a reply.
#[must_use]
pub fn masked(body: &str) -> Option<String> {
    let mut event: Object = serde_json::from_str(body).ok()?;
    let mut data: Object = serde_json::from_str(event.value("data")?.get()).ok()?;
    let from = data.value("from")?;
    let mobile = Mobile::parse(&serde_json::from_str::<String>(from.get()).ok()?)?;
    *from = to_raw_value(&mobile.to_string()).ok()?;
    *event.value("data")? = to_raw_value(&data).ok()?;
    serde_json::to_string(&event).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_but_the_number_stays_as_it_was_told() {
        let body = r#"{"type":"reply.received","data":{"id":"rpl_a","zone":1.50,"from":"13912341234","content":"\"13912341234\u0007"}}"#;
        let expected = body.replacen("13912341234", "139****1234", 1);
        assert_eq!(masked(body), Some(expected));
        for wrong in
            ["", "{}", r#"{"data":7}"#, r#"{"data":{"from":7}}"#, r#"{"data":{"id":"evt_1"}}"#]
        {
            assert_eq!(masked(wrong), None, "{wrong}");
        }
    }
}
