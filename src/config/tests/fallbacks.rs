//! Who takes over from whom, and chains that cannot be.

use super::*;

/// Subscribers of these names, each with further lines, in lines of five and as many more.
fn subscribers(of: &[(&str, &str)]) -> String {
    let section = |(name, further): &(&str, &str)| {
        format!(
            "[[subscriber]]\nname = \"{name}\"\nurl = \"https://{name}.example.com/\"\nsecret = \"{SIGNING}\"\n{further}\n"
        )
    };
    of.iter().map(section).collect::<String>() + ACCOUNT
}

#[test]
fn the_next_of_a_chain_may_have_one_of_its_own() {
    let text = subscribers(&[
        ("crm", "fallback = \"duty\""),
        ("duty", "fallback = \"last\""),
        ("last", "events = []"),
    ]);
    let config = parse(&text).unwrap();
    assert_eq!(config.fallbacks_of("crm"), ["duty", "last"]);
    assert_eq!(config.fallbacks_of("duty"), ["last"]);
    assert_eq!(config.fallbacks_of("last"), Vec::<String>::new());
    assert_eq!(config.fallbacks_of("stranger"), Vec::<String>::new());
    let none = parse(&subscribers(&[("crm", "fallback = \"\"")])).unwrap();
    assert_eq!(none.subscribers[0].fallback, None);
}

#[test]
fn chains_that_cannot_be_are_told() {
    let fallback = |name: &str| format!("fallback = \"{name}\"");
    let to = ["crm", "dutty", "erp", "duty"].map(fallback);
    let [to_crm, to_dutty, to_erp, to_duty] = to.each_ref().map(String::as_str);
    check(
        &subscribers(&[("crm", to_dutty), ("duty", "")]),
        &[
            "5:12: subscriber \"crm\": fallback: no [[subscriber]] has the name \"dutty\"; did you mean \"duty\"?",
        ],
    );
    check(
        &subscribers(&[("crm", to_erp)]),
        &["5:12: subscriber \"crm\": fallback: no [[subscriber]] has the name \"erp\""],
    );
    check(
        &subscribers(&[("crm", to_crm)]),
        &["5:12: subscriber \"crm\": fallback: is the subscriber itself"],
    );
    check(
        &subscribers(&[("crm", to_duty), ("duty", "enabled = false")]),
        &[
            "5:12: subscriber \"crm\": fallback: \"duty\" has enabled = false, so it takes nothing over",
        ],
    );
    check(
        &subscribers(&[("crm", to_duty), ("duty", to_erp), ("erp", to_duty)]),
        &[
            "10:12: subscriber \"duty\": fallback: leads back to the subscriber itself: duty → erp → duty",
            "15:12: subscriber \"erp\": fallback: leads back to the subscriber itself: erp → duty → erp",
        ],
    );
    check(
        &subscribers(&[("crm", "fallback = \"a b\"")]),
        &["5:12: subscriber \"crm\": fallback: must be 1 to 64 characters of a-z A-Z 0-9 . _ -"],
    );
    check(
        &subscribers(&[("crm", "fallback = [\"duty\"]"), ("duty", "")]),
        &["5:12: subscriber \"crm\": fallback: must be a string, not a list"],
    );
}
